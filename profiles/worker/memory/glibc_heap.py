"""Glibc's heap in the worker: how much of it is in use and free, also while steps are measured where that is quick.

Reading the free bytes walks the heap's lists: 20 µs for hundreds of free blocks, 300 ms for a million. So it is read
while steps are measured only as long as the reading is quick.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeprof.profiles.host import procfs

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK_SECONDS = 0.00025
"""CPU seconds that a reading may take at a look at the loop: half of the rest of the look."""
PAUSE_SECONDS = 0.02
"""What it may take between two epochs, where the clock of the steps stands still."""
EVERY_SECONDS = 0.02
"""Buffers that matter take longer to be filled."""
SHARE = 0.02
"""Of the time that passes, what asking may take: a run of short epochs should not last longer for it."""


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
    """Bytes of glibc's heap in use and free, and of blocks that have a mapping of their own; None without glibc."""
    function = getattr(_libc(), "mallinfo2", None)
    if function is None:
        return None
    function.restype = _MallInfo
    found = function()
    return int(found.uordblks), int(found.fordblks), int(found.hblkhd)


def trimmed_bytes() -> int | None:
    """Return how much smaller the process is after glibc gave back what it kept; None without glibc."""
    trim = getattr(_libc(), "malloc_trim", None)
    before = procfs.rss_bytes("self")
    if trim is None or before is None:
        return None
    trim(0)
    return max(0, before - (procfs.rss_bytes("self") or before))


def _libc() -> Any:
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


@dataclass(frozen=True)
class HeapAt:
    """A moment: bytes resident, the most that were so far, and glibc's heap as `heap` tells it."""

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
    """What was seen of the heap in a stretch of the run.

    Attributes:
        end: As it is in the end.
        nearest: At the moment from which the stretch's peak was reached.
        most_used: The most bytes in use at any moment.
    """

    end: HeapAt
    nearest: HeapAt
    most_used: int


class HeapWatch:
    """Search for the heap reading nearest to the peak of a stretch.

    The kernel's mark of resident memory rises last between two moments. Of these two the one counts from which it was
    reached: where what was resident, and what the heap takes at its fullest beyond what was in use, come nearest to it.

    Args:
        now: Reads the heap.
        clock: Seconds.
        cpu_clock: Seconds that this thread has computed; what it waited for others is no cost.
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
        """Look at the heap, if that is due and took no more than `seconds` the last time; None if not."""
        if self._took <= seconds and self._clock() >= self._next:
            return self._take()
        return None

    def end(self) -> Stretch | None:
        """Look at the heap, however long it takes: a stretch ends here, and the next one begins."""
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
