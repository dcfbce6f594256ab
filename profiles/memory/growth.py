"""Plateau or growth: the slope of the least memory of each window, when the limit is reached, and what grows.

The first third is warm-up: caches fill, libraries load, allocators find their size. What grows is memory in use, so
that free blocks between used ones (fragments) and pools are no growth. It is growth if it is more than the noise, the
95 % interval of its slope stays above zero in what follows the warm-up, it goes on at the end at half of that pace at
least, and it is not what the pipeline's buffers have taken.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pipeprof.profiles.constants import PYTHON_BLOCK_BYTES
from pipeprof.profiles.document.memory import MemoryGrowth, Soak, SoakEnd, SoakSeries
from pipeprof.profiles.wording import grows, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import Memory
    from pipeprof.profiles.memory.buffers import Look
    from pipeprof.profiles.protocol.messages import MemoryReading, SoakReading


State = Literal["growth", "slow", "plateau", "filling", "garbage", "unclear", "short"]

LEAST_WINDOWS = 8
MOST_WINDOWS = 24
LEAST_TRACED = 6
"""Readings of what Python has allocated, from which they have a slope."""
LEAST_BYTES = 2_000_000
"""Growth after the warm-up below which memory is level: smaller steps are the allocator's."""
LEAK_BYTES = 10_000_000
"""Growth below this in the measured window of a run without a soak cannot be distinguished from noise."""
IN_USE = 0.5
"""Least share of a growth that is memory in use, for a leak: free blocks between them are no leak, though a leak leaves
some too (arrays kept in a generator: 71 % in use)."""
NOISE = 4.0
"""Times the median deviation from the line that the growth has to be."""
_PACE = 0.5
"""Least pace of the last third relative to what follows the warm-up: a cache that fills slows down, a leak does not."""
_HELD = 0.5
"""Share of the growth from which on it is the buffers'."""
GARBAGE = 0.5
"""Share of a growth that Python's garbage collector has to free in the end, so that it is no growth."""
SLOW = 7 * 86_400.0
"""Seconds for which memory has to last, so that a growth matters to no training: that of a history of numbers."""
FARTHEST = 366 * 86_400.0
"""Seconds beyond which no end is reported."""
_Z95 = 1.96


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
    """Points of a soak as they come, some hundreds at most.

    Attributes:
        python: What Python had allocated, as resident memory of points, while that was traced.
        cores: Share of one core that reading memory takes.
    """

    points: list[SoakPoint] = field(default_factory=list)
    python: list[SoakPoint] = field(default_factory=list)
    cores: float | None = None
    _first: MemoryReading | None = None

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
        self.points.append(SoakPoint(seen.t, seen.epoch, seen.steps, seen.memory.rss, used, seen.buffered))

    def series(self) -> SoakSeries:
        """Return them for the profile."""
        return SoakSeries(
            seconds=[round(point.t, 2) for point in self.points],
            epoch=[point.epoch for point in self.points],
            steps=[point.steps for point in self.points],
            rss_bytes=[point.rss for point in self.points],
            in_use_bytes=[point.in_use for point in self.points],
            buffered_bytes=[point.buffered for point in self.points],
        )


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
        slope: Bytes per second after the warm-up, with the interval: of memory in use; of resident memory where that
            grows faster, by what is kept and the free blocks between. None for a short soak.
        grown: Bytes of memory in use after the warm-up.
        tail: The windows after the warm-up.
    """

    state: State
    slope: Slope | None = None
    grown: int = 0
    tail: tuple[SoakPoint, ...] = ()

    @property
    def steps(self) -> int:
        """Steps from the first of the windows to the last."""
        return self.tail[-1].steps - self.tail[0].steps if self.tail else 0

    @property
    def bytes_per_epoch(self) -> float | None:
        """The slope by the mean length of an epoch; None within few of them."""
        epochs = self.tail[-1].epoch - self.tail[0].epoch if self.tail else 0
        if self.slope is None or epochs < LEAST_WINDOWS / 2:
            return None
        return self.slope.value * (self.tail[-1].t - self.tail[0].t) / epochs


def judge(points: Sequence[SoakPoint]) -> SoakJudgement:
    """Judge the points of a soak, in order: memory in use counts where it is known, else resident memory."""
    points = [point for point in points if point.in_use is not None] or points
    windows = _windows(points)
    if len(windows) < LEAST_WINDOWS:
        return SoakJudgement("short")
    tail = windows[len(windows) // 3 :]
    seconds, least = [point.t for point in tail], [float(point.least) for point in tail]
    slope, resident = theil_sen(seconds, least), theil_sen(seconds, [float(point.rss) for point in tail])
    grown = round(slope.value * (seconds[-1] - seconds[0]))
    epochs = points[-1].epoch - points[0].epoch
    state = _state(tail, slope, grown, epochs=epochs >= LEAST_WINDOWS or not points[-1].epoch)
    faster = resident.low > 0 and resident.value > slope.value
    return SoakJudgement(state, resident if faster else slope, grown, tuple(tail))


def _state(tail: Sequence[SoakPoint], slope: Slope, grown: int, *, epochs: bool) -> State:
    least = [float(point.least) for point in tail]
    middle, start = statistics.median(point.t for point in tail), statistics.median(least)
    rest = [abs(value - start - slope.value * (point.t - middle)) for value, point in zip(least, tail, strict=True)]
    if grown < max(LEAST_BYTES, NOISE * statistics.median(rest)) or slope.low <= 0 or not _goes_on(tail, slope):
        return "plateau"
    held = [point.buffered for point in tail if point.buffered is not None]
    third = max(1, len(held) // 3)
    if held and max(held[-third:]) - max(held[:third]) >= _HELD * grown:
        return "filling"
    return "growth" if epochs else "unclear"


def _goes_on(tail: Sequence[SoakPoint], slope: Slope) -> bool:
    """Whether memory still rises at the end: in each third of the tail it is above the one before.

    From the middle one to the last, as within the last, it rises at half of the slope at least.
    """
    third = len(tail) // 3
    parts = [tail[:third], tail[third : len(tail) - third], tail[len(tail) - third :]]
    levels = [statistics.median(point.least for point in part) for part in parts]
    times = [statistics.median(point.t for point in part) for part in parts]
    last = (levels[2] - levels[1]) / max(1e-9, times[2] - times[1])
    last_ones = tail[-max(3, third) :]
    end = theil_sen([point.t for point in last_ones], [float(point.least) for point in last_ones]).value
    return levels[0] < levels[1] < levels[2] and min(last, end) >= _PACE * slope.value


def _windows(points: Sequence[SoakPoint]) -> list[SoakPoint]:
    """Return the moment of least memory of each window; where there are enough epochs none is shorter than one."""
    epochs = points[-1].epoch - points[0].epoch if points else 0
    many = min(MOST_WINDOWS, len(points) // 2, epochs if epochs >= LEAST_WINDOWS else MOST_WINDOWS)
    cuts = [round(place * len(points) / many) for place in range(many + 1)] if many else []
    return [min(points[low:high], key=lambda point: point.least) for low, high in pairwise(cuts)]


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


def soak_of(
    log: SoakLog, freed: int | None, limit: int | None, used: int | None = None
) -> tuple[Soak, MemoryGrowth | None]:
    """Judge a soak, also one under way.

    Args:
        freed: Bytes that Python's garbage collector freed in the end; None where unknown.
        used: Memory with child processes' now; that of the last point if None.
    """
    judged = judge(log.points)
    now = used or (judged.tail[-1].rss if judged.tail else 0)
    ends = end_of(now, judged.slope, limit) if judged.slope is not None else None
    state = judged.state
    if state == "growth" and freed is not None and freed >= GARBAGE * judged.grown:
        state = "garbage"
    elif state == "growth" and limit is not None and now < limit and (ends is None or ends.seconds > SLOW):
        state = "slow"
    rate = judged.slope if state != "plateau" else None
    soak = Soak(
        seconds=log.points[-1].t if log.points else 0.0,
        state=state,
        bytes_per_second=rate.value if rate is not None else None,
        low=rate.low if rate is not None else None,
        high=rate.high if rate is not None else None,
        bytes_per_epoch=judged.bytes_per_epoch if rate is not None else None,
        owner=owner_of(judged, log.python) if state in ("growth", "filling") else None,
        ends=ends if state in ("growth", "slow", "filling") else None,
        sampler_cores=log.cores,
        series=log.series(),
    )
    soak = soak.model_copy(update={"sentence": soak_text(soak)})
    if state != "growth":
        return soak, None
    in_use = judged.grown if judged.tail[-1].in_use is not None else None
    return soak, MemoryGrowth(bytes=judged.grown, steps=judged.steps, in_use_bytes=in_use)


def owner_of(judged: SoakJudgement, python: Sequence[SoakPoint]) -> Literal["stages", "python", "rest"] | None:
    """Return what takes most of a growth: the pipeline's stages, Python's heap or the rest; None where unknown.

    Growth is compared by steps: while Python's allocations are traced, which gives `python`, a step takes longer.
    """
    if judged.state == "filling":
        return "stages"
    if len(python) < LEAST_TRACED:
        return None
    grown = _rise(judged.tail, lambda point: point.least) or math.inf
    held = _rise(judged.tail, lambda point: point.buffered or 0) / grown
    made = _rise(python, lambda point: point.rss) / grown
    if held >= max(made, 1 - held - made):
        return "stages"
    return "python" if made >= 1 - held - made else "rest"


def _rise(points: Sequence[SoakPoint], value: Callable[[SoakPoint], int]) -> float:
    """Return by how much the last third is above the first one, by steps; by time where there are none."""
    third = len(points) // 3
    first, last = points[:third], points[-third:]
    steps = statistics.median(one.steps for one in last) - statistics.median(one.steps for one in first)
    seconds = statistics.median(one.t for one in last) - statistics.median(one.t for one in first)
    return (statistics.median(map(value, last)) - statistics.median(map(value, first))) / (steps or seconds)


def end_of(used: int, slope: Slope, limit: int | None) -> SoakEnd | None:
    """Return when memory reaches the limit at this rate; None where that is not known, or far."""
    if limit is None or used >= limit or slope.low <= 0 or (limit - used) / slope.value > FARTHEST:
        return None
    room = limit - used
    return SoakEnd(
        seconds=room / slope.value, low=room / slope.high, high=min(room / slope.low, 10 * FARTHEST), limit_bytes=limit
    )


def measured_growth(looks: Sequence[Look], in_use: int | None = None) -> MemoryGrowth | None:
    """Judge the measured steps of a run without a soak; None where memory in use does not clearly grow.

    Args:
        in_use: Bytes by which blocks in use, glibc's and Python's, grew meanwhile; None where unknown.
    """
    measured = [look for look in looks if look.phase == "measure"]
    # Of datasets in turn the last one's.
    begins = [at for at, (one, other) in enumerate(pairwise(measured), 1) if other.steps < one.steps]
    measured = measured[begins[-1] if begins else 0 :]
    # By steps, so that time between two epochs does not count.
    points = [
        SoakPoint(look.steps, look.epoch, look.steps, look.rss, buffered=look.total)
        for look in measured
        if look.rss is not None
    ]
    judged = judge(points)
    several = len({point.epoch for point in judged.tail}) > 2
    certain = judged.state == "growth" or (judged.state == "unclear" and several)
    if not certain or judged.grown < LEAK_BYTES:
        return None
    first, last = measured[0].live, measured[-1].live
    used = (in_use or 0) + (last - first if first is not None and last is not None else 0)
    if used < IN_USE * (points[-1].rss - points[0].rss):
        return None
    in_use = round(used * judged.steps / (points[-1].steps - points[0].steps))
    return MemoryGrowth(bytes=judged.grown, steps=judged.steps, in_use_bytes=in_use)


OWNERS: dict[str | None, str] = {
    "stages": "the pipeline's stages hold what stays",
    "python": "Python's heap grows",
    "rest": "it is neither in Python's heap nor in the pipeline's buffers, but TensorFlow's or another library's",
    None: "the run ended before what grows was looked for",
}
_GREW = {
    "filling": ", held by the pipeline's stages, caches and buffers that fill: soak longer to see a plateau.",
    "garbage": ", and Python's garbage collector freed it in the end: objects that refer to each other stay until it "
    "runs. gc.collect() after an epoch frees them.",
    "unclear": " within a few epochs, which is no evidence of a leak: soak longer.",
}
"""What became of a growth that is no leak for certain, by state."""
_DAY, _HOUR, _MINUTE = 86_400.0, 3600.0, 60.0


def leak_text(memory: Memory) -> str:
    """State a leak: growth of memory in the measured steps, and the evidence; empty where there is none."""
    growth = memory.growth
    if growth is None or not growth.leak:
        return ""
    if memory.soak is not None:
        return memory.soak.sentence
    words, grown, over = grows(growth), growth.in_use_bytes or growth.bytes, ""
    if grown and growth.steps:
        over = f": {size(grown)} over the last {growth.steps:,} step{'' if growth.steps == 1 else 's'}"
    return f"{words[0].upper()}{words[1:]}{over}. `pipeprof run --soak 5m` shows what grows and when memory runs out."


def soak_text(soak: Soak) -> str:
    """State plateau or growth, what grows and when memory ends."""
    amount = f" by {_rate(soak)}" if soak.bytes_per_second else ""
    ends = f" {_end_text(soak.ends)}" if soak.ends is not None else ""
    if soak.state == "growth":
        low, high = size(max(0.0, soak.low or 0.0) * _HOUR), size(max(0.0, soak.high or 0.0) * _HOUR)
        return f"Memory grows{amount} ({low} to {high} in an hour): {OWNERS[soak.owner]}.{ends}"
    if soak.state == "plateau":
        return "Memory in use: plateau."
    if soak.state == "slow":
        lasts = f" Memory lasts for {duration_text(soak.ends.seconds)}." if soak.ends is not None else ""
        return f"Memory in use grows{amount}, which is too slow to matter.{lasts}"
    if soak.state in _GREW:
        return f"Memory in use grew{amount}{_GREW[soak.state]}{ends}"
    return f"The soak of {duration_text(soak.seconds)} was too short to tell plateau from growth: soak longer."


def _rate(soak: Soak) -> str:
    if soak.bytes_per_epoch is not None:
        return f"{size(max(0.0, soak.bytes_per_epoch))} in each epoch"
    return f"{size(max(0.0, soak.bytes_per_second or 0.0) * _HOUR)} in an hour"


def _end_text(ends: SoakEnd) -> str:
    low, high = duration_text(ends.low), duration_text(ends.high)
    about = duration_text(ends.seconds)
    return f"Memory runs out in about {about} at this rate ({low} to {high}; limit {size(ends.limit_bytes)})."


def duration_text(seconds: float) -> str:
    """Write a duration in two units.

    Example:
        >>> duration_text(12_030), duration_text(75), duration_text(9), duration_text(200_000)
        ('3 h 20 min', '1 min 15 s', '9 s', '2 d 8 h')
    """
    for unit, name, part, small in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "min"), (_MINUTE, "min", 1.0, "s")):
        if seconds >= unit:
            parts = round(seconds / part)
            whole, rest = divmod(parts, round(unit / part))
            return f"{whole:,} {name} {rest} {small}" if rest else f"{whole:,} {name}"
    return f"{seconds:.0f} s"
