"""Memory after the buffers have filled: series by stage, growth per step, leak detection."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from pipeprof.profiles.document.measured import Series
from pipeprof.profiles.document.memory import MemoryEpochs, MemoryGrowth, MemorySeries, PhaseGrew
from pipeprof.profiles.memory.growth.judge import IN_USE, LEAK_BYTES
from pipeprof.profiles.memory.ledger.buffers import Look

LEAST_WINDOWS = 3
MOST_WINDOWS = 10
WINDOW_SECONDS = 0.5
_PACE = 0.5
"""Least pace of the second half relative to the first, for a leak: a leak continues, while a cache of the user's own
that fills at random has half its pace left when it is half full."""
FULL = 1.02
"""A buffer is full from the look after which it never exceeds this multiple of its content."""
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_UPPER = 1.645
_MOST_ALIKE = 0.999


@dataclass(frozen=True)
class _MemoryPoint:
    """Steps, memory and epoch at one look, or their means over a window of looks."""

    steps: float
    rss: float
    live: float | None
    epoch: float


def memory_series(looks: Sequence[Look], origin: float) -> MemorySeries | None:
    """Build the series of buffered bytes by stage and of TensorFlow's live bytes, from the time `origin` on."""
    if not looks:
        return None
    stages = sorted({stage for look in looks for stage in look.by_stage})
    return MemorySeries(
        seconds=[round(look.t - origin, 3) for look in looks],
        epoch=[look.epoch for look in looks],
        live_bytes=[look.live for look in looks],
        stages={stage: [_held_at(look, stage) for look in looks] for stage in stages},
    )


def _held_at(look: Look, stage: str) -> int | None:
    """Bytes of a stage at a look; None where they are not known."""
    one = look.by_stage.get(stage)
    return 0 if one is None else one.bytes if one.counted else None


def largest_growth(looks: Sequence[Look], own: Mapping[str, float] | None = None) -> list[PhaseGrew] | None:
    """Return the stage whose buffer grew most in each phase, beyond its earlier maximum; None without looks.

    Args:
        own: The part of a stage's buffered bytes that is not another stage's, where that is not all of them.
    """
    if not looks:
        return None
    found: list[PhaseGrew] = []
    before: dict[str, int] = {}
    for phase in dict.fromkeys(look.phase for look in looks):
        most = dict(before)
        for look in looks:
            if look.phase == phase:
                for stage, one in look.by_stage.items():
                    most[stage] = max(most.get(stage, 0), round(one.bytes * (own or {}).get(stage, 1.0)))
        grown = {stage: most[stage] - before.get(stage, 0) for stage in most}
        largest = max(grown, key=lambda one: grown[one], default=None)
        if largest is not None and grown[largest] >= LEAK_BYTES:
            found.append(PhaseGrew(phase=phase, stage=largest, bytes=grown[largest]))
        before = most
    return found


def epoch_peaks(looks: Sequence[Look], series: Series, origin: float) -> MemoryEpochs | None:
    """Return the largest resident memory of the first epoch and of later ones; None if no epoch ended."""
    ends = [later.t - origin for earlier, later in pairwise(looks) if later.epoch > 0 == earlier.epoch]
    if not ends and not (looks and looks[0].epoch):
        return None
    end = ends[0] if ends else looks[0].t - origin
    running = [
        (t, rss)
        for t, rss, phase in zip(series.seconds, series.rss_bytes, series.phase, strict=True)
        if phase in ("first_element", "warmup", "measure")
    ]
    first = [rss for t, rss in running if t < end]
    later = [rss for t, rss in running if t >= end]
    if not first or not later:
        return None
    return MemoryEpochs(first_peak_bytes=max(first), later_peak_bytes=max(later))


def filled_at(looks: Sequence[Look]) -> float | None:
    """Return the time at which the last buffer was full; None without looks."""
    if not looks:
        return None
    at = looks[0].t
    most: dict[str, float] = {}
    for look in looks:
        for stage, one in look.by_stage.items():
            before = most.get(stage, 0.0)
            # A large buffer may fill slowly from look to look; a small one is no evidence of growth.
            if one.bytes > before + max(LEAK_BYTES / 5, min((FULL - 1) * before, LEAK_BYTES)):
                at, most[stage] = look.t, one.bytes
    return at


