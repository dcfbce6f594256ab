"""Progress messages of the generating process: one JSON object per line."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TextIO

_SECONDS_BETWEEN_LINES = 0.1


class DataProgress:
    """Counts finished items from several threads and reports them, ten times a second at most.

    Args:
        report: Called with (done, total), from one thread at a time; the last call has ``done == total``.
    """

    def __init__(
        self, total: int, report: Callable[[int, int], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._done = 0
        self._report = report
        self._clock = clock
        self._next = float("-inf")
        self._lock = threading.Lock()

    def advance(self, items: int = 1) -> None:
        """Count ``items`` more as finished."""
        with self._lock:
            self._done += items
            now = self._clock()
            if now >= self._next or self._done == self._total:
                self._next = now + _SECONDS_BETWEEN_LINES
                self._report(self._done, self._total)


def write_progress(stream: TextIO) -> Callable[[int, int], None]:
    """A reporter for ``Progress`` that writes ``{"done": 3, "total": 10}`` lines to ``stream``."""

    def report(done: int, total: int) -> None:
        stream.write(json.dumps({"done": done, "total": total}) + "\n")
        stream.flush()

    return report
