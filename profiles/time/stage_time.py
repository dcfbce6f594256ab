"""Stage time in three steps: the wall time inside each stage, what its threads did in it, one scale to the CPU time.

1. TensorFlow's model counts the time that threads spend *inside* a stage, by the wall clock. A stage whose iterators
   had ended whenever the model was read has the trace's time for an element, times the elements that came out of it.
2. The time is split by what the stage's threads did in the trace window: computing, blocked (input and output, sleep,
   locks), or waiting for a core. Tracing slows a pipeline, so only these proportions are used. The threads on which
   TensorFlow splits up single ops are added. Where nothing was sampled, all of it is computing, but for what the
   kernel counts as waiting.
3. Where stages, loop and pipeprof come to more CPU time than the process used, all are scaled down to that. What is
   left was no waiting for a core, where stages seem to have waited for one, and pays for calling their functions, which
   the model does not count; the rest is TensorFlow's runtime.

What TensorFlow fused stays one: its time stands at the first of its parts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.costs.costs import LEAST_SEEN
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import CALL_US, COPIED_BYTES_PER_US
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.document.stages import CpuAccount, PythonCost, Stage
from pipeprof.profiles.time.top_stage import unknown_stages
from pipeprof.profiles.time.trace_work import Work

_COPIED_IN_POOL = 1 << 15
"""Bytes of a row from which TensorFlow 2.21 copies rows into a batch on threads of the pool (``parallel_copy``)."""
_NOT_BY_BYTES = ("string", "variant")
"""Types of elements that take longer to copy than their bytes."""
_SLOWEST_COPY = COPIED_BYTES_PER_US / 8
"""Bytes per µs that are copied at least, page faults of new memory included."""
_LEAST_RUNNING = 0.05
_LEAST_MS = 1e-9
"""Below it a time is none."""
_MOST_SLOWDOWN = 2.0
"""How many times as long a stage of elements of a microsecond takes while it is traced."""
_SAMPLED_FROM = 0.5
"""Share of the stages' time whose threads must have been sampled for their waiting for a core to be stated."""


@dataclass(frozen=True)
class CpuUsage:
    """CPU time of the process, in milliseconds per batch; ``None`` where unknown.

    Attributes:
        loop_ms: Of the Python loop with its step.
        waiting_share: Of the threads' time that wanted a core, the part without one.
        throttled_share: Part of the time in which the cgroup's quota throttled the process.
    """

    total_ms: float | None = None
    loop_ms: float | None = None
    pipeprof_ms: float | None = None
    waiting_share: float | None = None
    throttled_share: float | None = None
    interval_ms: float | None = None
    batches: int | None = None

    @property
    def running(self) -> float:
        """Of the time in which threads wanted a core, the part with one."""
        return 1.0 - (self.waiting_share or 0.0)


@dataclass
class _Time:
    """Times of a stage in milliseconds per batch, summed over threads.

    Attributes:
        parts: The stage, and those that TensorFlow fused with it.
        wall: Inside the stage: computing, blocked, waiting for a core.
        blocked: `None` where its threads were not sampled.
        cpu: That of other threads for single ops included.
        traced: What the trace, or the model of its window, has of `wall`.
        calling: CPU time that calling its functions takes beyond what the model counts.
    """

    parts: list[Stage]
    wall: float
    by_trace: bool
    traced: float = 0.0
    cpu: float = 0.0
    blocked: float | None = None
    intra_op: float = 0.0
    calling: float = 0.0
    works: Mapping[str, Work] = field(default_factory=dict)

    @property
    def body(self) -> float:
        """On a core or blocked, without calling its functions."""
        return self.cpu + (self.blocked or 0.0)


