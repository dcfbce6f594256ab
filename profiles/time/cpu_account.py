"""CPU account: how much of the process's CPU time stages, the Python loop, pipeprof and TensorFlow's runtime used.

Each stage's time passes through the pure steps of `attribution`; the document's rows are written once, at the end.
Where stages, loop and pipeprof together come to more CPU time than the process has used, they waited for cores more
than where each of them was measured, and all are scaled down to that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from pipeprof.pipelines.graph.costs.costs import LEAST_SEEN
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.document.time import CpuAccount
from pipeprof.profiles.time.attribution.call_overhead import add_calling, recover_waiting, without_waiting
from pipeprof.profiles.time.attribution.from_trace import from_trace, parts_of
from pipeprof.profiles.time.attribution.stage_time import (
    StageTime,
    Times,
    cap_at_threads,
    cap_trace_timed_stages,
    cap_waiting_at_window,
    from_model,
    scale_to_cpu,
    split_blocked,
    threads_of,
    without_pool_waits,
)
from pipeprof.profiles.time.attribution.trace_work import Work
from pipeprof.profiles.time.ceiling import stage_ceiling
from pipeprof.profiles.time.limits.cores import FREE_BELOW
from pipeprof.profiles.time.top_stage import unknown_stages

_Cost = TypeVar("_Cost", OpCost, PythonCost)


def split_inside(times: Times, work: Mapping[str, Work]) -> Times:
    """Make the ops and functions of each stage parts of its time; those of stages without one stay as traced."""
    found = {time.row.id: time for time in times}
    for time in times:
        if time.inside_ms is None or time.row.fused_with is not None:
            continue
        parts = parts_of(time, times)
        model = [work[part.row.id].model_ms for part in parts if part.row.id in work]
        for part in _split(time, parts, next((value for value in model if value), None)):
            found[part.row.id] = part
    return tuple(found[time.row.id] for time in times)


def _split(whole: StageTime, parts: Sequence[StageTime], model_ms: float | None) -> list[StageTime]:
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
        replace(part, ops=_scaled(part.ops, scale * factor), python=_python(part, scale * factor, blocked, most))
        for part in parts
    ]


def _before_executor(time: StageTime) -> float:
    """Wall time inside the stage as it was before the executor's part was added."""
    return max(time.body_ms, (time.inside_ms or 0.0) - (time.calling_ms or 0.0) - (time.passing_ms or 0.0))


def _python(part: StageTime, factor: float, blocked: float, most: float) -> list[PythonCost] | None:
    """Return the functions without waiting for the lock, no longer than what calls them."""
    if not part.python:
        return None
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


_SAMPLED_FROM = 0.5
"""Share of the stages' time whose threads must have been sampled for their waiting for a core to be stated."""


@dataclass(frozen=True)
class CpuUsage:
    """CPU time of the process, in milliseconds per batch; ``None`` where unknown.

    Attributes:
        loop_ms: Of the Python loop with its step.
        waiting_share: Of the threads' time that wanted a core, the part without one.
        throttled_share: Part of the time in which the cgroup's quota throttled the process.
        interval_ms: From one batch to the next, by the wall clock.
        traced_share: Of the time at work in the trace window, the part on a core, of all stages together.
        idle_cores: Cores that nothing used while measuring.
    """

    total_ms: float | None = None
    loop_ms: float | None = None
    pipeprof_ms: float | None = None
    waiting_share: float | None = None
    throttled_share: float | None = None
    interval_ms: float | None = None
    batches: int | None = None
    traced_share: float | None = None
    idle_cores: float | None = None


def attribute_time(
    stages: Sequence[Stage], work: Mapping[str, Work], usage: CpuUsage, cores: float
) -> tuple[list[Stage], CpuAccount | None]:
    """Split up each stage's time, and account for the process's CPU time.

    Args:
        stages: Rows with the time inside them and their share of it, as TensorFlow's model counts them.
        work: What the trace has, by address.
        cores: That the worker may use.

    Returns:
        The rows with all their times, and the account; no account where the process's CPU time is unknown.
    """
    running = 1.0 - (usage.waiting_share or 0.0)
    lost = _unattributed(stages) * running
    times = from_model(stages)
    times = from_trace(times, work, usage.batches)
    times = cap_at_threads(times, usage.interval_ms)
    times = threads_of(times)
    times = without_pool_waits(times, running)
    times = split_blocked(times, work, running, usage.traced_share)
    account = None
    if usage.total_ms is not None and any(time.inside_ms is not None for time in times):
        others = lost + (usage.loop_ms or 0.0) + (usage.pipeprof_ms or 0.0)
        by_model = sum(time.cpu_ms or 0.0 for time in times if time.timed_by != "trace")
        times = cap_trace_timed_stages(times, by_model + others, usage.total_ms)
        account = _account(times, usage, usage.total_ms, lost, complete=_all_read(times, work))
        times = scale_to_cpu(times, account.scale)
        before = _cpu_ms(times)
        times = add_calling(times, work, account.runtime_ms, running)
        times = recover_waiting(times, account.runtime_ms - (_cpu_ms(times) - before))
        times = cap_waiting_at_window(times, usage.interval_ms, cores)
        times = cap_at_threads(times, usage.interval_ms)
        if _cores_were_free(usage, cores):
            times = without_waiting(times)
        account = _with_executor(account, times, _cpu_ms(times) - before)
    times = split_inside(times, work)
    # What could not be assigned may be the work of a stage.
    unassigned = lost if account is None else account.unattributed_ms
    total = sum(time.active_ms for time in times) + unassigned
    return [_row(time, total, usage, cores) for time in times], account