def leak_estimate(
    looks: Sequence[Look], series: Series, origin: float, *, in_use: int | None = None, children: bool = False
) -> MemoryGrowth | None:
    """Growth by steps in the measured window past every buffer's fill; None where that leaves fewer than three windows.

    Each look has the steps and the memory of one moment. The slope is that of all looks; where there are whole epochs
    enough, that of the epochs' means, as memory comes and goes within an epoch. It is called a leak only when resident
    memory rose from each window to the next, in the second half at no less than half the pace of the first, and so did
    what is in use: TensorFlow's live bytes in each of them, or glibc's and Python's blocks over the whole measured
    window, where all buffers were full before it.

    Args:
        in_use: Bytes by which blocks in use, glibc's and Python's, grew while measuring; None where unknown.
        children: There were child processes, which only the series counts.
    """
    measured = [look for look in looks if look.phase == "measure"]
    full = filled_at(looks)
    if full is None:
        return None
    after = [look for look in measured if look.t >= full]
    seen = _moments(after, series, origin, children=children)
    if len(seen) != len(after):
        return None
    windows = _windows(after, seen, _epoch_cuts(after))
    by_epoch = bool(windows)
    if not by_epoch:
        windows = _windows(after, seen, _even_cuts(after))
    if len(windows) < LEAST_WINDOWS:
        return None
    points = windows if by_epoch else seen
    rss = [point.rss for point in points]
    slope, half = trend([point.steps for point in points], rss)
    rose = windows[-1].rss - windows[0].rss
    held = after[-1].total - after[0].total
    outside = in_use if full <= measured[0].t else None
    used = _in_use_growth(windows, outside)
    return MemoryGrowth(
        mb_per_1000_steps=slope / 1e3,
        low=(slope - half) / 1e3,
        high=(slope + half) / 1e3,
        windows=len(windows),
        leak=rose >= LEAK_BYTES
        and slope - half > 0
        and held < rose / 2
        and (used is None or used > 0)
        and all(later.rss > earlier.rss for earlier, later in pairwise(windows))
        and _is_continuing(windows)
        and (_is_live_rising(windows) or (outside or 0) >= IN_USE * rose),
        stage=_largest_buffer_growth(after) if held >= rose / 2 > 0 else None,
        mb_per_epoch=trend([window.epoch for window in windows], rss)[0] / 1e6 if by_epoch else None,
        bytes=round(rose),
        steps=round(windows[-1].steps - windows[0].steps),
        in_use_bytes=used,
    )


def _in_use_growth(windows: Sequence[_MemoryPoint], outside: int | None) -> int | None:
    """Return the growth in bytes of memory in use, in TensorFlow's pool and outside; None where both are unknown."""
    first, last = windows[0].live, windows[-1].live
    live = round(last - first) if first is not None and last is not None else None
    return None if live is None and outside is None else (live or 0) + (outside or 0)


def filling_stage(looks: Sequence[Look]) -> str | None:
    """Return the stage whose buffer was still growing when the measurement ended; None where it ended long after."""
    measured = [look for look in looks if look.phase == "measure"]
    full = filled_at(looks)
    if len(measured) < 2 or measured[0].epoch != measured[-1].epoch:
        # Every epoch fills its buffers anew.
        return None
    if full is None or full < measured[-1].t - (measured[-1].t - measured[0].t) / LEAST_WINDOWS:
        return None
    stage = _largest_buffer_growth(measured)
    if stage is None:
        return None
    first = measured[0].by_stage.get(stage)
    grown = measured[-1].by_stage[stage].bytes - (first.bytes if first is not None else 0)
    return stage if grown >= LEAK_BYTES else None


def _largest_buffer_growth(looks: Sequence[Look]) -> str | None:
    first, last = looks[0].by_stage, looks[-1].by_stage
    grown = {stage: one.bytes - (first[stage].bytes if stage in first else 0) for stage, one in last.items()}
    stage = max(grown, key=lambda one: grown[one], default=None)
    return stage if stage is not None and grown[stage] > 0 else None


