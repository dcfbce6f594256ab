"""Memory over a run: its series by stage, the buffers that grew most, and growth after all of them were full."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from pipeprof.profiles.document.measured import Series
from pipeprof.profiles.document.memory import MemoryEpochs, MemoryGrowth, MemorySeries, PhaseGrew
from pipeprof.profiles.memory.buffers import Look
from pipeprof.profiles.memory.growth import LEAK_BYTES, SoakPoint
from pipeprof.profiles.memory.soak import suspected

FULL = 1.02
"""A buffer is full from the look after which it never exceeds this multiple of its content."""


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
        tuned={stage: [look.tuned.get(stage) for look in looks] for stage in sorted({*_all_tuned(looks)})},
    )


def _all_tuned(looks: Sequence[Look]) -> Iterator[str]:
    for look in looks:
        yield from look.tuned


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


def measured_growth(
    looks: Sequence[Look],
    series: Series,
    origin: float,
    *,
    in_use: int | None = None,
    children: bool = False,
    script: bool = False,
) -> MemoryGrowth | None:
    """Return the growth over the measured steps from when all buffers were full; None where memory does not grow.

    Args:
        in_use: Bytes by which blocks in use, glibc's and Python's, grew while measuring; None where unknown.
        children: There were child processes, which only the series counts.
        script: Each epoch of a script fills its buffers anew, and its own objects come and go: all looks count.
    """
    measured = [look for look in looks if look.phase == "measure"]
    full = None if script else filled_at(looks)
    after = [look for look in measured if full is None or look.t >= full]
    points = _moments(after, series, origin, children=children)
    if not points:
        return None
    outside = in_use if len(after) == len(measured) else None
    first, last = after[0].live, after[-1].live
    live = last - first if first is not None and last is not None else None
    used = None if live is None and outside is None else (live or 0) + (outside or 0)
    return suspected(points, used, warm=not script)


def _moments(looks: Sequence[Look], series: Series, origin: float, *, children: bool) -> list[SoakPoint]:
    """Memory at each look, by steps; of datasets in turn, at those of the last one."""
    begins = [at for at, (one, other) in enumerate(pairwise(looks), 1) if other.steps < one.steps]
    found = []
    for look in looks[begins[-1] if begins else 0 :]:
        rss = memory_at(series, look.t - origin) if children or look.rss is None else look.rss
        if rss is not None:
            found.append(SoakPoint(look.steps, look.epoch, look.steps, round(rss), buffered=look.total))
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