def _cores_were_free(usage: CpuUsage, cores: float) -> bool:
    """Whether neither the process nor others left a thread without a core."""
    if usage.idle_cores is None or usage.total_ms is None or not usage.interval_ms:
        return False
    return usage.idle_cores > (1.0 - FREE_BELOW) * cores and usage.total_ms < FREE_BELOW * cores * usage.interval_ms


def _row(time: StageTime, total_ms: float, usage: CpuUsage, cores: float) -> Stage:
    """Write a stage's times into its row of the document."""
    found: dict[str, object] = {
        "ops": list(time.ops) if time.ops else None,
        "python": list(time.python) if time.python else None,
        "calls_per_batch": time.calls,
    }
    if time.inside_ms is not None:
        found |= {
            "time_ms_per_batch": time.inside_ms,
            "timed_by": time.timed_by,
            "cpu_ms_per_batch": time.cpu_ms,
            "blocked_ms_per_batch": time.blocked_ms,
            "intra_op_ms_per_batch": time.intra_op_ms,
            "calling_ms_per_batch": ((time.calling_ms or 0.0) + time.beginning_ms) or None,
            "share": time.active_ms / total_ms if total_ms else None,
        }
        ceiling = stage_ceiling(time, usage.interval_ms, cores, usage.idle_cores)
        if ceiling is not None:
            found["ceiling_batches_per_second"], found["ceiling_resource"] = ceiling
    return time.row.model_copy(update=found)


def _unattributed(stages: Sequence[Stage]) -> float:
    """Return the time inside stages that could not be attributed to one of them: what their shares lack."""
    inside = sum(stage.time_ms_per_batch or 0.0 for stage in stages)
    total = next(
        (stage.time_ms_per_batch / stage.share for stage in stages if stage.time_ms_per_batch and stage.share), 0
    )
    lost = total - inside
    return lost if lost > 1e-6 * total else 0.0


def _account(times: Times, usage: CpuUsage, total_ms: float, lost: float, *, complete: bool) -> CpuAccount:
    """Account for the process's CPU time; what remains may belong to a stage whose cost could not be read."""
    stages = sum(time.cpu_ms or 0.0 for time in times)
    parts = stages + lost + (usage.loop_ms or 0.0) + (usage.pipeprof_ms or 0.0)
    scale = min(1.0, total_ms / parts) if parts > 0 else 1.0
    remainder = max(0.0, total_ms - parts * scale)
    return CpuAccount(
        total_ms=total_ms,
        stages_ms=stages * scale,
        loop_ms=usage.loop_ms * scale if usage.loop_ms is not None else None,
        pipeprof_ms=usage.pipeprof_ms * scale if usage.pipeprof_ms is not None else None,
        unattributed_ms=lost * scale + (0.0 if complete else remainder),
        runtime_ms=remainder if complete else 0.0,
        waiting_share=usage.waiting_share,
        throttled_share=usage.throttled_share,
        scale=scale,
    )


def _with_executor(account: CpuAccount, times: Times, added_ms: float) -> CpuAccount:
    """Move CPU time from the runtime to the stages, and add the time in which stages waited for a core."""
    return account.model_copy(
        update={
            "stages_ms": account.stages_ms + added_ms,
            "runtime_ms": max(0.0, account.runtime_ms - added_ms),
            "waiting_ms": _waiting_ms(times),
        }
    )


def _cpu_ms(times: Times) -> float:
    return sum(time.cpu_ms or 0.0 for time in times)


def _all_read(times: Times, work: Mapping[str, Work]) -> bool:
    """Whether what remains cannot belong to a stage: one whose iterators had ended has no time, but a trace."""
    rows = [
        time.row.model_copy(update={"time_ms_per_batch": time.inside_ms, "ops": list(time.ops) if time.ops else None})
        for time in times
    ]
    unread = (row for row in rows if row.time_ms_per_batch is None and row.fused_with is None)
    seen = (work.get(row.id) for row in unread)
    return not unknown_stages(rows) and not any(traced is not None and (traced.ms or traced.calls) for traced in seen)


def _waiting_ms(times: Times) -> float | None:
    """Return the waiting for a core inside stages whose threads were sampled; `None` where these are too few."""
    sampled = [time for time in times if time.blocked_ms is not None]
    inside = sum(time.inside_ms or 0.0 for time in sampled)
    if inside < _SAMPLED_FROM * sum(time.inside_ms or 0.0 for time in times) or not inside:
        return None
    used = sum(time.active_ms - (time.intra_op_ms or 0.0) for time in sampled)
    return max(0.0, inside - used)


def step_cpu_ms(used_ms: float, stages: Sequence[Stage], training: Training | None, cores: float) -> float | None:
    """Return the CPU time per step of a script without that of its pipeline, at most; None where it is not known.

    What no stage accounts for counts, but no more than all cores can do while the script's thread is on one of them or
    within its tf.functions, where that is known.

    Args:
        used_ms: CPU time of its process per step.
        stages: Rows with their CPU time.
        training: How the script takes its batches.
        cores: Number that the process may use.
    """
    known = [one.cpu_ms_per_batch for one in stages if one.fused_with is None and one.cpu_ms_per_batch is not None]
    left = used_ms - sum(known)
    # Costs of all stages together that are more than the process used are no costs.
    if not known or left < 0:
        return None
    if training is None or training.own_ms is None:
        return left
    steps = sum(one.batches or 0 for one in training.datasets)
    called_ms = 1e3 * sum(one.seconds for one in training.functions) / max(1, steps)
    return min(left, cores * (training.own_ms + called_ms))