def _is_continuing(windows: Sequence[_MemoryPoint]) -> bool:
    """Return whether memory grew by steps in the second half about as it did in the first."""
    first, middle, last = windows[0], windows[len(windows) // 2], windows[-1]
    before = (middle.rss - first.rss) / max(1.0, middle.steps - first.steps)
    return (last.rss - middle.rss) / max(1.0, last.steps - middle.steps) >= _PACE * before


def _is_live_rising(windows: Sequence[_MemoryPoint]) -> bool:
    live = [window.live for window in windows]
    return None not in live and all((b.live or 0.0) > (a.live or 0.0) for a, b in pairwise(windows))


def _even_cuts(looks: Sequence[Look]) -> list[float]:
    """Return where windows of equal length begin and end; empty if there are too few."""
    if len(looks) < 2:
        return []
    begin, end = looks[0].t, looks[-1].t
    many = min(MOST_WINDOWS, len(looks) // 2, int((end - begin) / WINDOW_SECONDS))
    if many < LEAST_WINDOWS:
        return []
    return [begin + number * (end - begin) / many for number in range(many + 1)]


def _epoch_cuts(looks: Sequence[Look]) -> list[float]:
    """Return where windows of whole epochs begin and end, each of as many; empty if there are too few."""
    begins = [later.t for earlier, later in pairwise(looks) if later.epoch != earlier.epoch]
    if looks and looks[-1].t - looks[0].t < LEAST_WINDOWS * WINDOW_SECONDS:
        return []
    each = max(1, math.ceil((len(begins) - 1) / MOST_WINDOWS))
    cuts = begins[::each]
    return cuts if len(cuts) > LEAST_WINDOWS else []


def _moments(looks: Sequence[Look], series: Series, origin: float, *, children: bool) -> list[_MemoryPoint]:
    """Return steps and memory of each look; fewer where memory is not known."""
    found = []
    for look in looks:
        rss = memory_at(series, look.t - origin) if children or look.rss is None else look.rss
        if rss is not None:
            found.append(_MemoryPoint(look.steps, rss, look.live, look.epoch))
    return found


def memory_at(series: Series, at: float) -> float | None:
    """Return memory at a moment of the series, in bytes: between two samples, or the last one's."""
    later = bisect_left(series.seconds, at)
    if not series.seconds or later == len(series.seconds):
        return series.rss_bytes[-1] if series.rss_bytes else None
    earlier = max(0, later - 1)
    span = series.seconds[later] - series.seconds[earlier]
    part = (at - series.seconds[earlier]) / span if span > 0 else 1.0
    return series.rss_bytes[earlier] + part * (series.rss_bytes[later] - series.rss_bytes[earlier])


def _windows(looks: Sequence[Look], seen: Sequence[_MemoryPoint], cuts: Sequence[float]) -> list[_MemoryPoint]:
    """Average the looks between successive cuts; empty where an interval has none."""
    found = []
    for low, high in pairwise(cuts):
        last = high == cuts[-1] == looks[-1].t
        mine = [one for look, one in zip(looks, seen, strict=True) if low <= look.t < high or (last and look.t == high)]
        if not mine:
            return []
        live = [point.live for point in mine if point.live is not None]
        found.append(
            _MemoryPoint(
                fmean([point.steps for point in mine]),
                fmean([point.rss for point in mine]),
                fmean(live) if len(live) == len(mine) else None,
                fmean([point.epoch for point in mine]),
            )
        )
    return found


def trend(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Estimate the slope and half its 95 % interval, with autocorrelated errors; infinite where unknown.

    Memory comes and goes over several looks, so that the errors of neighbours are alike and the interval of least
    squares is too narrow. This is the regression of Prais and Winsten (Trend estimators and serial correlation, Cowles
    Commission 383, 1954): least squares after subtracting the part of each error that comes from the one before. That
    part is estimated from the residuals of a fitted line, which show too little of it, by (2 + 4 r) / n (Marriott and
    Pope, Biometrika 41, 1954, with a trend); taken is its upper 95 % bound (standard error: Bartlett, JRSS Supplement
    8, 1946), since an interval should rather be too wide. Simulated, it holds the slope 95 times of 100 and more where
    half of an error stays to the next look, and 91 times and more where four fifths stay.
    """
    n = len(x)
    if n < LEAST_WINDOWS or not any(value != x[0] for value in x):
        return 0.0, math.inf
    slope, rest = _line([1.0] * n, x, y)
    total = sum(value**2 for value in rest)
    if not total:
        return slope, 0.0
    seen = sum(a * b for a, b in pairwise(rest)) / total
    seen += (2 + 4 * max(0.0, seen)) / n
    seen += _UPPER * math.sqrt(max(0.0, 1 - seen**2) / n)
    alike = min(max(0.0, seen), _MOST_ALIKE)

    def without(of: Sequence[float]) -> list[float]:
        return [math.sqrt(1 - alike**2) * of[0], *(b - alike * a for a, b in pairwise(of))]

    level, steps = without([1.0] * n), without(x)
    slope, rest = _line(level, steps, without(y))
    share = sum(a * b for a, b in zip(level, steps, strict=True)) / sum(value**2 for value in level)
    spread = sum((b - share * a) ** 2 for a, b in zip(level, steps, strict=True))
    t = _T95[min(n - 2, len(_T95)) - 1]
    return slope, t * math.sqrt(sum(value**2 for value in rest) / (n - 2) / spread)


def _line(level: Sequence[float], x: Sequence[float], y: Sequence[float]) -> tuple[float, list[float]]:
    """Slope and residuals of ``y`` on ``x`` and ``level``, by least squares."""
    unit = sum(value**2 for value in level)

    def residuals_of_mean(of: Sequence[float]) -> list[float]:
        share = sum(a * b for a, b in zip(level, of, strict=True)) / unit
        return [b - share * a for a, b in zip(level, of, strict=True)]

    over, up = residuals_of_mean(x), residuals_of_mean(y)
    slope = sum(a * b for a, b in zip(over, up, strict=True)) / sum(value**2 for value in over)
    return slope, [b - slope * a for a, b in zip(over, up, strict=True)]
