"""Letting go of ended iterators aside from the step loop.

TensorFlow may take a second or two to delete an iterator whose AUTOTUNE thread sleeps (1.0 to 2.5 s seen on 2.21, in
about one of five deletions). A loop that lets go of its iterator at the end of an epoch stands still for that long. So
it is done in a thread of its own, without Python's lock, and its time is reported apart.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import Any


class Disposer:
    """Deletes what it is given, in order, in a thread of its own, and keeps the time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._waiting: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(self, thing: list[Any]) -> None:
        """Take a list that holds the last reference to what is to be deleted."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pipeprof-dispose", daemon=True)
            self._thread.start()
        self._waiting.put(thing)

    def _run(self) -> None:
        while True:
            thing = self._waiting.get()
            began = time.perf_counter()
            thing.clear()
            self.seconds.append(time.perf_counter() - began)
