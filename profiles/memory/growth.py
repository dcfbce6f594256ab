"""Plateau or growth: a robust test on the least memory of each epoch, or of windows of equal length.

The first third is warm-up: caches fill, libraries load, allocators find their size. What grows is memory in use, so
that free blocks between used ones (fragments) and pools are no growth. It is growth if it is more than the noise, the
95 % interval of its slope stays above zero in what follows the warm-up, it goes on at the end at half of that pace at
least, and it is not what the pipeline's buffers have taken.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pipeprof.profiles.constants import PYTHON_BLOCK_BYTES

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import SoakSeries
    from pipeprof.profiles.protocol.messages import MemoryReading, SoakReading

State = Literal["growth", "slow", "plateau", "filling", "garbage", "unclear", "short"]

LEAST_WINDOWS = 8
LEAST_WARM = 6
"""Windows from which on the slope has an interval, where none of them is warm-up."""
MOST_WINDOWS = 24
LEAST_BYTES = 2_000_000
"""Growth after the warm-up below which memory is level: smaller steps are the allocator's."""
LEAK_BYTES = 10_000_000
"""Growth below this in the measured window of a run without a soak cannot be distinguished from noise."""
IN_USE = 0.5
"""Least share of a growth that is memory in use, for a leak: free blocks between them are no leak, though a leak leaves
some too (arrays kept in a generator: 71 % in use)."""
LEVEL = 0.02
"""Of what memory has grown by from the first window to the last: the same."""
NOISE = 4.0
"""Times the median deviation from the line that the growth has to be."""
_PACE = 0.5
"""Least pace of the last third relative to what follows the warm-up: a cache that fills slows down, a leak does not."""
_HELD = 0.5
"""Share of the growth from which on it is the buffers'."""


_Z95 = 1.96
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


