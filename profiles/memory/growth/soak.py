"""The soak of a profile: from the worker's readings to what the report says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import MemoryGrowth, Soak, SoakEnd, SoakOwner
from pipeprof.profiles.memory.growth.judge import judge
from pipeprof.profiles.memory.growth.robust import Slope, theil_sen
from pipeprof.profiles.memory.growth.series import SoakPoint
from pipeprof.profiles.memory.growth.texts import soak_text
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from pipeprof.profiles.memory.growth.series import SoakLog
    from pipeprof.profiles.protocol.messages import SoakEvidence, SoakLine


EACH = 0.05
"""Of a pass over the dataset: an object that is made in each twentieth one at least, and stays. An epoch of the user's
may have several passes."""
_MORE = 5
"""Objects by which their number must have grown."""
_EXPLAINS = 0.4
"""Share of the growth from which on the line that allocated it is its owner."""
SMALL = 1000
"""Bytes of an object that holds a tensor at most: the tensor's own are TensorFlow's."""
FARTHEST = 366 * 86_400.0
"""Seconds beyond which no end is reported."""


def owner_of(tail: Sequence[SoakPoint], slope: Slope, evidence: SoakEvidence | None) -> SoakOwner:
    """Name the owner of a growth.

    What exists once more in each epoch comes first: iterators, datasets, and functions that are traced again keep the
    arrays and tensors that Python's allocations would name. Then the line whose allocations stayed.

    Args:
        tail: The windows after the warm-up.
        slope: Their bytes per second.
        evidence: What the worker found once memory grew; None if it could not.
    """
    iterators = _per_epoch(tail, [point.iterators for point in tail])
    datasets = _per_epoch(tail, [point.datasets for point in tail])
    kept = evidence.places if evidence is not None else []
    line = _line_of(tail, slope, evidence)
    if iterators is not None:
        place = max((one for one in kept if one.iterators > 1), key=lambda one: one.iterators, default=None)
        count = place.iterators if place is not None else tail[-1].iterators
        return SoakOwner(
            owner="iterators",
            count=count,
            per_epoch=iterators,
            location=Location(file=as_typed(place.file), line=place.line) if place is not None else None,
        )
    if datasets is not None:
        place = max((one for one in kept if one.datasets > 1), key=lambda one: one.datasets, default=None)
        return SoakOwner(
            owner="datasets",
            count=place.datasets if place is not None else tail[-1].datasets,
            per_epoch=datasets,
            location=Location(file=as_typed(place.file), line=place.line) if place is not None else None,
        )
    if evidence is None:
        return SoakOwner(owner="unknown")
    again = max(evidence.traced, key=lambda one: one.after - one.before, default=None)
    epochs = max(1, evidence.epochs)
    if again is not None and again.after - again.before >= max(3, EACH * epochs):
        return SoakOwner(
            owner="traces",
            count=again.after,
            per_epoch=(again.after - again.before) / epochs if evidence.epochs else None,
            function=again.function,
            location=Location(file=as_typed(again.file), line=again.line),
        )
    if line is not None:
        return SoakOwner(
            owner="tensors" if line.tensors and line.bytes < SMALL * line.count else "python",
            bytes=line.bytes,
            function=line.function,
            location=Location(file=as_typed(line.file), line=line.line),
            in_pipeline=line.in_pipeline,
        )
    return SoakOwner(owner="native")


def _line_of(tail: Sequence[SoakPoint], slope: Slope, evidence: SoakEvidence | None) -> SoakLine | None:
    """The line of the user's that allocated most of what stayed; None where none explains the growth.

    The growth is expected by steps: while allocations are traced a step takes longer.
    """
    if evidence is None or not evidence.lines:
        return None
    steps, seconds = tail[-1].steps - tail[0].steps, tail[-1].t - tail[0].t
    expected = slope.value * (seconds * evidence.steps / steps if steps and evidence.steps else evidence.seconds)
    most = max(evidence.lines, key=lambda one: one.bytes)
    if most.bytes >= _EXPLAINS * expected:
        return most
    tensors = [one for one in evidence.lines if one.tensors and one.bytes < SMALL * one.count and one.count >= _MORE]
    return max(tensors, key=lambda one: one.count, default=None)


def _per_epoch(tail: Sequence[SoakPoint], counts: Sequence[int | None]) -> float | None:
    """Return how many more there are after each epoch; None where their number does not grow with epochs."""
    known = [(point.epoch, count) for point, count in zip(tail, counts, strict=True) if count is not None]
    if len(known) < len(tail) or not known or known[-1][1] - known[0][1] < _MORE:
        return None
    slope = theil_sen([epoch for epoch, _ in known], [float(count) for _, count in known])
    return slope.value if slope.low >= EACH else None


def end_of(used: int, slope: Slope, limit: int | None) -> SoakEnd | None:
    """Return when memory reaches the limit at this rate; None where that is not known, or far."""
    if limit is None or used >= limit or slope.low <= 0 or (limit - used) / slope.value > FARTHEST:
        return None
    room = limit - used
    return SoakEnd(
        seconds=room / slope.value, low=room / slope.high, high=min(room / slope.low, 10 * FARTHEST), limit_bytes=limit
    )


GARBAGE = 0.5
"""Share of a growth that Python's garbage collector has to free in the end, so that it is no growth."""

