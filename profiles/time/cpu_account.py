"""Who used the process's CPU time: stages, the Python loop, pipeprof, TensorFlow's runtime; and what sets the ceiling.

TensorFlow's model counts the time that threads spend *inside* a stage, by the clock on the wall. It is taken apart by
what the stage's threads were seen doing in the trace window: computing, waiting for a core, or blocked (input and
output, sleep, locks). Tracing makes a pipeline slower, so only these proportions are used of it. Where stages, loop and
pipeprof together come to more CPU time than the process has used, they waited for cores more than where each of them
was measured, and all are scaled down to that. The threads on which TensorFlow splits up single ops are
added, by what the trace says of their pool, and what calling functions takes (`pipeprof.profiles.time.call_overhead`).
What TensorFlow fused stays one: its time stands at the first of its parts.

A stage whose iterators had ended whenever the model was read has the trace's time for an element, times the elements
that must have come out of it. Tracing slows, so such stages together get no more CPU time than the others leave.

The ceiling is that of Plumber: ``min(cores / sum of CPU times, slowest serial stage, step)``, and where functions wait,
or their pool has fewer threads than there are cores, also the threads that they run on over their time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.graph.opnames import is_asynchronous
from pipeprof.profiles.document.measured import Steps
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.time import Ceiling, CeilingTerm, CpuAccount
from pipeprof.profiles.time.call_overhead import add_calling
from pipeprof.profiles.time.top_stage import unknown_stages
from pipeprof.profiles.time.trace_work import Work

SLOWED_MOST = 2.0
"""How many times as long the trace may take, seen with elements of a microsecond."""
_FUNCTIONS = frozenset({"map", "filter", "from_generator", "scan", "take_while"})
"""Stages whose functions do something themselves, on the pool's threads; those of others make datasets."""
_BLOCKED_FROM = 0.5
"""Share of the functions' time blocked from which their threads and not the cores are counted."""
_LOOKED_FROM = 0.5
"""Share of the stages' time that must have been looked at, so that waiting for a core is told by the looks."""
_COPYING = frozenset({"batch", "padded_batch", "ragged_batch", "sparse_batch"})
"""What its thread waits for are threads that copy parts of the batch (``parallel_copy``), of which no trace tells."""


@dataclass(frozen=True)
class Used:
    """What is known of the process's CPU time, in milliseconds per batch; ``None`` where it could not be had.

    Attributes:
        total_ms: Of the whole process.
        loop_ms: Of the Python loop with its step.
        pipeprof_ms: Of bookkeeping in the loop.
        waiting_share: Of the threads' time that wanted a core, the part without one.
        throttled_share: Part of the time in which the cgroup's quota held the process back.
        interval_ms: From one batch to the next, on the clock.
        batches: That were measured.
        traced_share: Of the time at work in the trace window, the part on a core, of all stages together.
    """

    total_ms: float | None = None
    loop_ms: float | None = None
    pipeprof_ms: float | None = None
    waiting_share: float | None = None
    throttled_share: float | None = None
    interval_ms: float | None = None
    batches: int | None = None
    traced_share: float | None = None


def attribute(stages: Sequence[Stage], work: Mapping[str, Work], used: Used, cores: float) -> CpuAccount | None:
    """Splits up each stage's time in place, and accounts for the process's.

    Args:
        stages: Rows whose `cpu_ms_per_batch` is still the time inside the stage, as the model counts it.
        work: What the trace saw, by address.
        used: The process's CPU time.
        cores: That the worker may use.
    """
    lost = _unattributed(stages)
    if all(stage.cpu_ms_per_batch is None for stage in stages):
        _by_trace(stages, work)
    else:
        _by_elements(stages, work, used.batches)
    for stage in stages:
        seen = work.get(stage.id)
        stage.time_ms_per_batch = on_the_clock(stage, used.interval_ms)
        if stage.time_ms_per_batch is not None and stage.timed_by is None:
            stage.timed_by = "model"
        if seen is not None and stage.ops is None:
            stage.ops, stage.python = seen.ops or None, seen.python or None
    known = [stage for stage in stages if stage.time_ms_per_batch is not None]
    fit_ops(known)
    running = 1.0 - (used.waiting_share or 0.0)
    for stage in known:
        by_trace = stage.timed_by == "trace" and used.traced_share is not None
        _divide(stage, work.get(stage.id), (used.traced_share or 0.0) if by_trace else running)
    threads = {stage.id: _threads(stage) for stage in known}
    account = _account(known, used, lost * running, complete=_all_read(stages, work))
    if account is not None:
        for stage in known:
            stage.cpu_ms_per_batch = (stage.cpu_ms_per_batch or 0.0) * account.scale
            if stage.intra_op_ms_per_batch is not None:
                stage.intra_op_ms_per_batch *= account.scale
        _add_calling(account, stages, work, used.batches, running)
        for stage in known:
            _keep_to_the_clock(stage, threads[stage.id], used.interval_ms)
        _keep_to_the_window(known, used.interval_ms, cores)
        account.waiting_ms = _waiting_ms(known)
    total = sum(map(_weight, known)) + lost * running * (account.scale if account is not None else 1.0)
    for stage in known:
        stage.share = _weight(stage) / total if total else None
        _set_ceiling(stage, threads[stage.id], used.interval_ms, cores)
    return account


