"""Times of stages that TensorFlow's model does not have, from the trace.

The iterators of such a stage had ended whenever the model was read, or nearly all of them. Its time is the trace's time
for one element, times the elements that must have come out of it. Where the trace saw less than `LEAST_SEEN` of them,
what it saw does not stand for the others, and there is no time.
"""

from __future__ import annotations

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
    for time in times:
        if time.inside_ms is not None or time.row.fused_with is not None or not batches:
            continue
        parts = parts_of(time, times)
        counted = [part.row for part in parts if part.row.elements is not None and _elements(part.row, work)]
        if not counted or not counted[-1].elements:
            continue
        scale = counted[-1].elements / batches / work[counted[-1].id].elements
        if scale * LEAST_SEEN > 1:
            continue
        inside = scale * _whole_ms(parts, work)
        for part in parts:
            found[part.row.id] = _with_parts(part, work, scale)
        found[time.row.id] = replace(found[time.row.id], inside_ms=inside, timed_by="trace")
    return tuple(found[time.row.id] for time in times)


def _whole_ms(parts: Sequence[StageTime], work: Mapping[str, Work]) -> float:
    """All time that the trace has of a stage: its calls may stand at another part than their ops."""
    seen = [work[time.row.id] for time in parts if time.row.id in work]
    return max(sum(one.at_work for one in seen), sum(one.ms + one.calling for one in seen))


def _elements(stage: Stage, work: Mapping[str, Work]) -> float:
    return work[stage.id].elements if stage.id in work else 0.0
