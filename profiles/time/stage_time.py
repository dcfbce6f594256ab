"""A stage's time per batch, and the pure steps that it passes through before the document is written.

TensorFlow's model counts the time that threads spend *inside* a stage, by the wall clock. It is split by what the
stage's threads did in the trace window: computing, waiting for a core, or blocked (input and output, sleep, locks).
Tracing slows a pipeline, so only these proportions are used. The threads on which TensorFlow splits up single ops are
added, by what the trace has of their pool. What TensorFlow fused stays one: its time stands at the first of its parts.

A stage whose iterators had ended whenever the model was read has the trace's time for an element, times the elements
that must have come out of it. Tracing inflates that time, so such stages together get no more CPU time than the others
leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import MOST_TRACE_SLOWDOWN
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.time.trace_work import Work

_Cost = TypeVar("_Cost", OpCost, PythonCost)


@dataclass(frozen=True)
class StageTime:
    """Times of a stage in milliseconds per batch, summed over threads; ``None`` where unknown.

    Attributes:
        row: The stage in the document; only what is no time is read from it.
        inside_ms: Wall time inside the stage: computing, blocked, waiting for a core.
        timed_by: Whether `inside_ms` comes from TensorFlow's model or from the trace.
        cpu_ms: CPU time, that of other threads for single ops and of calling its functions included.
        blocked_ms: Part of `inside_ms` in which its threads neither computed nor wanted a core.
        intra_op_ms: Part of `cpu_ms` on other threads, on which TensorFlow splits up single ops.
        calling_ms: Part of `cpu_ms` that calling its functions takes.
        calls: Calls of its functions per batch.
        threads: How many threads may be inside it at a time, by the model.
        ops: Its ops, by the trace; together never longer than `inside_ms`.
        python: Its Python functions, by the trace; together never longer than `inside_ms`.
    """

    row: Stage
    inside_ms: float | None = None
    timed_by: Literal["model", "trace"] | None = None
    cpu_ms: float | None = None
    blocked_ms: float | None = None
    intra_op_ms: float | None = None
    calling_ms: float | None = None
    calls: float | None = None
    threads: float | None = None
    ops: Sequence[OpCost] | None = None
    python: Sequence[PythonCost] | None = None

    @property
    def active_ms(self) -> float:
        """Time inside the stage without waiting for a core."""
        return (self.cpu_ms or 0.0) + (self.blocked_ms or 0.0)


Times = tuple[StageTime, ...]


def from_model(stages: Sequence[Stage]) -> Times:
    """Take the wall time inside each stage as TensorFlow's model counts it."""
    return tuple(
        StageTime(
            row=stage,
            inside_ms=stage.time_ms_per_batch,
            timed_by="model" if stage.time_ms_per_batch is not None else None,
        )
        for stage in stages
    )


def from_trace(times: Times, work: Mapping[str, Work], batches: int | None) -> Times:
    """Add the ops and functions of the trace, and its time of stages that the model does not have."""
    model = any(time.inside_ms is not None for time in times)
    found = tuple(replace(time, ops=_ops(time, work, 1.0), python=_python(time, work, 1.0)) for time in times)
    return _by_elements(found, work, batches) if model else _by_window(found, work)


def _by_window(times: Times, work: Mapping[str, Work]) -> Times:
    """Without a model, with autotune off, the trace window is all there is: longer than measured, but in proportion."""
    found = []
    for time in times:
        seen = [work[part.row.id] for part in _parts(time, times) if part.row.id in work]
        at_work = max(sum(one.at_work for one in seen), sum(one.ms + one.calling for one in seen))
        timed = at_work > 0 and time.row.fused_with is None
        found.append(replace(time, inside_ms=at_work, timed_by="trace") if timed else time)
    return tuple(found)


def _by_elements(times: Times, work: Mapping[str, Work], batches: int | None) -> Times:
    """Stages without a model sample: the trace's time for an element, times the number of their elements."""
    found = {time.row.id: time for time in times}
    for time in times:
        if time.inside_ms is not None or time.row.fused_with is not None or not batches:
            continue
        parts = _parts(time, times)
        counted = [one.row for one in parts if one.row.elements is not None and _elements(one.row, work)]
        if not counted or not counted[-1].elements:
            continue
        factor = counted[-1].elements / batches / work[counted[-1].id].elements
        seen = [work[one.row.id] for one in parts if one.row.id in work]
        inside = factor * sum(max(one.at_work, one.ms + one.calling) for one in seen)
        for part in parts:
            found[part.row.id] = replace(part, ops=_ops(part, work, factor), python=_python(part, work, factor))
        found[time.row.id] = replace(found[time.row.id], inside_ms=inside, timed_by="trace")
    return tuple(found[time.row.id] for time in times)


def _parts(time: StageTime, times: Times) -> list[StageTime]:
    """The stage and those that TensorFlow fused with it."""
    return [one for one in times if time.row.id in (one.row.id, one.row.fused_with)]


def _elements(stage: Stage, work: Mapping[str, Work]) -> float:
    return work[stage.id].elements if stage.id in work else 0.0


def _ops(time: StageTime, work: Mapping[str, Work], factor: float) -> Sequence[OpCost] | None:
    return _scaled(work[time.row.id].ops, factor) or None if time.row.id in work else None


def _python(time: StageTime, work: Mapping[str, Work], factor: float) -> Sequence[PythonCost] | None:
    return _scaled(work[time.row.id].python, factor) or None if time.row.id in work else None


