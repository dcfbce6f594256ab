"""From a profile to its `Flow`: as it was measured, for the limit, and fitted to the step, for predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import runs_ahead, traits
from pipeprof.profiles.lines import is_outside_functions, lines_of, reader_of, stages_around
from pipeprof.profiles.time.flow import ONE_CALL, Flow, Part, PartTimes, Term
from pipeprof.profiles.wording import stage_name

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.document.stages import Causes, Stage

POOL_OPTION = "threading.private_threadpool_size"
_BACKGROUND_CORES = 0.06
"""CPU time per second of TensorFlow's own threads, however fast the pipeline is."""
_FULL_FROM = 0.85
"""Share of the cores in use from which they are the limit."""
_NOISE = 0.05
"""Share of a step's time that is within the noise of a run."""
_ON_THREADS = ("serial", "calls", "pool")
_LOCKED_FROM = 0.6
"""Share of the time with Python's lock held from which calls wait for it."""
_ONE_FROM = 0.85
"""Share of the time that the calls of a function compute from which one of them computes at any time."""
_ONE_UP_TO = 1.1
"""The same, up to which it is one: the two are measured apart."""
_TURNS_FROM = 0.25
"""Share of their time that they are blocked from which they wait for each other."""
_RARELY = 0.5
"""Median over mean of the waits of steps below which most of the waiting is done by less than half of them."""
_NEARLY = 1e-6
_ROUNDS = 20


def flow_of(profile: Profile) -> Flow | None:
    """Read the pipeline of a profile; ``None`` where no step or no stage was measured.

    The times inside the stages and the time of a step are measured apart, and never fit exactly. Where a resource seems
    to need longer than a step (`measured_flow`), its stages are made shorter; then the slowest one longer.
    """
    flow, steps = measured_flow(profile), profile.steps
    if flow is None or steps is None:
        return None
    if not any(part.held_ms > 0 for part in flow.parts):
        if flow.end is None or any(part.ahead for part in flow.parts):
            return None
        # On one thread it does not matter which stage the time belongs to.
        flow = flow.changed(flow.end.timed(waiting_ms=steps.running_ms))
    flow = _fitted(flow, steps.running_ms, uneven=_waits_now_and_then(steps))
    alternate = flow.in_turn and flow.end is not None and not flow.end.ahead
    return replace(flow, bursts=_unevenness(profile)) if alternate else flow


def measured_flow(profile: Profile) -> Flow | None:
    """Read the pipeline with the times that were measured, none of them longer than a step."""
    steps, stages = profile.steps, profile.stages
    if steps is None or not stages or steps.count <= 0 or not steps.interval_ms.mean > 0:
        return None
    running = steps.running_ms
    parts = tuple(_with_calls_seen(part, running) for part in _parts(stages))
    busy = steps.busy_ms.mean if steps.busy_ms is not None else 0.0
    cores = _cores(profile)
    flow = Flow(
        parts=_with_runtime(parts, _runtime_cpu_ms(profile, steps.interval_ms.mean)),
        step_ms=min(busy, running),
        floor_ms=min(profile.headspace.replayed_ms, running) if profile.headspace is not None else 0.0,
        restart_ms=steps.restart_ms,
        loop_ms=min(profile.loop_ms, running),
        in_turn=profile.takes_turns,
        cores=cores,
        pool=float((profile.options or {}).get(POOL_OPTION) or profile.host.schedulable_cores or profile.host.cores),
        other_cpu_ms=min((profile.cpu.loop_ms if profile.cpu is not None else None) or 0.0, running * cores),
    )
    if flow.end is None:
        return None
    return _shortened(_with_lock(flow, profile.causes, running), running)


def _parts(stages: Sequence[Stage]) -> Iterator[Part]:
    """Yield the parts: stages outside of functions, with the times of those inside added."""
    lines = lines_of(stages)
    reads: dict[str, list[str]] = {}
    for line in lines.values():
        for before, stage in pairwise(line):
            reads.setdefault(stage.id, []).append(before.id)
    for pipeline, line in lines.items():
        if (reader := reader_of(pipeline)) is not None:
            reads.setdefault(reader, []).append(line[-1].id)
    outside = {stage.id for stage in stages if is_outside_functions(stage.id)}
    inside: dict[str, list[Stage]] = {}
    for stage in stages:
        owner = next((address for address in stages_around(stage.id) if address in outside), None)
        if owner is not None and stage.id not in outside:
            inside.setdefault(owner, []).append(stage)
    for stage in stages:
        if stage.id in outside:
            yield _part(stage, inside.get(stage.id, []), reads)
    added = (one for one in stages if one.origin == "injected" and one.depth == 0 and traits(one.op).prefetches)
    end = next(added, None)
    if end is not None and "" in lines:
        yield _part(end, [], {end.id: [lines[""][-1].id]})


