"""Series of a soak, of bounded length: the least memory of each stretch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeprof.profiles.constants import PYTHON_BLOCK_BYTES

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import SoakSeries
    from pipeprof.profiles.protocol.messages import MemoryReading, SoakReading

MOST_POINTS = 480


@dataclass(frozen=True)
class SoakPoint:
    """Memory at one moment.

    Attributes:
        t: Seconds since the soak began.
        in_use: Bytes of blocks in use, glibc's and Python's; None where unknown.
        buffered: Bytes in the buffers and caches of the pipeline, as TensorFlow's model counts them.
    """

    t: float
    epoch: int
    steps: int
    rss: int
    in_use: int | None = None
    buffered: int | None = None

    @property
    def least(self) -> int:
        """What is compared: memory in use, else resident memory."""
        return self.rss if self.in_use is None else self.in_use


@dataclass
class SoakLog:
    """Points of a soak as they come: however long it lasts there are at most `MOST_POINTS` and one.

    Attributes:
        python: What Python had allocated, as resident memory of points, while that was traced.
    """

    points: list[SoakPoint] = field(default_factory=list)
    python: list[SoakPoint] = field(default_factory=list)
    cores: float | None = None
    _first: MemoryReading | None = None
    _stride: int = 1
    _pending: SoakPoint | None = None
    _many: int = 0

    def add(self, seen: SoakReading) -> None:
        """Take a reading; memory does not count while allocations are traced, which takes memory and time itself."""
        self.cores = seen.cores
        if seen.python is not None:
            self.python.append(SoakPoint(seen.t, seen.epoch, seen.steps, seen.python))
            return
        if self._first is None or (self._first.in_use is None and seen.memory.in_use is not None):
            self._first = seen.memory
        grown = grown_in_use(self._first, seen.memory)
        used = None if grown is None or self._first.in_use is None else self._first.in_use + grown
        point = SoakPoint(seen.t, seen.epoch, seen.steps, seen.memory.rss, used, seen.buffered)
        self._pending = point if self._pending is None else _lesser(self._pending, point)
        self._many += 1
        if self._many < self._stride:
            return
        self.points.append(self._pending)
        self._pending, self._many = None, 0
        if len(self.points) > MOST_POINTS:
            self.points = [_lesser(*pair) for pair in zip(self.points[::2], self.points[1::2], strict=False)]
            self._stride *= 2

    def series(self) -> SoakSeries:
        """Return them for the profile."""
        from pipeprof.profiles.document.memory import SoakSeries

        return SoakSeries(
            seconds=[round(point.t, 2) for point in self.points],
            epoch=[point.epoch for point in self.points],
            steps=[point.steps for point in self.points],
            rss_bytes=[point.rss for point in self.points],
            in_use_bytes=[point.in_use for point in self.points],
            buffered_bytes=[point.buffered for point in self.points],
        )


def _lesser(one: SoakPoint, other: SoakPoint) -> SoakPoint:
    """Of two moments the one with less memory: what is held only for a while does not hide what stays.

    Where the memory in use of only one of them is known, that one: fewer are known where to read it takes long.
    """
    if (one.in_use is None) != (other.in_use is None):
        return one if other.in_use is None else other
    return one if one.least <= other.least else other


def grown_in_use(before: MemoryReading, after: MemoryReading) -> int | None:
    """Return the growth in bytes of memory in use outside the pool; None where unknown.

    Glibc's blocks, and Python's: only the number of Python's is known, so their bytes are the rest of the process's
    growth, limited by that number of blocks.
    """
    if before.in_use is None or after.in_use is None:
        return None
    heap = after.in_use - before.in_use
    if before.blocks is None or after.blocks is None:
        return heap
    pool = (after.live or 0) - (before.live or 0)
    free = (after.heap_free or 0) - (before.heap_free or 0)
    other = after.rss - before.rss - heap - free - pool - ((after.file or 0) - (before.file or 0))
    return heap + max(0, min(other, PYTHON_BLOCK_BYTES * (after.blocks - before.blocks)))