@dataclass(frozen=True)
class Slope:
    """A slope and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SoakJudgement:
    """What a soak shows.

    Attributes:
        slope: Bytes per second of memory in use after the warm-up, with the interval; None for a short soak.
        pace: The same of resident memory where that grows faster: of what is kept, and the free blocks between.
        bytes_per_epoch: What memory in use grows by; None where there are no whole epochs.
        since_epoch: Epochs after which it was level; None without epochs, and where it was all the while.
        since: Seconds after which it was; 0 where it was all the while.
        grown: Bytes after the warm-up.
        tail: The windows after the warm-up.
    """

    state: State
    slope: Slope | None = None
    pace: Slope | None = None
    bytes_per_epoch: float | None = None
    since_epoch: int | None = None
    since: float | None = None
    grown: int = 0
    tail: tuple[SoakPoint, ...] = ()


def judge(points: Sequence[SoakPoint], *, warm: bool = False) -> SoakJudgement:
    """Judge the points of a soak, in order.

    Memory in use counts. Where it was read too seldom, as reading it takes long in a heap of many free blocks, resident
    memory does, and what is known of memory in use decides whether its growth is one.

    Args:
        warm: They begin after the warm-up, so that no third of them is left out; of few points each is a window.
    """
    known = [point for point in points if point.in_use is not None]
    if len(known) in (0, len(points)):
        return _judge(points, warm=warm)
    found = _judge(known, warm=warm)
    if found.state != "short":
        return found
    found = _judge([replace(point, in_use=None) for point in points], warm=warm)
    return found if found.slope is None or found.state != "growth" else _if_in_use(found, found.slope, known)


def _if_in_use(found: SoakJudgement, slope: Slope, known: Sequence[SoakPoint]) -> SoakJudgement:
    """Return the growth of resident memory if it is one of memory in use; without enough readings it is unknown."""
    first, last = found.tail[0].t, found.tail[-1].t
    late = [point for point in known if first <= point.t <= last]
    seconds = late[-1].t - late[0].t if late else 0.0
    if seconds < (last - first) / 3:
        return SoakJudgement("short")
    grown = late[-1].least - late[0].least
    return found if grown >= IN_USE * slope.value * seconds else replace(found, state="plateau")


def _judge(points: Sequence[SoakPoint], *, warm: bool) -> SoakJudgement:
    windows, by_epoch = _windows(points, min(len(points), LEAST_WARM) if warm else 0)
    if len(windows) < (LEAST_WARM if warm else LEAST_WINDOWS):
        return SoakJudgement("short")
    tail = windows if warm else windows[len(windows) // 3 :]
    seconds, least = [point.t for point in tail], [float(point.least) for point in tail]
    slope = theil_sen(seconds, least)
    grown = round(slope.value * (seconds[-1] - seconds[0]))
    level = max(LEAST_BYTES, LEVEL * (windows[-1].least - windows[0].least))
    first = next(place for place in range(len(windows)) if _is_level(windows[place:], level))
    resident = theil_sen(seconds, [float(point.rss) for point in tail])
    epochs = theil_sen([point.epoch for point in tail], least) if by_epoch else None
    return SoakJudgement(
        state=_state(tail, slope, grown, epochs=by_epoch or not any(point.epoch for point in points)),
        slope=slope,
        pace=resident if resident.low > 0 and resident.value > slope.value else slope,
        bytes_per_epoch=epochs.value if epochs is not None else None,
        since_epoch=windows[first].epoch if by_epoch and first else None,
        since=windows[first].t if first else 0.0,
        grown=grown,
        tail=tuple(tail),
    )


def _state(tail: Sequence[SoakPoint], slope: Slope, grown: int, *, epochs: bool) -> State:
    least = [float(point.least) for point in tail]
    middle, start = statistics.median(point.t for point in tail), statistics.median(least)
    rest = [abs(value - start - slope.value * (point.t - middle)) for value, point in zip(least, tail, strict=True)]
    if grown < max(LEAST_BYTES, NOISE * statistics.median(rest)) or slope.low <= 0:
        return "plateau"
    if not _goes_on(tail, slope):
        return "plateau"
    held = [point.buffered for point in tail if point.buffered is not None]
    third = max(1, len(held) // 3)
    if held and max(held[-third:]) - max(held[:third]) >= _HELD * grown:
        return "filling"
    return "growth" if epochs else "unclear"


def _goes_on(tail: Sequence[SoakPoint], slope: Slope) -> bool:
    """Whether memory still rises at the end.

    Each third of the tail is above the one before, and from the middle one to the last, as within the last, it rises
    at half of the slope at least.
    """
    third = len(tail) // 3
    parts = [tail[:third], tail[third : len(tail) - third], tail[len(tail) - third :]]
    levels = [statistics.median(point.least for point in part) for part in parts]
    times = [statistics.median(point.t for point in part) for part in parts]
    last = (levels[2] - levels[1]) / max(1e-9, times[2] - times[1])
    last_ones = tail[-max(3, third) :]
    end = theil_sen([point.t for point in last_ones], [float(point.least) for point in last_ones]).value
    rises = all(later > earlier for earlier, later in pairwise(levels))
    return rises and last >= _PACE * slope.value and end >= _PACE * slope.value


def _is_level(windows: Sequence[SoakPoint], level: float) -> bool:
    """Whether a stretch ends at most so much above its begin."""
    third = max(1, len(windows) // 3)
    end = statistics.median(point.least for point in windows[-third:])
    return end - windows[0].least <= level


def _windows(points: Sequence[SoakPoint], least: int) -> tuple[list[SoakPoint], bool]:
    """Return the moment of least memory of each of at least so many windows, and whether windows are whole epochs."""
    epochs = sorted({point.epoch for point in points})[1:-1]
    if len(epochs) >= LEAST_WINDOWS:
        each = -(-len(epochs) // MOST_WINDOWS)
        window_of = {epoch: place // each for place, epoch in enumerate(epochs)}
        whole = len(epochs) // each
        found: dict[int, SoakPoint] = {}
        for point in points:
            window = window_of.get(point.epoch, whole)
            if window < whole and (window not in found or point.least < found[window].least):
                found[window] = point
        return [found[window] for window in sorted(found)], True
    many = max(least, min(MOST_WINDOWS, len(points) // 2))
    cuts = [round(place * len(points) / many) for place in range(many + 1)] if many else []
    return [min(points[low:high], key=lambda point: point.least) for low, high in pairwise(cuts)], False


def theil_sen(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Return the median of the slopes of all pairs, with its interval; infinite for fewer than three points.

    Theil (Proceedings of the Royal Netherlands Academy of Sciences 53, 1950); the interval from Kendall's rank
    correlation is that of Sen (Estimates of the regression coefficient based on Kendall's tau, JASA 63, 1968, section
    4). Up to 29 % of the points may be arbitrarily wrong without moving it beyond the others.
    """
    pairs = [(i, j) for j in range(len(x)) for i in range(j) if x[j] > x[i]]
    if len(x) < 3 or not pairs:
        return Slope(0.0, -math.inf, math.inf)
    slopes = sorted((y[j] - y[i]) / (x[j] - x[i]) for i, j in pairs)
    n, many = len(x), len(slopes)
    spread = _Z95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low, high = math.floor((many - spread) / 2) - 1, math.ceil((many + spread) / 2)
    return Slope(
        statistics.median(slopes), slopes[low] if low >= 0 else -math.inf, slopes[high] if high < many else math.inf
    )
