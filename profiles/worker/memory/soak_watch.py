"""Memory of a long run, read seldom; and, once it has grown, how much of that Python allocates.

A reading takes 1 ms of a core, of a heap in fragments tens of milliseconds; then the next one waits until all of them
together take 0.1 % of a core, or for a part of the soak. Allocations are traced (`tracemalloc`) only when the harness
has seen memory grow; readings of that time have what Python has allocated, and count for nothing else, as tracing takes
time and memory itself.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.protocol.messages import SoakReading
from pipeprof.profiles.worker.memory.memory_log import heap, read_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.pipelines.graph.costs.snapshots import RawSnapshot

SHARE = 0.001
"""Of one core for readings."""
LEAST_SECONDS = 0.05
SHORT_SECONDS = 60.0
MOST, LEAST, LEAST_OF_SHORT = 240, 20, 80
"""Readings of a soak at most, and at least, whatever they take: some for each window of memory that is compared."""


class SoakWatch:
    """Readings of memory while a soak lasts.

    Args:
        seconds: How long it lasts.
        clock: Seconds.
        cpu: CPU seconds of this thread.
    """

    def __init__(
        self,
        send: Callable[..., None],
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._send, self._seconds = send, seconds
        self._clock, self._cpu = clock, cpu
        self._began: float | None = None
        self._next = self._spent = 0.0
        self._examines = self._traces = False

    @property
    def has_begun(self) -> bool:
        """Whether memory was read."""
        return self._began is not None

    @property
    def is_over(self) -> bool:
        """Whether it has lasted as long as it should."""
        return self._began is not None and self._clock() - self._began >= self._seconds

    def look(self, epoch: int, steps: int, snapshot: RawSnapshot | None) -> None:
        """Read memory if a reading is due.

        Args:
            snapshot: The model as it is now, for what the buffers hold.
        """
        now = self._clock()
        self._began = now if self._began is None else self._began
        if now < self._next:
            return
        began = self._cpu()
        memory = read_memory("soak", heap=None if self._examines else heap())
        if memory is not None:
            self._send(
                soak=SoakReading(
                    t=now - self._began,
                    epoch=epoch,
                    steps=steps,
                    memory=memory,
                    buffered=_buffered(snapshot) if snapshot is not None else None,
                    cores=self._spent / (now - self._began) if now > self._began else None,
                    python=tracemalloc.get_traced_memory()[0] if self._examines else None,
                )
            )
        took = self._cpu() - began
        self._spent += took
        least = LEAST_OF_SHORT if self._seconds < SHORT_SECONDS else LEAST
        self._next = now + max(LEAST_SECONDS, self._seconds / MOST, min(took / SHARE, self._seconds / least))

    def examine(self) -> None:
        """Trace Python's allocations from now on, unless the script does."""
        self._examines = True
        if not tracemalloc.is_tracing():
            self._traces = True
            tracemalloc.start()

    def end(self) -> None:
        """Send what Python's garbage collector frees, if allocations were traced."""
        if not self._examines:
            return
        self._examines = False
        self._send(soak_freed=_collected())
        if self._traces:
            tracemalloc.stop()


def _collected() -> int | None:
    """Return the bytes in use that Python's garbage collector frees."""
    before = read_memory("soak", heap=heap())
    gc.collect()
    after = read_memory("soak", heap=heap())
    if before is None or after is None or before.in_use is None or after.in_use is None:
        return None
    return before.in_use - after.in_use


def _buffered(snapshot: RawSnapshot) -> int:
    return sum(int(node.buffered_bytes) for node in snapshot.proto.nodes.values())