def _scaled(costs: Sequence[_Cost], factor: float) -> list[_Cost]:
    return [cost.model_copy(update={"ms_per_batch": factor * cost.ms_per_batch}) for cost in costs]


def cap_at_interval(times: Times, interval_ms: float | None) -> Times:
    """Cap the time inside a stage that runs one call at a time at the time that passed.

    The model counts a call in the thread that waits for it and in the one that makes it. Where both wait for a core the
    sum is larger than what passed. The threads of a stage follow, by its ceiling in the model's time.
    """
    found = []
    for time in times:
        inside = time.inside_ms
        if inside is not None and interval_ms is not None and time.row.parallelism == 1.0:
            inside = min(inside, interval_ms)
        ceiling = time.row.ceiling_batches_per_second
        threads = ceiling * inside / 1000 if ceiling is not None and inside else None
        found.append(replace(time, inside_ms=inside, threads=threads))
    return tuple(found)


def fit_ops(times: Times) -> Times:
    """Scale ops and functions of the trace window, which tracing inflates, down to the time of their stage."""
    return tuple(
        replace(time, ops=_fitted(time.ops, time.inside_ms or 0.0), python=_fitted(time.python, time.inside_ms or 0.0))
        for time in times
    )


def _fitted(costs: Sequence[_Cost] | None, inside_ms: float) -> Sequence[_Cost] | None:
    total = sum(cost.ms_per_batch for cost in costs or ())
    return _scaled(costs, inside_ms / total) if costs and total > inside_ms > 0 else costs


def split_blocked(times: Times, work: Mapping[str, Work], running: float, traced_running: float | None) -> Times:
    """Split the time inside each stage into computing, blocked and waiting for a core.

    Args:
        times: With the time inside.
        work: Of the trace window, by address.
        running: Of the time in which threads of the process wanted a core, the part with one; for stages whose threads
            were not sampled.
        traced_running: The same in the trace window, for stages that the trace timed; ``None`` where unknown.
    """
    found = []
    for time in times:
        if time.inside_ms is None:
            found.append(time)
            continue
        seen = work.get(time.row.id)
        share = traced_running if time.timed_by == "trace" and traced_running is not None else running
        found.append(_split(time, time.inside_ms, seen, share))
    return tuple(found)


def _split(time: StageTime, inside: float, seen: Work | None, running: float) -> StageTime:
    blocked, intra_op = None, None
    if seen is None or seen.computing is None or seen.waiting is None or traits(time.row.op).copies_rows:
        cpu = inside * running
    else:
        cpu = inside * seen.computing
        blocked = max(0.0, inside * (1.0 - seen.computing - seen.waiting))
    if seen is not None and seen.intra_op:
        intra_op = inside * seen.intra_op
        cpu += intra_op
    return replace(time, cpu_ms=cpu, blocked_ms=blocked, intra_op_ms=intra_op)


def cap_trace_timed_stages(times: Times, others_ms: float, total_ms: float) -> Times:
    """Scale down trace-timed stages so that all stages fit the process's CPU time: tracing inflates them.

    Args:
        times: With their CPU time.
        others_ms: CPU time per batch of everything else.
        total_ms: CPU time per batch of the process.
    """
    traced = [time for time in times if time.timed_by == "trace"]
    used = sum(time.cpu_ms or 0.0 for time in traced)
    most = max(total_ms - others_ms, used / MOST_TRACE_SLOWDOWN)
    if all(time.timed_by == "trace" for time in times if time.inside_ms is not None) or used <= most:
        return times
    found = []
    for time in times:
        if time.timed_by != "trace":
            found.append(time)
            continue
        blocked = time.blocked_ms or 0.0
        less = replace(
            _with_cpu_scaled(time, most / used),
            inside_ms=blocked + ((time.inside_ms or 0.0) - blocked) * most / used,
        )
        found.extend(fit_ops((less,)))
    return tuple(found)


def _with_cpu_scaled(time: StageTime, factor: float) -> StageTime:
    return replace(
        time,
        cpu_ms=time.cpu_ms * factor if time.cpu_ms is not None else None,
        intra_op_ms=time.intra_op_ms * factor if time.intra_op_ms is not None else None,
    )


def scale_to_cpu(times: Times, scale: float) -> Times:
    """Scale CPU times so that stages, loop and pipeprof fit the CPU time of the process.

    Where they come to more, they waited for cores more than where each of them was measured.
    """
    return tuple(_with_cpu_scaled(time, scale) for time in times)


def cap_at_wall_time(times: Times, interval_ms: float | None) -> Times:
    """Cap the calls' part at what passed: calls that wait for each other overlap with waking and ending the next."""
    found = []
    for time in times:
        if time.calling_ms is not None and time.threads is not None and interval_ms is not None:
            inside = time.inside_ms or 0.0
            capped = min(inside, max(inside - time.calling_ms, time.threads * interval_ms))
            found.append(replace(time, inside_ms=capped))
        else:
            found.append(time)
    return tuple(found)


def cap_waiting_at_window(times: Times, interval_ms: float | None, cores: float) -> Times:
    """Cap the waiting for cores of trace-timed stages: no more than passed while measuring."""
    if interval_ms is None or not any(time.timed_by == "model" for time in times):
        return times
    found = []
    for time in times:
        if time.timed_by != "trace":
            found.append(time)
            continue
        several = time.row.depth > 0 or executed(time.row.tf_op or "").asynchronous
        passed = interval_ms * ((time.row.parallelism or cores) if several else 1.0)
        found.append(replace(time, inside_ms=min(time.inside_ms or 0.0, max(passed, time.active_ms))))
    return tuple(found)
