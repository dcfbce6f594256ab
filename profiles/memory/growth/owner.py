"""Whose the growth of a soak is, and when memory ends at its rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import SoakEnd, SoakOwner
from pipeprof.profiles.memory.growth.judge import Slope, theil_sen
from pipeprof.profiles.memory.growth.series import SoakPoint
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.messages import SoakEvidence, SoakLine, SoakPlace, SoakTraced

_KEPT: tuple[Literal["iterators", "datasets"], ...] = ("iterators", "datasets")
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
    arrays and tensors that Python's allocations would name; their line is named as well, since something else
    may keep them. Then the line whose allocations stayed.

    Args:
        evidence: What the worker found once memory grew; None if it could not.
    """
    kept = evidence.places if evidence is not None else []
    line = _line_of(tail, slope, evidence)
    allocated = _at(line) if line is not None and not _holds_tensors(line) else None
    for owner in _KEPT:
        each = _per_epoch(tail, [getattr(point, owner) for point in tail])
        if each is not None:
            place = max(
                (one for one in kept if getattr(one, owner) > 1), key=lambda one: getattr(one, owner), default=None
            )
            return SoakOwner(
                owner=owner,
                count=getattr(place or tail[-1], owner),
                per_epoch=each,
                location=_at(place) if place is not None else None,
                allocated=allocated,
            )
    if evidence is None:
        return SoakOwner(owner="unknown")
    again = max(evidence.traced, key=lambda one: one.after - one.before, default=None)
    epochs = max(1, evidence.epochs)
    if again is not None and again.after - again.before >= max(3, EACH * epochs):
        return SoakOwner(
            owner="traces",
            count=again.after,
            objects=again.objects,
            per_epoch=(again.after - again.before) / epochs if evidence.epochs else None,
            function=again.function,
            location=_at(again),
        )
    if line is not None:
        return SoakOwner(
            owner="tensors" if _holds_tensors(line) else "python",
            bytes=line.bytes,
            function=line.function,
            location=_at(line),
            in_pipeline=line.in_pipeline,
        )
    return SoakOwner(owner="native")


def _at(place: SoakPlace | SoakLine | SoakTraced) -> Location:
    return Location(file=as_typed(place.file), line=place.line)


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
    tensors = [one for one in evidence.lines if _holds_tensors(one) and one.count >= _MORE]
    return max(tensors, key=lambda one: one.count, default=None)


def _holds_tensors(line: SoakLine) -> bool:
    return line.tensors and line.bytes < SMALL * line.count


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
