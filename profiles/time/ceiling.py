"""Upper bounds of the rate: that of each stage, and that of the pipeline.

The pipeline's is Plumber's: ``min(cores / sum of CPU times, slowest serial stage, step)``, and where functions wait, or
their pool has fewer threads than there are cores, also the threads that they run on over their time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.document.shared import Steps
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.time import Ceiling, CeilingTerm, CpuAccount
from pipeprof.profiles.time.attribution.stage_time import StageTime
from pipeprof.profiles.time.limits.serial_chain import find_chain

_BLOCKED_FROM = 0.5
"""Share of the functions' time blocked from which their threads and not the cores are counted."""


WAKING_FROM = 0.5
"""Idle cores from which a thread that waits for one only wakes up, which it does at any rate."""


def stage_ceiling(
    time: StageTime, interval_ms: float | None, cores: float, idle_cores: float | None = None
) -> tuple[float, Literal["serial", "threads", "cores"]] | None:
    """Return the rate of a stage if everything else took no time, and what sets it; ``None`` to keep the model's.

    Args:
        time: With its threads and all its times.
        idle_cores: Cores that nothing used while measuring, on average; ``None`` where that is not known.
    """
    needed = time.active_ms - (time.intra_op_ms or 0.0)
    if idle_cores is not None and idle_cores >= WAKING_FROM:
        needed = max(needed, time.inside_ms or 0.0)
    if time.threads is None or needed <= 0:
        return None
    if interval_ms is not None:
        # Its own threads have kept up with what was measured: others wake and end the calls.
        needed = min(needed, time.threads * interval_ms)
    by_threads = 1000 * time.threads / needed
    cpu = time.cpu_ms or 0.0
    by_cores = 1000 * cores / cpu if cpu > 0 else math.inf
    rate = min(by_threads, by_cores)
    if by_cores <= by_threads * 1.001 and cores > 1:
        return rate, "cores"
    return rate, "serial" if time.threads < 1.01 else "threads"


def find_ceiling(
    stages: Sequence[Stage], account: CpuAccount | None, steps: Steps | None, cores: float, pool: float | None = None
) -> Ceiling | None:
    """Find the rate that the pipeline as it is could reach at most, with the resource that sets it.

    Args:
        stages: With their times split up.
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
        if stage.ceiling_resource == "serial"
        and stage.ceiling_batches_per_second
        and not (stage.tunable or stage.service)
    ]
    chain = find_chain(stages, steps) if steps is not None else None
    if chain is not None and not chain.in_turn:
        slowest = max(chain.parts, key=lambda part: part.inside_ms or 0.0)
        in_turn = [part.id for part in chain.parts]
        # The interval is the time that they took at most.
        rate = 1000 / min(chain.filled_ms, chain.total_ms)
        terms.append(CeilingTerm(resource="serial", batches_per_second=rate, stage=slowest.id, stages=in_turn))
    elif serial:
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
    """Return the bound by the threads that functions run on: all of them, or as many as a waiting map has calls."""
    held = {stage.id: _held_ms(stage) for stage in stages if traits(stage.op).computes and stage.timed_by == "model"}
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
    """Return for how long its functions hold a thread; other threads wake and end their calls."""
    others = (stage.calling_ms_per_batch or 0.0) + (stage.intra_op_ms_per_batch or 0.0)
    return max(0.0, (stage.cpu_ms_per_batch or 0.0) + (stage.blocked_ms_per_batch or 0.0) - others)


def _waits(stage: Stage, held_ms: float) -> bool:
    return (stage.blocked_ms_per_batch or 0.0) >= _BLOCKED_FROM * held_ms > 0