def _by_trace(stages: Sequence[Stage], work: Mapping[str, Work]) -> None:
    """Without a model, with autotune off, the trace window is all there is: longer than measured, but in proportion."""
    for stage in stages:
        seen = [work[one.id] for one in stages if stage.id in (one.id, one.fused_with) and one.id in work]
        at_work = max(sum(one.at_work for one in seen), sum(one.ms + one.calling for one in seen))
        if at_work > 0 and stage.fused_with is None:
            stage.cpu_ms_per_batch, stage.timed_by = at_work, "trace"


def _by_elements(stages: Sequence[Stage], work: Mapping[str, Work], batches: int | None) -> None:
    """What nobody read of the model: the trace's time for an element, for as many as there must have been."""
    for stage in stages:
        if stage.cpu_ms_per_batch is not None or stage.fused_with is not None or not batches:
            continue
        parts = [one for one in stages if stage.id in (one.id, one.fused_with)]
        counted = [one for one in parts if one.elements is not None and one.id in work and work[one.id].elements]
        if not counted or not counted[-1].elements:
            continue
        more = counted[-1].elements / batches / work[counted[-1].id].elements
        seen = [work[one.id] for one in parts if one.id in work]
        stage.cpu_ms_per_batch, stage.timed_by = (
            more * sum(max(one.at_work, one.ms + one.calling) for one in seen),
            "trace",
        )
        for one in parts:
            if one.id in work:
                _put_inside(one, work[one.id], more)


def _put_inside(stage: Stage, seen: Work, more: float) -> None:
    stage.ops = [one.model_copy(update={"ms_per_batch": more * one.ms_per_batch}) for one in seen.ops] or None
    stage.python = [one.model_copy(update={"ms_per_batch": more * one.ms_per_batch}) for one in seen.python] or None


def _leave_the_rest(known: Sequence[Stage], others_ms: float, total_ms: float) -> None:
    """Takes from stages that the trace timed what the process has not used: it made them slower."""
    traced = [stage for stage in known if stage.timed_by == "trace"]
    mine = sum(stage.cpu_ms_per_batch or 0.0 for stage in traced)
    most = max(total_ms - others_ms, mine / SLOWED_MOST)
    if len(traced) == len(known) or mine <= most:
        return
    for stage in traced:
        blocked = stage.blocked_ms_per_batch or 0.0
        stage.time_ms_per_batch = blocked + ((stage.time_ms_per_batch or 0.0) - blocked) * most / mine
        stage.cpu_ms_per_batch = (stage.cpu_ms_per_batch or 0.0) * most / mine
        if stage.intra_op_ms_per_batch is not None:
            stage.intra_op_ms_per_batch *= most / mine
    fit_ops(traced)


def _keep_to_the_window(known: Sequence[Stage], interval_ms: float | None, cores: float) -> None:
    """Threads that the trace saw waiting for cores waited then: no more of it than passed while it was measured."""
    if interval_ms is None or not any(stage.timed_by == "model" for stage in known):
        return
    for stage in known:
        if stage.timed_by == "trace":
            used = _weight(stage)
            several = stage.depth > 0 or is_asynchronous(stage.tf_op or "")
            passed = interval_ms * ((stage.parallelism or cores) if several else 1.0)
            stage.time_ms_per_batch = min(stage.time_ms_per_batch or 0.0, max(passed, used))


def on_the_clock(stage: Stage, interval_ms: float | None) -> float | None:
    """Time inside a stage; one that runs one call at a time has no more of it than there is.

    The model counts a call in the thread that waits for it and in the one that makes it. Where both wait for a core the
    sum is larger than what passed.
    """
    inside = stage.cpu_ms_per_batch
    if inside is None or interval_ms is None or stage.parallelism != 1.0:
        return inside
    return min(inside, interval_ms)


def _unattributed(stages: Sequence[Stage]) -> float:
    """Time inside stages that could not be told apart: what the shares say is missing."""
    inside = sum(stage.cpu_ms_per_batch or 0.0 for stage in stages)
    total = next(
        (stage.cpu_ms_per_batch / stage.share for stage in stages if stage.cpu_ms_per_batch and stage.share), 0
    )
    lost = total - inside
    return lost if lost > 1e-6 * total else 0.0