def attribute_time(
    stages: Sequence[Stage], work: Mapping[str, Work], usage: CpuUsage
) -> tuple[list[Stage], CpuAccount | None]:
    """Split up each stage's time, and account for the process's CPU time; no account where that is unknown.

    Args:
        stages: Rows with the time inside them and their share of it, as TensorFlow's model counts them.
        work: What the trace has, by address.
    """
    times = _wall_times(stages, work, usage)
    for time in times.values():
        _split(time, usage.running)
    lost = _unattributed(stages) * usage.running
    account = _scaled(stages, times, work, usage, lost) if usage.total_ms is not None and times else None
    for time in times.values():
        time.wall = _capped(time.parts[0], max(time.wall, time.cpu - time.intra_op + (time.blocked or 0.0)), usage)
        time.wall = _capped(time.parts[0], time.wall + time.calling, usage)
    total = sum(time.body + time.calling for time in times.values())
    # What could not be assigned may be the work of a stage.
    total += lost if account is None else account.unattributed_ms
    parts = {one.id: time for time in times.values() for one in time.parts}
    rows = [stage.model_copy(update=_costs_inside(stage, parts.get(stage.id), work.get(stage.id))) for stage in stages]
    return [_with_times(row, times[row.id], total) if row.id in times else row for row in rows], account


def _wall_times(stages: Sequence[Stage], work: Mapping[str, Work], usage: CpuUsage) -> dict[str, _Time]:
    """The time inside each stage: by the model, else by the trace's time for an element of it or of others of its line.

    Each of hundreds that a loop makes is at work for a moment: those that the trace saw stand for those that it did
    not. Without a model, with autotune off, the trace window is all there is: longer than measured, but in proportion.
    """
    by_model = any(stage.time_ms_per_batch is not None for stage in stages)
    fused: dict[str, list[Stage]] = {stage.id: [stage] for stage in stages if stage.fused_with is None}
    for stage in stages:
        if stage.fused_with in fused:
            fused[stage.fused_with].append(stage)
    seen_ms: dict[object, float] = defaultdict(float)
    seen_elements: dict[object, float] = defaultdict(float)
    for parts in fused.values():
        elements = next((work[one.id].elements for one in reversed(parts) if one.id in work), 0.0)
        if elements:
            seen_ms[_made_by(parts[0])] += _traced_ms(parts, work)
            seen_elements[_made_by(parts[0])] += elements
    found = {}
    for id_, parts in fused.items():
        wall, traced = parts[0].time_ms_per_batch, _traced_ms(parts, work)
        by_trace, works = wall is None, {one.id: work[one.id] for one in parts if one.id in work}
        if wall is None and not by_model:
            wall = traced or None
        elif wall is None and usage.batches:
            number = next((one.elements for one in reversed(parts) if one.elements), 0) / usage.batches
            seen = seen_elements[_made_by(parts[0])]
            wall = seen_ms[_made_by(parts[0])] / seen * number if number and seen >= LEAST_SEEN * number else None
        if wall is None:
            continue
        if not by_trace:
            wall = _without_pool_waits(parts[0], wall, usage.running)
            traced = next((one.model_ms for one in works.values() if one.model_ms), None) or wall
        found[id_] = _Time(parts, _capped(parts[0], wall, usage), by_trace, traced, works=works)
    return found


def _made_by(stage: Stage) -> object:
    place = stage.location
    return (stage.op, stage.body, place.file, place.line, place.column) if place is not None else stage.id


def _traced_ms(parts: Sequence[Stage], work: Mapping[str, Work]) -> float:
    """All time that the trace has of a stage: its calls may stand at another part than their ops."""
    seen = [work[one.id] for one in parts if one.id in work]
    return max(sum(one.at_work for one in seen), sum(one.ms + one.calling for one in seen))


def _capped(stage: Stage, wall: float, usage: CpuUsage) -> float:
    """No thread spends more time than passes: the model counts a call in the thread that waits for it as well."""
    if stage.threads is None or usage.interval_ms is None:
        return wall
    return min(wall, stage.threads * usage.interval_ms)


def _without_pool_waits(stage: Stage, wall: float, running: float) -> float:
    """Leave out of a batch's time the part in which it waits for threads of the pool, which other calls hold.

    The model stops the clock of a stage that waits for its input, and not that of a batch whose rows are to be copied
    on such threads: with 60 calls of Python before it, that was 208 of 211 ms for 0.2 MB.
    """
    each, given = stage.inputs_each, stage.bytes_out_per_batch
    if not traits(stage.op).copies_rows or traits(stage.op).function is not None or not each or given is None:
        return wall
    of_bytes = all(component.dtype not in _NOT_BY_BYTES for component in stage.element_spec or ())
    if (stage.bytes_per_element or 0.0) < _COPIED_IN_POOL * each or not of_bytes:
        return wall
    return min(wall, given / _SLOWEST_COPY / 1000 / max(running, _LEAST_RUNNING))