def _part(stage: Stage, inside: Sequence[Stage], reads: Mapping[str, Sequence[str]]) -> Part:
    whole = (stage, *inside)
    prefetches, ahead = traits(stage.tf_op or "").prefetches, runs_ahead(stage.tf_op)
    held = max(0.0, sum((one.active_ms or 0.0) - (one.intra_op_ms_per_batch or 0.0) for one in whole))
    waiting = min(held, sum(one.blocked_ms_per_batch or 0.0 for one in whole))
    starved = sum(max(0.0, (one.inside_ms or 0.0) - (one.active_ms or 0.0)) for one in whole)
    cpu = sum(_cpu_ms(one) for one in whole)
    python = sum(cost.ms_per_batch for one in whole for cost in one.python or ())
    return Part(
        id=stage.id,
        name=stage_name(stage),
        reads=tuple(reads.get(stage.id, ())),
        ahead=ahead,
        # As many as there are threads where TensorFlow chooses, and it is not known what it chose.
        calls=max(ONE_CALL, stage.parallelism or (math.inf if stage.tunable else ONE_CALL))
        if ahead and not prefetches
        else ONE_CALL,
        tuned=bool(stage.tunable),
        # One that is tuned grows as far as it helps.
        buffer=(math.inf if stage.tunable else stage.buffer_size or math.inf) if prefetches else None,
        times=PartTimes(held - waiting, waiting, starved, cpu_ms=cpu, lock_ms=min(held, python)),
        inside=tuple(_part(one, [], reads) for one in inside),
        pooled=traits(stage.op).computes or bool(stage.python),
        fused=stage.fused_with,
    )


def _with_calls_seen(part: Part, running_ms: float) -> Part:
    """The part with no fewer calls at a time than were seen: what TensorFlow chose last may be less than before."""
    seen = part.held_ms / running_ms if part.tuned and part.buffer is None and running_ms > 0 else 0.0
    return replace(part, calls=seen) if seen > part.calls else part


def _cpu_ms(stage: Stage) -> float:
    """Its CPU time; where only the waiting of its threads is known, what is left of its time."""
    if stage.cpu_ms_per_batch is not None:
        return stage.cpu_ms_per_batch
    known = stage.blocked_ms_per_batch
    return max(0.0, (stage.active_ms or 0.0) - known) if known is not None else 0.0


def _with_lock(flow: Flow, causes: Causes | None, running_ms: float) -> Flow:
    """The flow with the time for which Python's lock is held, in proportion to the Python of its parts.

    Calls that wait for each other's lock go without that wait. A function that waits without the lock finds it taken by
    others: unless that is so nearly always, the part that it has itself is no longer than it has a core.
    """
    in_python = [part.times for part in flow.parts if part.times.lock_ms > 0]
    python = sum(times.lock_ms for times in in_python)
    runs = (causes and causes.python_share) or 0.0
    held = runs * ((causes and causes.python_lock_share) or 0.0)
    wants_core_ms = sum(times.computing_ms + times.starved_ms for times in in_python)
    # Calls that sleep as well leave it free: then it does not keep them, however often one finds it taken.
    waits = held >= _LOCKED_FROM and wants_core_ms >= _ONE_FROM * runs * running_ms

    def locked(part: Part) -> Part:
        turns = part.calls > ONE_CALL and part.times.waiting_ms >= _TURNS_FROM * part.held_ms
        if turns and _ONE_FROM <= part.times.computing_ms / running_ms <= _ONE_UP_TO:
            # Of several calls one computes at any time, and the others wait for it: also short ones, half seen.
            return part.timed(lock_ms=part.times.computing_ms, waiting_ms=0.0)
        lock = min(part.held_ms, held * running_ms * part.times.lock_ms / python)
        if not waits:
            return part.timed(lock_ms=min(lock, part.times.cpu_ms))
        if part.calls <= ONE_CALL:
            return part.timed(lock_ms=lock)
        return part.timed(lock_ms=lock, computing_ms=min(part.held_ms, max(lock, part.times.cpu_ms)), waiting_ms=0.0)

    return replace(flow, parts=tuple(locked(part) if part.times.lock_ms > 0 else part for part in flow.parts))


def _cores(profile: Profile) -> float:
    """The cores that other processes leave to the worker: at least those that it used, and one."""
    contention, cores = profile.contention, profile.host.cores
    if contention is None or contention.others_cores is None:
        return cores
    left = (profile.host.schedulable_cores or cores) - contention.others_cores
    return min(cores, max(left, contention.worker_cores or 0.0, 1.0))


def _runtime_cpu_ms(profile: Profile, interval_ms: float) -> float:
    """CPU time per batch that no stage has, without that of threads which work whether batches come or not."""
    cpu = profile.cpu
    if cpu is not None:
        return max(0.0, cpu.runtime_ms - _BACKGROUND_CORES * interval_ms)
    used = profile.contention.worker_cores if profile.contention is not None else None
    return max(0.0, (used or 0.0) * interval_ms - sum(_cpu_ms(stage) for stage in profile.stages or ()))