def _weight(stage: Stage) -> float:
    """Time inside a stage without waiting for a core."""
    return (stage.cpu_ms_per_batch or 0.0) + (stage.blocked_ms_per_batch or 0.0)


def _divide(stage: Stage, seen: Work | None, running: float) -> None:
    """Into computing, blocked, and waiting for a core; where nobody knows, as all threads of the process waited."""
    inside = stage.time_ms_per_batch or 0.0
    if seen is None or seen.computing is None or seen.waiting is None or stage.op in _COPYING:
        stage.cpu_ms_per_batch = inside * running
    else:
        stage.cpu_ms_per_batch = inside * seen.computing
        stage.blocked_ms_per_batch = max(0.0, inside * (1.0 - seen.computing - seen.waiting))
    if seen is not None and seen.further:
        stage.intra_op_ms_per_batch = inside * seen.further
        stage.cpu_ms_per_batch += stage.intra_op_ms_per_batch


def _waiting_ms(stages: Sequence[Stage]) -> float | None:
    """For a core, inside the stages whose threads were looked at; `None` where these are too few to say."""
    looked = [stage for stage in stages if stage.blocked_ms_per_batch is not None]
    inside = sum(stage.time_ms_per_batch or 0.0 for stage in looked)
    if inside < _LOOKED_FROM * sum(stage.time_ms_per_batch or 0.0 for stage in stages) or not inside:
        return None
    used = sum(_weight(stage) - (stage.intra_op_ms_per_batch or 0.0) for stage in looked)
    return max(0.0, inside - used)


def fit_ops(stages: Sequence[Stage]) -> None:
    """Tracing makes ops slower: what they took in the trace window is a proportion, and never more than the stage."""
    for stage in stages:
        inside = stage.inside_ms or 0.0
        for costs in (stage.ops or [], stage.python or []):
            total = sum(one.ms_per_batch for one in costs)
            if total > inside > 0:
                for one in costs:
                    one.ms_per_batch *= inside / total


def _threads(stage: Stage) -> float | None:
    """How many threads may be inside it at a time, by the ceiling that comes of the model's time alone."""
    inside, ceiling = stage.time_ms_per_batch, stage.ceiling_batches_per_second
    return ceiling * inside / 1000 if ceiling is not None and inside else None


def _set_ceiling(stage: Stage, threads: float | None, interval_ms: float | None, cores: float) -> None:
    """From the ceiling by the model's time to the one by the time without waiting for a core."""
    needed = _weight(stage) - (stage.intra_op_ms_per_batch or 0.0)
    if threads is None or needed <= 0:
        return
    if interval_ms is not None:
        # Calls are woken and ended by threads of others: it has kept up with what was measured.
        needed = min(needed, max(needed - (stage.calling_ms_per_batch or 0.0), threads * interval_ms))
    by_threads = 1000 * threads / needed
    cpu = stage.cpu_ms_per_batch or 0.0
    by_cores = 1000 * cores / cpu if cpu > 0 else math.inf
    stage.ceiling_batches_per_second = min(by_threads, by_cores)
    if by_cores <= by_threads * 1.001 and cores > 1:
        stage.ceiling_resource = "cores"
    else:
        stage.ceiling_resource = "serial" if threads < 1.01 else "threads"


def _account(known: Sequence[Stage], used: Used, lost: float, *, complete: bool) -> CpuAccount | None:
    """Who used it; where a stage that may cost much could not be read, what is left may be its own."""
    if used.total_ms is None or not known:
        return None
    beside = lost + (used.loop_ms or 0.0) + (used.pipeprof_ms or 0.0)
    read = sum(stage.cpu_ms_per_batch or 0.0 for stage in known if stage.timed_by != "trace")
    _leave_the_rest(known, read + beside, used.total_ms)
    stages = sum(stage.cpu_ms_per_batch or 0.0 for stage in known)
    parts = stages + beside
    scale = min(1.0, used.total_ms / parts) if parts > 0 else 1.0
    remainder = max(0.0, used.total_ms - parts * scale)
    return CpuAccount(
        total_ms=used.total_ms,
        stages_ms=stages * scale,
        loop_ms=used.loop_ms * scale if used.loop_ms is not None else None,
        pipeprof_ms=used.pipeprof_ms * scale if used.pipeprof_ms is not None else None,
        unattributed_ms=lost * scale + (0.0 if complete else remainder),
        runtime_ms=remainder if complete else 0.0,
        waiting_share=used.waiting_share,
        throttled_share=used.throttled_share,
        scale=scale,
    )