def _split(time: _Time, running: float) -> None:
    seen = next((one for one in time.works.values() if one.computing is not None and one.waiting is not None), None)
    if seen is None or seen.computing is None or seen.waiting is None or traits(time.parts[0].op).copies_rows:
        time.cpu = time.wall * running
    else:
        time.cpu = time.wall * seen.computing
        time.blocked = time.wall * max(0.0, 1.0 - seen.computing - seen.waiting)
    time.intra_op = time.wall * max((one.intra_op for one in time.works.values()), default=0.0)
    time.cpu += time.intra_op


def _scaled(
    stages: Sequence[Stage], times: Mapping[str, _Time], work: Mapping[str, Work], usage: CpuUsage, lost: float
) -> CpuAccount:
    """Scale the stages' CPU time to that of the process, give them the cost of their calls, and account for the rest.

    Tracing inflates the times of stages that it timed: these alone are scaled first, to half at most.
    """
    total = usage.total_ms or 0.0
    others = lost + (usage.loop_ms or 0.0) + (usage.pipeprof_ms or 0.0)
    traced = [time for time in times.values() if time.by_trace]
    slow, rest = sum(time.cpu for time in traced), sum(time.cpu for time in times.values() if not time.by_trace)
    if rest and slow:
        _scale(traced, min(1.0, max((total - others - rest) / slow, 1 / _MOST_SLOWDOWN)))
    parts = sum(time.cpu for time in times.values()) + others
    scale = min(1.0, total / parts) if parts > 0 else 1.0
    _scale(list(times.values()), scale)
    left = max(0.0, total - parts * scale)
    left -= _recover(list(times.values()), left)
    complete = _all_read(stages, times, work)
    calling = {id_: _calls(time) * CALL_US / 1000 for id_, time in times.items() if not time.by_trace}
    paid = min(1.0, left / sum(calling.values())) if complete and sum(calling.values()) > 0 else 0.0
    for id_, ms in calling.items():
        times[id_].calling = paid * ms
    left -= paid * sum(calling.values())
    sampled = [time for time in times.values() if time.blocked is not None]
    inside = sum(time.wall for time in sampled)
    known = inside > 0 and inside >= _SAMPLED_FROM * sum(time.wall for time in times.values())
    return CpuAccount(
        total_ms=total,
        stages_ms=sum(time.cpu + time.calling for time in times.values()),
        loop_ms=usage.loop_ms * scale if usage.loop_ms is not None else None,
        pipeprof_ms=usage.pipeprof_ms * scale if usage.pipeprof_ms is not None else None,
        unattributed_ms=lost * scale + (0.0 if complete else left),
        runtime_ms=left if complete else 0.0,
        waiting_share=usage.waiting_share,
        waiting_ms=max(0.0, inside - sum(time.body - time.intra_op for time in sampled)) if known else None,
        throttled_share=usage.throttled_share,
        scale=scale,
    )


def _recover(times: Sequence[_Time], left_ms: float) -> float:
    """Count as computing what seems to be waiting for a core, as far as the process used CPU time that no stage has.

    How much of its time a stage's threads waited is known of the trace window, in which the samplers want cores, too;
    of stages that were not sampled it is what the kernel counts of all threads, their waking up included.
    """
    waiting = [max(0.0, time.wall - (time.body - time.intra_op)) for time in times]
    share = min(1.0, left_ms / sum(waiting)) if sum(waiting) > _LEAST_MS else 0.0
    for time, ms in zip(times, waiting, strict=True):
        time.cpu += share * ms
    return share * sum(waiting)


def _scale(times: Sequence[_Time], by: float) -> None:
    for time in times:
        time.cpu, time.intra_op = time.cpu * by, time.intra_op * by
        if time.by_trace:
            time.wall = (time.blocked or 0.0) + (time.wall - (time.blocked or 0.0)) * by


