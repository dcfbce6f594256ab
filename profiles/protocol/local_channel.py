"""The worker's end of a channel whose other end is in the same process."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator

from pipeprof.profiles.protocol.channel import WorkerEnd
from pipeprof.profiles.protocol.messages import WorkerMessage, decode_message, encode_message


class LocalEnd(WorkerEnd):
    """End of a channel without pipes: nothing ends the process, and a copy of it is silent.

    Args:
        take: Receives each message, one at a time, as it would have come through a pipe.
    """

    def __init__(self, take: Callable[[WorkerMessage], None]) -> None:
        self._take = take
        self._pid = os.getpid()
        self._sending = threading.RLock()
        self.stop = threading.Event()
        self.answer = None

    def send(self, message: WorkerMessage) -> None:
        """Hand over a message; what changes in it afterwards is not seen."""
        if self.is_copy:
            return
        copied = decode_message(json.loads(encode_message(message)))
        with self._sending:
            if copied is not None:
                self._take(copied)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Hand over each message at once."""
        yield