SLOW = 7 * 86_400.0
"""Seconds for which memory has to last, so that a growth matters to no training: that of a history of numbers."""


def soak_of(
    log: SoakLog, evidence: SoakEvidence | None, limit: int | None, used: int | None = None
) -> tuple[Soak, MemoryGrowth | None]:
    """Judge a soak, also one that is under way.

    Args:
        evidence: What the worker found of the owner.
        limit: Bytes at which memory ends.
        used: Memory now, that of child processes with it; that of the last point if None.
    """
    judged = judge(log.points)
    freed = evidence.freed if evidence is not None else None
    if judged.state == "growth" and freed is not None and freed >= GARBAGE * judged.grown:
        judged = replace(judged, state="garbage")
    slope = judged.slope
    now = used or (judged.tail[-1].rss if judged.tail else 0)
    ends = end_of(now, slope, limit) if slope is not None and judged.tail else None
    if judged.state == "growth" and limit is not None and now < limit and (ends is None or ends.seconds > SLOW):
        judged = replace(judged, state="slow")
    grows = judged.state == "growth" and slope is not None
    rate = slope if slope is not None and judged.state in ("growth", "slow", "filling", "unclear", "garbage") else None
    last = log.points[-1] if log.points else None
    soak = Soak(
        seconds=last.t if last is not None else 0.0,
        state=judged.state,
        since_epoch=judged.since_epoch if judged.state == "plateau" else None,
        since_seconds=judged.since if judged.state == "plateau" else None,
        bytes_per_second=rate.value if rate is not None else None,
        low=rate.low if rate is not None else None,
        high=rate.high if rate is not None else None,
        bytes_per_epoch=judged.bytes_per_epoch if rate is not None else None,
        owner=owner_of(judged.tail, slope, evidence) if slope is not None and grows else None,
        ends=ends if grows or judged.state == "slow" else None,
        sampler_cores=log.cores,
        series=log.series(),
    )
    soak = soak.model_copy(update={"sentence": soak_text(soak)})
    tail = judged.tail
    if slope is None or not grows:
        return soak, None
    steps = tail[-1].steps - tail[0].steps
    scale = (tail[-1].t - tail[0].t) / steps * 1e3 / 1e6 if steps else 0.0
    growth = MemoryGrowth(
        mb_per_1000_steps=slope.value * scale,
        low=max(-1e12, slope.low * scale),
        high=min(1e12, slope.high * scale),
        windows=len(tail),
        leak=True,
        bytes=judged.grown,
        steps=steps,
        in_use_bytes=judged.grown if tail[-1].in_use is not None else None,
        mb_per_epoch=judged.bytes_per_epoch / 1e6 if judged.bytes_per_epoch is not None else None,
    )
    return soak, growth