def _calls(time: _Time) -> float:
    """Calls of its functions per batch: by the graph or the counters, else by the trace."""
    known = [one.calls_per_batch for one in time.parts if one.calls_per_batch is not None]
    return known[0] if known else sum(one.calls for one in time.works.values())


def _all_read(stages: Sequence[Stage], times: Mapping[str, _Time], work: Mapping[str, Work]) -> bool:
    """Whether what remains cannot belong to a stage: one whose iterators had ended has no time, but a trace."""
    unread = [stage for stage in stages if stage.fused_with is None and stage.id not in times]
    timed = [
        stage.model_copy(update={"time_ms_per_batch": times[stage.id].wall}) for stage in stages if stage.id in times
    ]
    seen = (work[stage.id] for stage in unread if stage.id in work)
    return not unknown_stages([*timed, *unread]) and not any(one.ms or one.calls for one in seen)


def _unattributed(stages: Sequence[Stage]) -> float:
    """Return the time inside stages that could not be attributed to one of them: what their shares lack."""
    inside = sum(stage.time_ms_per_batch or 0.0 for stage in stages)
    total = next(
        (stage.time_ms_per_batch / stage.share for stage in stages if stage.time_ms_per_batch and stage.share), 0
    )
    return total - inside if total - inside > 1e-6 * total else 0.0


def _costs_inside(stage: Stage, time: _Time | None, seen: Work | None) -> dict[str, object]:
    """The ops and functions of a stage as parts of its time, no longer than that in all; without a time, as traced."""
    if seen is None:
        return {}
    calls = stage.calls_per_batch if stage.calls_per_batch is not None or time is not None else seen.calls or None
    if time is None:
        return {"ops": seen.ops or None, "python": seen.python or None, "calls_per_batch": calls}
    ops = sum(op.ms_per_batch for one in time.works.values() for op in one.ops)
    factor = min(_ratio(time.body, time.traced), time.body / ops if ops > _LEAST_MS else math.inf)
    blocked = _ratio(time.blocked or 0.0, time.body)
    own = [_scaled_cost(cost, factor * _own_share(cost, blocked)) for cost in seen.python]
    calling = {cost.parent for cost in seen.python}
    room = sum(op.ms_per_batch for op in seen.ops if op.op in calling) * factor or time.body
    python = sum(cost.ms_per_batch for cost in own)
    return {
        "ops": [op.model_copy(update={"ms_per_batch": factor * op.ms_per_batch}) for op in seen.ops] or None,
        "python": [_scaled_cost(cost, min(1.0, room / python)) for cost in own] if python else own or None,
        "calls_per_batch": calls if calls is not None else _calls(time) or None,
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > _LEAST_MS else 0.0


def _own_share(function: PythonCost, blocked: float) -> float:
    """The part of its time in which it computed, or was blocked with the lock of Python free."""
    return 1.0 if function.lock_share is None else 1.0 - blocked + min(blocked, 1.0 - function.lock_share)


def _scaled_cost(cost: PythonCost, by: float) -> PythonCost:
    return cost.model_copy(update={"ms_per_batch": cost.ms_per_batch * by})


def _with_times(row: Stage, time: _Time, total_ms: float) -> Stage:
    return row.model_copy(
        update={
            "time_ms_per_batch": time.wall,
            "timed_by": "trace" if time.by_trace else "model",
            "cpu_ms_per_batch": time.cpu + time.calling,
            "blocked_ms_per_batch": time.blocked,
            "intra_op_ms_per_batch": time.intra_op or None,
            "calling_ms_per_batch": time.calling or None,
            "share": (time.body + time.calling) / total_ms if total_ms else None,
        }
    )


def step_cpu_ms(used_ms: float, stages: Sequence[Stage], training: Training | None, cores: float) -> float | None:
    """Return the CPU time per step of a script without that of its pipeline, at most; None where it is not known.

    What no stage accounts for counts, but no more than all cores can do while the script's thread is on one of them or
    within its tf.functions, where that is known.

    Args:
        used_ms: CPU time of the process per step.
        cores: That the process may use.
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
