"""The worker's end of a channel whose other end is in the same process."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from pipeprof.profiles.protocol.channel import Changes, WorkerEnd, checked, encode


class LocalEnd(WorkerEnd):
    """End of a channel without pipes: nothing ends the process, and a copy of it is silent.

    Args:
        take: Receives what changes in the sample, one at a time, as it would have come through a pipe.
    """

    def __init__(self, take: Callable[[Changes], None]) -> None:
        self._take = take
        self._pid = os.getpid()
        self._sending = threading.RLock()
        self.stop = threading.Event()
        self.answer = None

    def send(self, **changes: Any) -> None:
        """Hand over changes; what changes in them afterwards is not seen."""
        if self.is_copy:
            return
        copied = checked(json.loads(encode(changes)))
        with self._sending:
            self._take(copied)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Hand over each message at once."""
        yield
