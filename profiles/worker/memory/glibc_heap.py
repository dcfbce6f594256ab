"""Readings of glibc's heap in the worker: bytes in use and free, while steps are measured only if quick.

Reading the free bytes walks the heap's lists: 20 µs for hundreds of free blocks, 300 ms for a million. So it is read
while steps are measured only as long as the reading is quick.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.host import procfs

QUICK_SECONDS = 0.00025
"""CPU seconds that a reading may take at a look at the loop: half of the rest of the look."""
PAUSE_SECONDS = 0.02
"""CPU seconds that a reading may take between two epochs, while the steps' clock is paused."""
EVERY_SECONDS = 0.02
"""Shortest interval of readings in seconds: relevant buffers take longer to fill."""
SHARE = 0.02
"""Largest share of the run's time for readings, so that a run of short epochs does not get longer."""


class _MallInfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def heap() -> tuple[int, int, int] | None:
    """Return bytes of glibc's heap in use, free, and in blocks with their own mapping; None without glibc."""
    function = getattr(_libc(), "mallinfo2", None)
    if function is None:
        return None
    function.restype = _MallInfo
    found = function()
    return int(found.uordblks), int(found.fordblks), int(found.hblkhd)


def trimmed_bytes() -> int | None:
    """Return by how many bytes ``malloc_trim`` shrinks the process; None without glibc."""
    trim = getattr(_libc(), "malloc_trim", None)
    before = procfs.rss_bytes("self")
    if trim is None or before is None:
        return None
    trim(0)
    return max(0, before - (procfs.rss_bytes("self") or before))


@cache
def _libc() -> Any:
    # To load it and to look a function up takes longer than to read a heap of few free blocks.
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


@dataclass(frozen=True)
class HeapAt:
    """Reading of the heap at one moment, with resident bytes and their peak so far."""

    rss: int
    peak: int
    used: int
    free: int
    mapped: int


def heap_now() -> HeapAt | None:
    """Read the heap; None without glibc."""
    found, rss = heap(), procfs.rss_bytes("self")
    return HeapAt(rss, procfs.peak_rss_bytes("self") or rss, *found) if found is not None and rss is not None else None


@dataclass(frozen=True)
class Stretch:
    """Heap readings of a stretch of the run.

    Attributes:
        most_used: The most bytes in use at any moment.
    """

    end: HeapAt
    nearest: HeapAt
    most_used: int


class HeapWatch:
    """Search for the heap reading nearest to the peak of a stretch.

    The peak lies between the two readings where the kernel's high-water mark rose last. Of these, the one is kept whose
    resident bytes plus the heap's later growth to its maximum come nearest to the mark.

    Args:
        clock: Seconds.
        cpu_clock: CPU seconds of this thread; waiting is no cost.
    """

    def __init__(
        self,
        now: Callable[[], HeapAt | None] = heap_now,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._now = now
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._next = 0.0
        self._took = 0.0
        self._last: HeapAt | None = None
        self._nearest: HeapAt | None = None
        self._most = 0

    def see(self, seconds: float = QUICK_SECONDS) -> HeapAt | None:
        """Read the heap if a reading is due and the last one took at most `seconds`; else return None."""
        if self._took <= seconds and self._clock() >= self._next:
            return self._take()
        return None

    def end(self) -> Stretch | None:
        """Read the heap at any cost, to end this stretch and begin the next."""
        self._take()
        last, nearest, most = self._last, self._nearest, self._most
        if last is None or nearest is None:
            return None
        # The kernel's mark begins anew with the next stretch.
        self._last, self._nearest, self._most = replace(last, peak=0), None, last.used
        return Stretch(last, nearest, most)

    def _take(self) -> HeapAt | None:
        began, computed, last = self._clock(), self._cpu_clock(), self._last
        found = self._now()
        self._took = self._cpu_clock() - computed
        self._next = began + max(EVERY_SECONDS, self._took / SHARE)
        if found is None:
            return None
        self._last, self._most = found, max(self._most, found.used)
        if last is None or found.peak > last.peak:
            ends = (found,) if last is None else (found, last)
            self._nearest = min(ends, key=lambda one: abs(found.peak - one.rss - max(0, self._most - one.used)))
        return found