def _all_read(stages: Sequence[Stage], work: Mapping[str, Work]) -> bool:
    """Whether what is left cannot be a stage's: one whose iterators had ended has no time, though the trace saw it."""
    unread = (stage for stage in stages if stage.time_ms_per_batch is None and stage.fused_with is None)
    seen = (work.get(stage.id) for stage in unread)
    return not unknown_stages(list(stages)) and not any(one is not None and (one.ms or one.calls) for one in seen)


def _add_calling(
    account: CpuAccount, stages: Sequence[Stage], work: Mapping[str, Work], batches: int | None, running: float
) -> None:
    """Calls, out of what is the runtime's; what could not be told apart may be a stage's that nobody read."""
    add_calling(stages, work, account.runtime_ms, batches, running)
    calling = sum(stage.calling_ms_per_batch or 0.0 for stage in stages)
    account.stages_ms += calling
    account.runtime_ms = max(0.0, account.runtime_ms - calling)


def _keep_to_the_clock(stage: Stage, threads: float | None, interval_ms: float | None) -> None:
    """Of calls that wait for each other, some of the time of waking and ending runs beside the next one."""
    if stage.calling_ms_per_batch is not None and threads is not None and interval_ms is not None:
        inside = stage.time_ms_per_batch or 0.0
        stage.time_ms_per_batch = min(inside, max(inside - stage.calling_ms_per_batch, threads * interval_ms))


def ceiling_of(
    stages: Sequence[Stage], account: CpuAccount | None, steps: Steps | None, cores: float, pool: float | None = None
) -> Ceiling | None:
    """The rate that the pipeline as it is could reach at most, with the resource that sets it.

    Args:
        stages: With their times split up.
        account: Of the process's CPU time.
        steps: What was measured.
        cores: That the worker may use.
        pool: Threads that functions run on; `None` where not known.
    """
    terms: list[CeilingTerm] = []
    cpu = sum(stage.cpu_ms_per_batch or 0.0 for stage in stages)
    if account is not None:
        cpu = max(cpu, account.total_ms - (account.pipeprof_ms or 0.0))
    if cpu > 0:
        terms.append(CeilingTerm(resource="cores", batches_per_second=1000 * cores / cpu))
    serial = [
        stage
        for stage in stages
        if stage.ceiling_resource == "serial" and stage.ceiling_batches_per_second and not stage.tunable
    ]
    if serial:
        slowest = min(serial, key=lambda stage: stage.ceiling_batches_per_second or 0.0)
        rate = slowest.ceiling_batches_per_second or 0.0
        terms.append(CeilingTerm(resource="serial", batches_per_second=rate, stage=slowest.id))
    terms.extend(_by_pool(stages, cores, pool))
    if steps is not None and steps.busy_ms is not None and steps.busy_ms.mean > 0:
        terms.append(CeilingTerm(resource="step", batches_per_second=1000 / steps.busy_ms.mean))
    if not terms:
        return None
    terms.sort(key=lambda term: term.batches_per_second)
    first = terms[0]
    return Ceiling(batches_per_second=first.batches_per_second, resource=first.resource, stage=first.stage, terms=terms)


def _by_pool(stages: Sequence[Stage], cores: float, pool: float | None) -> list[CeilingTerm]:
    """By the threads that functions run on: all of them, and of a map that waits as many as it has calls."""
    held = {stage.id: _held_ms(stage) for stage in stages if stage.op in _FUNCTIONS and stage.timed_by == "model"}
    total = sum(held.values())
    if pool is None or not total > 0:
        return []
    waiting = [stage for stage in stages if stage.id in held and _waits(stage, held[stage.id])]
    found = []
    if pool < cores or sum(held[stage.id] for stage in waiting) >= _BLOCKED_FROM * total:
        most = max(held, key=lambda id_: held[id_])
        found.append(CeilingTerm(resource="threads", batches_per_second=1000 * pool / total, stage=most, threads=pool))
    for stage in waiting:
        calls = stage.parallelism or 1.0
        if 1.0 < calls < pool and not stage.tunable:
            rate = 1000 * calls / held[stage.id]
            found.append(CeilingTerm(resource="threads", batches_per_second=rate, stage=stage.id, threads=calls))
    return sorted(found, key=lambda term: term.batches_per_second)[:1]


def _held_ms(stage: Stage) -> float:
    """For how long its functions hold a thread; that others wake and end their calls is not in it."""
    beside = (stage.calling_ms_per_batch or 0.0) + (stage.intra_op_ms_per_batch or 0.0)
    return max(0.0, _weight(stage) - beside)


def _waits(stage: Stage, held_ms: float) -> bool:
    return (stage.blocked_ms_per_batch or 0.0) >= _BLOCKED_FROM * held_ms > 0