def _with_runtime(parts: tuple[Part, ...], runtime_ms: float) -> tuple[Part, ...]:
    """The parts with the CPU time of TensorFlow's runtime: it wakes threads for calls, and ends with the calls."""
    own = sum(part.times.cpu_ms for part in parts)
    if own <= 0:
        held = sum(part.held_ms for part in parts)
        return tuple(part.timed(cpu_ms=runtime_ms * part.held_ms / held) if held > 0 else part for part in parts)
    return tuple(part.timed(cpu_ms=part.times.cpu_ms * (own + runtime_ms) / own) for part in parts)


def _waits_now_and_then(steps: Steps) -> bool:
    """Whether most steps wait much less than the mean: a producer that is too slow makes each of them wait."""
    waits = steps.wait_ms
    return waits is not None and waits.mean > 0 and waits.p50 < _RARELY * waits.mean


def _shortened(flow: Flow, running_ms: float) -> Flow:
    for _ in range(_ROUNDS):
        term = flow.terms()[0]
        own = term.ms - term.fixed_ms
        if term.ms <= running_ms * (1 + _NEARLY) or not term.parts or own <= 0:
            break
        flow = flow.scaled(term.parts, max(0.0, running_ms - term.fixed_ms) / own)
    return flow


def _fitted(flow: Flow, running_ms: float, *, uneven: bool) -> Flow:
    """The flow with the slowest of its resources as long as the measured time.

    Args:
        uneven: Steps wait now and then: times that vary more than exponential ones may make them wait longer.
    """
    terms = flow.terms()
    if terms[0].resource not in ("step", "loop"):
        return _slowed(flow, _slowest(terms, running_ms), running_ms)
    missing = running_ms - terms[0].ms
    # The part of the formula's wait that was seen; above 1 there is another reason.
    formula = replace(flow, bursts=1.0).burst_ms(terms)
    bursts = missing / formula if formula > 0 else math.inf
    if bursts <= 1 or (uneven and math.isfinite(bursts)):
        return replace(flow, bursts=bursts)
    threads = next((term for term in terms if term.parts and term.resource in _ON_THREADS), None)
    if threads is None or missing < _NOISE * running_ms:
        return flow
    return _slowed(flow, threads, running_ms)


def _slowest(terms: Sequence[Term], running_ms: float) -> Term:
    """The longest term; not that of the cores where these were not full."""
    if terms[0].resource == "cores" and terms[0].ms < _FULL_FROM * running_ms:
        return next((term for term in terms[1:] if term.parts and term.resource in _ON_THREADS), terms[0])
    return terms[0]


def _slowed(flow: Flow, term: Term, running_ms: float) -> Flow:
    """The flow with a term that takes as long as the step: what is missing is the waiting of its stages for a core.

    What that does not explain either stays on the thread, whatever happens to its stages.
    """
    missing, own = running_ms - term.ms, term.ms - term.fixed_ms
    if not term.parts or missing <= 0:
        return flow
    parts = [flow.by_id[name] for name in term.parts]
    if term.resource == "calls" and parts[0].calls <= flow.pool:
        return flow.changed(parts[0].timed(idle_ms=missing * term.threads))
    if term.resource == "lock":
        held = (part.timed(lock_ms=min(part.held_ms, part.times.lock_ms * (own + missing) / own)) for part in parts)
        return flow.changed(*held)
    if term.resource != "serial":
        return flow.scaled(term.parts, (own + missing) / own) if own > 0 else flow
    starved = sum(part.times.starved_ms for part in parts)
    share = min(1.0, missing / starved) if starved > 0 else 0.0
    parts = [part.timed(computing_ms=part.times.computing_ms + share * part.times.starved_ms) for part in parts]
    # A term names its stages against the flow of the data; what runs ahead may get threads of its own.
    first = next((part for part in reversed(parts) if not part.ahead), parts[-1])
    rest = missing - share * starved
    flow = flow.changed(*parts)
    return flow.changed(first.timed(waiting_ms=first.times.waiting_ms + rest)) if rest > 0 else flow


def _unevenness(profile: Profile) -> float:
    """Half the squared coefficient of variation of the time to fetch a batch: the queue formula has 1 for it.

    Only a loop that takes turns with the pipeline sees the time of every batch.
    """
    histogram = profile.series.fetch_histogram_ms
    total = sum(number for _, number in histogram)
    if not total:
        return 0.0
    mean = sum(ms * number for ms, number in histogram) / total
    variance = sum(number * (ms - mean) ** 2 for ms, number in histogram) / total
    return min(1.0, variance / mean**2 / 2) if mean > 0 else 0.0
