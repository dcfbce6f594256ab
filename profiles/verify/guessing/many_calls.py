"""Several calls at a time in stages that run one: which stages take turns, and how many calls fit them; pure functions.

One of two stages that take turns on one thread, made parallel alone, leaves the other one's time: both sides of a `zip`
count, whatever it costs to draw from one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeprof.pipelines.changes.edits import PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.predicates import WAITING_CORES
from pipeprof.profiles.advise.rule import bar_to_try
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.model.flow import Flow
from pipeprof.profiles.model.read import POOL_OPTION
from pipeprof.profiles.propose.proposal import Semantics
from pipeprof.profiles.time.limits.cores import CPU_FROM
from pipeprof.profiles.time.limits.gil import lock_is_gil

PARALLEL_CALLS = "num_parallel_calls"
CYCLE = "cycle_length"
WAITING_CALLS = 16
"""Calls at a time of a stage that waits instead of computing: more than there are cores."""
MORE_CALLS = 4
"""Times as many calls as now that a stage with a fixed number of them gets."""
MOST_CALLS = 64
TOO_MANY = 4
"""Calls or threads per core from which computing ones are tried with as many as there are cores."""
SLOW_PART = 0.2
"""Share of the time of a thread from which a stage on it is worth threads of its own."""


def takes_calls(stage: Stage) -> bool:
    """Whether its function, or what it opens, can run for several elements at a time."""
    return traits(stage.op).parallel and not traits(stage.op).composed


def waits(stage: Stage) -> bool:
    """Whether it waits more than it computes."""
    return (stage.blocked_ms_per_batch or 0.0) > (stage.cpu_ms_per_batch or 0.0)


def draws(stages: Sequence[Stage]) -> Semantics:
    """What calls at the same time may change: random numbers come to other elements."""
    return "randomness" if any(stage.random for stage in stages) else "same"


def taking_turns(profile: Profile, flow: Flow | None) -> list[Stage]:
    """The slow stages that share the slowest thread and could run several calls; none for fewer than two."""
    first = flow.terms()[0] if flow is not None else None
    if flow is None or first is None or first.resource != "serial":
        return []
    parts = [flow.by_id[name] for name in first.parts]
    slow = {part.id for part in parts if not part.ahead and part.held_ms >= SLOW_PART * (first.ms - first.fixed_ms)}
    found = [stage for stage in profile.stages or () if stage.id in slow and takes_calls(stage)]
    return found if len(found) > 1 else []


def several_at_a_time(profile: Profile, stages: Sequence[Stage]) -> tuple[PipelineEdit, ...]:
    """The edits that give stages several calls at a time: many to those that wait, with a thread for each."""
    ordered = sorted(stages, key=lambda stage: stage.id)
    edits: list[PipelineEdit] = [
        SetArgument(stage.id, stage.op, PARALLEL_CALLS, WAITING_CALLS if waits(stage) else AUTOTUNE)
        for stage in ordered
    ]
    return (*edits, *_threads_for(profile, WAITING_CALLS * sum(waits(stage) for stage in stages)))


def _threads_for(profile: Profile, calls: int) -> tuple[SetOption, ...]:
    """The edit that gives the pool a thread for each of so many calls; none where it has them."""
    now = (profile.options or {}).get(POOL_OPTION)
    if calls and (now is None or isinstance(now, bool) or 0 < now < calls):
        return (SetOption(POOL_OPTION, calls),)
    return ()


def more_at_a_time(profile: Profile, stage: Stage) -> tuple[PipelineEdit, ...]:
    """The edits that give a stage with a fixed number of calls at a time more of them, and threads if they wait.

    One whose calls TensorFlow chooses gets as many as there are cores where it chose fewer and cores idle: it may stay
    at a low number, within its budget of memory and cores.

    A result that is ready counts as a call until all before it are taken: those after a slow call wait for it, and as
    many calls as cores do not keep the cores busy.

    Args:
        profile: Its options have the pool of threads, and its host the cores.

    Returns:
        Empty for a serial stage, and for one that has enough.
    """
    now, waiting = round(stage.parallelism or 1.0), waits(stage) or _hardly_computes(profile)
    enough = MOST_CALLS if waiting else _calls_that_compute(profile)
    # Of an `interleave` its cycle is the limit, of Python that holds the GIL one call.
    if not traits(stage.op).maps or not takes_calls(stage) or _waits_for_gil(profile, stage):
        return ()
    if stage.tunable:
        cores = math.floor(min(profile.host.cores or 1.0, enough))
        few = stage.parallelism is not None and not waiting and now < cores
        return (SetArgument(stage.id, stage.op, PARALLEL_CALLS, cores),) if few else ()
    if not 1 < now < enough:
        return ()
    calls = min(MOST_CALLS, MORE_CALLS * now)
    more = SetArgument(stage.id, stage.op, PARALLEL_CALLS, calls)
    return (more, *_threads_for(profile, calls if waiting else 0))


def _waits_for_gil(profile: Profile, stage: Stage) -> bool:
    causes = profile.causes
    return bool(stage.python) and causes is not None and causes.python_lock_share is not None and lock_is_gil(causes)


def _hardly_computes(profile: Profile) -> bool:
    """Whether all of the pipeline together uses less than a core: its calls wait, also where no trace has shown it."""
    used = profile.causes.worker_cores if profile.causes is not None else None
    with bar_to_try():
        return used is not None and used < WAITING_CORES.value


def _calls_that_compute(profile: Profile) -> float:
    """Calls at a time from which computing ones are enough: more than there are cores, or any where all are in use."""
    cores = profile.host.cores or 1.0
    used = profile.causes.worker_cores if profile.causes is not None else None
    return 0.0 if used is None or used >= CPU_FROM * cores else cores + 1


def as_many_as_cores(profile: Profile) -> tuple[PipelineEdit, ...]:
    """The edits that leave the calls at a time to TensorFlow, and the pool a thread for each core, where both are many.

    Returns:
        Empty where stages wait for something else than a core: then many calls are right.
    """
    cores, pool = profile.host.cores or 1.0, (profile.options or {}).get(POOL_OPTION)
    fixed = [
        stage
        for stage in profile.stages or ()
        if stage.origin == "written" and takes_calls(stage) and not stage.tunable and (stage.parallelism or 1.0) > 1.0
    ]
    threads = pool if isinstance(pool, int) and not isinstance(pool, bool) else 0
    calls = sum(stage.parallelism or 1.0 for stage in fixed)
    if max(calls, threads) < TOO_MANY * cores or any(map(waits, profile.stages or ())) or _hardly_computes(profile):
        return ()
    tuned = [SetArgument(stage.id, stage.op, PARALLEL_CALLS, AUTOTUNE) for stage in fixed]
    fewer = (SetOption(POOL_OPTION, math.ceil(cores)),) if threads >= TOO_MANY * cores else ()
    return (*tuned, *fewer)


def many_opened(profile: Profile, stage: Stage) -> tuple[tuple[SetArgument, ...], tuple[SetOption, ...]]:
    """The edits that let a stage wait for many of the datasets that it opens at a time, not for a few.

    Args:
        profile: Its stages have their times, its options the pool of threads.

    Returns:
        Those of its arguments, and those of the options; none where neither it nor what its function makes waits more
        than it computes, or so many wait already.
    """
    inside = [one for one in profile.stages or () if one.id == stage.id or one.id.startswith(f"{stage.id}.")]
    many = (stage.parallelism or 1.0) >= WAITING_CALLS
    if not traits(stage.op).opens or many or not any(waits(one) for one in inside):
        return (), ()
    arguments = tuple(SetArgument(stage.id, stage.op, name, WAITING_CALLS) for name in (CYCLE, PARALLEL_CALLS))
    return arguments, _threads_for(profile, WAITING_CALLS)


def words_of(edits: Sequence[PipelineEdit]) -> str:
    """The same in one line.

    Example:
        >>> words_of((SetArgument("stages.0", "map", "num_parallel_calls", 16), SetOption(POOL_OPTION, 32)))
        'num_parallel_calls: 16, options.threading.private_threadpool_size: 32'
    """
    numbers = dict.fromkeys(str(edit.value) for edit in edits if isinstance(edit, SetArgument))
    pools = [f"options.{edit.path}: {edit.value}" for edit in edits if isinstance(edit, SetOption)]
    return ", ".join([f"{PARALLEL_CALLS}: {' and '.join(numbers)}", *pools])
