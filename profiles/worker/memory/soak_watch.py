"""Memory of a long run, read seldom; and, once it has grown, how much of that Python allocates.

A reading takes 0.2 ms of a core, and the heap 1 ms more; where that is in fragments it takes tens of milliseconds, and
is left out of most readings. The next one waits until all of them together take 0.1 % of a core. Allocations are
traced (`tracemalloc`) only when the harness has seen memory grow; readings of that time have what Python has allocated,
and count for nothing else, as tracing takes time and memory itself.
"""

from __future__ import annotations

import gc
import sys
import tracemalloc
from typing import TYPE_CHECKING

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import MemoryReading, SoakReading
from pipeprof.profiles.worker.memory.glibc_heap import heap
from pipeprof.profiles.worker.memory.memory_log import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.pipelines.graph.costs.snapshots import RawSnapshot

SHARE, HEAP_SHARE = 0.0004, 0.0006
"""Of one core for readings without the heap, and for the heap's."""
LEAST_SECONDS = 0.05
READINGS = 240
"""Of a soak at least, if that is within the share."""
HEAPS = 96
"""Readings of the heap at most in a soak that is not short: four for each window of memory that is compared."""
SHORT_SECONDS = 60.0
"""A shorter soak has this many readings whatever they take."""


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
        self._next = self._heap_next = self._spent = 0.0
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
        is_short = self._seconds < SHORT_SECONDS
        used = heap() if not self._examines and (is_short or now >= self._heap_next) else None
        heap_took = self._cpu() - began if used is not None else 0.0
        memory = _memory(used)
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
        if used is not None:
            self._heap_next = now + max(self._seconds / HEAPS, heap_took / HEAP_SHARE)
        least = max(LEAST_SECONDS, self._seconds / READINGS)
        self._next = now + (least if is_short else max(least, (took - heap_took) / SHARE))

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


def _memory(found: tuple[int, int, int] | None) -> MemoryReading | None:
    """Read memory; the heap as it was found."""
    pages = procfs.own_pages()
    if pages is None:
        return None
    used, free, mapped = found if found is not None else (None, None, None)
    return MemoryReading(
        name="soak",
        rss=pages.rss_bytes,
        file=pages.mapped_bytes,
        live=tensor_bytes()[0],
        heap=used,
        heap_free=free,
        mapped=mapped,
        blocks=sys.getallocatedblocks(),
    )


def _collected() -> int | None:
    """Return the bytes in use that Python's garbage collector frees."""
    before = _memory(heap())
    gc.collect()
    after = _memory(heap())
    if before is None or after is None or before.in_use is None or after.in_use is None:
        return None
    return before.in_use - after.in_use


def _buffered(snapshot: RawSnapshot) -> int:
    return sum(int(node.buffered_bytes) for node in snapshot.proto.nodes.values())
