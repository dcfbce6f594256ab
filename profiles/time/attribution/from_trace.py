"""Times of stages that TensorFlow's model does not have, from the trace.

The iterators of such a stage had ended whenever the model was read, or nearly all of them. Its time is the trace's time
for one element, times the elements that must have come out of it. Where the trace saw less than `LEAST_SEEN` of them,
what it saw does not stand for the others, and there is no time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipeprof.pipelines.graph.costs.costs import LEAST_SEEN
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.attribution.stage_time import StageTime, Times
from pipeprof.profiles.time.attribution.trace_work import Work


def from_trace(times: Times, work: Mapping[str, Work], batches: int | None) -> Times:
    """Add the ops and functions of the trace, and its time of stages that the model does not have."""
    model = any(time.inside_ms is not None for time in times)
    found = tuple(_with_parts(time, work, 1.0) for time in times)
    return _by_elements(found, work, batches) if model else _by_window(found, work)


def parts_of(time: StageTime, times: Times) -> list[StageTime]:
    """The stage and those that TensorFlow fused with it."""
    return [part for part in times if time.row.id in (part.row.id, part.row.fused_with)]


def _with_parts(time: StageTime, work: Mapping[str, Work], scale: float) -> StageTime:
    seen = work.get(time.row.id)
    if seen is None:
        return time
    calls = time.calls if time.calls is not None else seen.calls * scale or None
    return replace(time, ops=seen.ops or None, python=seen.python or None, scale=scale, calls=calls)


def _by_window(times: Times, work: Mapping[str, Work]) -> Times:
    """Without a model, with autotune off, the trace window is all there is: longer than measured, but in proportion."""
    found = []
    for time in times:
        at_work = _whole_ms(parts_of(time, times), work)
        timed = at_work > 0 and time.row.fused_with is None
        found.append(replace(time, inside_ms=at_work, timed_by="trace") if timed else time)
    return tuple(found)


def _by_elements(times: Times, work: Mapping[str, Work], batches: int | None) -> Times:
    """Stages without a model sample: the trace's time for an element, times the number of their elements."""
    found = {time.row.id: time for time in times}
    alike = _Alike(times, work)
    for time in times:
        if time.inside_ms is not None or time.row.fused_with is not None or not batches:
            continue
        parts = parts_of(time, times)
        counted = [part.row for part in parts if part.row.elements is not None and _elements(part.row, work)]
        if not counted or not counted[-1].elements:
            found[time.row.id] = alike.timed(time, parts, batches)
            continue
        scale = counted[-1].elements / batches / work[counted[-1].id].elements
        if scale * LEAST_SEEN > 1:
            continue
        inside = scale * _whole_ms(parts, work)
        for part in parts:
            found[part.row.id] = _with_parts(part, work, scale)
        found[time.row.id] = replace(found[time.row.id], inside_ms=inside, timed_by="trace")
    return tuple(found[time.row.id] for time in times)


class _Alike:
    """Stages that the same line makes with the same function, as a loop does, and what an element takes in them.

    Each of hundreds is at work for a moment: those that the trace saw stand for those that it did not.
    """

    def __init__(self, times: Times, work: Mapping[str, Work]) -> None:
        self._ms: dict[object, float] = defaultdict(float)
        self._elements: dict[object, float] = defaultdict(float)
        for time in times:
            parts = parts_of(time, times) if time.row.fused_with is None and _made_by(time.row) is not None else []
            if (elements := next((seen for part in reversed(parts) if (seen := _elements(part.row, work))), 0.0)) > 0:
                self._ms[_made_by(time.row)] += _whole_ms(parts, work)
                self._elements[_made_by(time.row)] += elements

    def timed(self, time: StageTime, parts: Sequence[StageTime], batches: int) -> StageTime:
        """The stage with the time that others of its line take for its elements, where the trace saw enough of them."""
        by, number = _made_by(time.row), next((part.row.elements for part in reversed(parts) if part.row.elements), 0)
        seen = self._elements.get(by, 0.0)
        if by is None or not number or seen < LEAST_SEEN * number:
            return time
        return replace(time, inside_ms=self._ms[by] / seen * number / batches, timed_by="trace")


def _made_by(stage: Stage) -> object:
    place = stage.location
    return (stage.op, stage.body, place.file, place.line, place.column) if place is not None else None


def _whole_ms(parts: Sequence[StageTime], work: Mapping[str, Work]) -> float:
    """All time that the trace has of a stage: its calls may stand at another part than their ops."""
    seen = [work[time.row.id] for time in parts if time.row.id in work]
    return max(sum(one.at_work for one in seen), sum(one.ms + one.calling for one in seen))


def _elements(stage: Stage, work: Mapping[str, Work]) -> float:
    return work[stage.id].elements if stage.id in work else 0.0
