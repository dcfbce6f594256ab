"""Whether the process grows while the user's function builds the dataset: a build that reads much takes its time.

Resident memory is read every second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from pipeprof.profiles.host import procfs

EVERY_SECONDS = 1.0
SEND_BYTES = 32_000_000
"""Growth of memory from which the harness gets a message."""


class BuildWatch:
    """Sends a message each time that memory has grown by `SEND_BYTES` within a ``with`` block.

    Args:
        resident: Tells resident memory, None if unknown.
    """

    def __init__(self, send: Callable[..., None], resident: Callable[[], int | None] = procfs.own_rss_bytes) -> None:
        self._send = send
        self._resident = resident
        self._sent = resident() or 0
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._run, name="pipeprof-build", daemon=True)

    def __enter__(self) -> None:
        self._sampler.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._sampler.join()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            self.sample()

    def sample(self) -> None:
        """Look whether memory has grown."""
        now = self._resident() or 0
        if now >= self._sent + SEND_BYTES:
            self._sent = now
            self._send(grows=True)
