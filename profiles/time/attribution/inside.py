"""Ops and Python functions as parts of their stage's time, and in the same kind of time.

A trace has an op's time by the wall clock, while it slows the pipeline down. The stage's own time is known better: what
TensorFlow's model counted in the trace window and in the measured one tells how much longer it took while traced; the
states of its threads tell how much of that they waited for a core. What is left is time on a core or blocked, as that
of the stage. Together the parts never take longer than the stage, and functions no longer than the op that calls them.

A Python function that computes holds Python's lock (the GIL). Where its thread was blocked while the lock was taken,
it waited for another function; that is no time of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from pipeprof.pipelines.graph.costs.costs import LEAST_SEEN
from pipeprof.profiles.document.stages import OpCost, PythonCost
from pipeprof.profiles.time.attribution.from_trace import parts_of
from pipeprof.profiles.time.attribution.stage_time import StageTime, Times, per_call_scale
from pipeprof.profiles.time.attribution.trace_work import Work

_Cost = TypeVar("_Cost", OpCost, PythonCost)


def split_inside(times: Times, work: Mapping[str, Work]) -> Times:
    """Make the ops and functions of each stage parts of its time; those of stages without one stay as traced."""
    found = {time.row.id: time for time in times}
    for time in times:
        if time.inside_ms is None or time.row.fused_with is not None:
            continue
        parts = parts_of(time, times)
        model = [work[other_time.row.id].model_ms for other_time in parts if other_time.row.id in work]
        for part in _split(time, parts, next((value for value in model if value), None), work):
            found[part.row.id] = part
    return tuple(found[time.row.id] for time in times)


def _split(
    whole: StageTime, parts: Sequence[StageTime], model_ms: float | None, work: Mapping[str, Work]
) -> list[StageTime]:
    """Split the time of the stage `whole`, which the model counted as `model_ms` for a traced batch."""
    work_ms = whole.body_ms + (whole.intra_op_ms or 0.0)
    most = work_ms - whole.beginning_ms
    before = _before_executor(whole)
    if not before > 0:
        return [replace(part, ops=_scaled(part.ops, 0.0), python=_scaled(part.python, 0.0)) for part in parts]
    scale = whole.scale
    if model_ms and whole.timed_by == "model" and LEAST_SEEN <= model_ms / before <= 1 / LEAST_SEEN:
        scale = before / model_ms
    total = sum(op.ms_per_batch for part in parts for op in part.ops or ()) * scale
    # Of the wall time, what was no waiting for a core; ops on more threads than one take more than that.
    active = work_ms / before
    factor = min(active, most / total) if total > 0 else active
    blocked = (whole.blocked_ms or 0.0) / whole.body_ms if whole.body_ms > 0 else 0.0
    return [
        replace(
            part,
            ops=_scaled(part.ops, scale * factor),
            python=_python(part, work.get(part.row.id), scale * factor, blocked, most),
        )
        for part in parts
    ]


def _before_executor(time: StageTime) -> float:
    """Wall time inside the stage as it was before the executor's part was added."""
    return max(time.body_ms, (time.inside_ms or 0.0) - (time.calling_ms or 0.0) - (time.passing_ms or 0.0))


def _python(part: StageTime, seen: Work | None, factor: float, blocked: float, most: float) -> list[PythonCost] | None:
    """Return the functions without waiting for the lock, no longer than what calls them."""
    if not part.python:
        return None
    if seen is not None and seen.python_cpu is not None:
        own = _scaled(part.python, per_call_scale(part, seen)) or []
    else:
        own = [
            cost.model_copy(update={"ms_per_batch": factor * cost.ms_per_batch * _own_share(cost, blocked)})
            for cost in part.python
        ]
    calling = {cost.parent for cost in part.python}
    room = sum(op.ms_per_batch for op in part.ops or () if op.op in calling) * factor or most
    return _fitted(own, room)


def _own_share(function: PythonCost, blocked: float) -> float:
    """The part of its time in which it computed, or was blocked with the lock free."""
    if function.lock_share is None:
        return 1.0
    return 1.0 - blocked + min(blocked, 1.0 - function.lock_share)


def _scaled(costs: Sequence[_Cost] | None, factor: float) -> list[_Cost] | None:
    return [cost.model_copy(update={"ms_per_batch": factor * cost.ms_per_batch}) for cost in costs] if costs else None


def _fitted(costs: list[_Cost], room: float) -> list[_Cost]:
    total = sum(cost.ms_per_batch for cost in costs)
    return _scaled(costs, room / total) or [] if total > room else costs
