"""Bottleneck of the pipeline, from named measurements: the verdict's `limit`.

Each candidate has one measurement of its own. They are tried in this order, because the earlier ones explain the later:

``memory``        the peak reached nine tenths of the limit
``remote``        most of the waiting is for a tf.data service: what limits its workers is not on this machine's account
``gil``           Python functions ran most of the traced time with the GIL held, while the worker computed on about one
                  core
``cpu``           other processes took cores that the worker's threads waited for, while few were free; most of the time
                  where stages that take turns on one thread fill all of it: else these are the limit
``cpu``           the worker used four fifths of its cores, in all or between restarts of the dataset; nearly all of
                  them where stages that take turns on one thread fill all of the interval
``gil``           of several calls of a Python function one computes at a time while the others are blocked, with the
                  GIL held; ``latency`` where it is free: a lock of a library
``io``            its threads were blocked most of the time inside the stage that takes the most, and bytes came from
                  the disk; where the threads of that stage were not seen, inside all stages together
``latency``       the same without bytes from the disk: sleep, network, locks
``serial-stage``  stages that take turns on one thread fill all of the interval together, or one of them most of it
``cpu``           its threads would have used four fifths of the cores, but waited for them, while that much of the
                  machine was in use. A thread that wakes up on a free core waits for it as well, which says nothing.

Where none of them holds, the limit is `None`. A stage of unknown cost (its iterators had ended before the model was
read) is named where the trace has its ops, or where all other stages account for little of the waiting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.profiles.time.limits.cores import (
    CPU_FROM,
    STEAL_FROM,
    cores_between_restarts,
    cores_in_use,
    scheduled_on,
    worker_fills_cores,
)
from pipeprof.profiles.time.limits.disturbance import find_disturbance
from pipeprof.profiles.time.limits.gil import gil_is_full, lock_is_gil
from pipeprof.profiles.time.limits.serial_chain import PART_FROM, SUM_UP_TO, find_chain
from pipeprof.profiles.time.limits.service import describe_service, waiting_stage, waits_ms
from pipeprof.profiles.time.top_stage import (
    Groups,
    StageGroup,
    busiest_groups,
    describe_missing,
    groups_in_order,
    label_groups,
    share_of_work,
    top_cpu_groups,
    top_groups_of,
    unknown_stages,
)
from pipeprof.profiles.wording import milliseconds, part_of, percent, significant, size, stage_label, stage_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.document.base import Limit
    from pipeprof.profiles.document.memory import Memory
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.document.stages import Causes, Stage

MEMORY_FROM = 0.90
"""Share of the memory limit."""
BLOCKED_FROM = 0.50
"""Share of the time inside the stages."""
SLEEPS_FROM = 0.90
"""The same where other processes took cores: a call also waits for ops on threads that wait for a core."""
DISK_FROM = 5e6
"""Bytes per second from the disk from which a blocked thread is assumed to wait for it, where waits are not counted."""
READ_FROM = 1e5
"""Bytes per second below which no disk is read: a quarter of what one gives that finds a page in 10 ms."""
OTHERS_FROM = 0.50
"""Share of the time in which threads wait for a core from which other processes cost more than calls one by one do."""
STALLED_FROM = 0.50
"""Share of the blocked time in which something waited for a disk or a file system."""
COMPUTES_FROM = 1.0
"""Cores in use from which a pipeline computes and does not wait."""
ONE_FROM = 0.85
"""Share of the interval that the calls of a function compute from which one of them computes at any time."""
LOCKED_FROM = 0.25
"""Share of their time that they are blocked from which they wait for each other."""
_SEVERAL = 1.5
_CHILDREN = "child processes"
"""What the memory ledger calls them."""
SERIAL_FROM = 0.60
"""Share of the interval that a serial stage fills."""
ALWAYS_FROM = 0.95
"""Share of the interval from which a serial stage is busy all the time."""
FULL_FROM = 0.91
"""Share of the cores in use from which more calls at a time of stages that take turns would gain less than a tenth."""
INTRA_OP_FROM = 0.10
"""Share of a stage's time in further threads of single ops from which it uses more than one core."""
WANTED_FROM = 0.80
"""Share of the cores that must be in use, so that threads waiting for one are too many."""
BLOCKS_FROM = 0.50
"""Share of the waiting that a stage must be blocked for this to be the reason."""
OWN_THREADS_FROM = 0.1
"""Share of the CPU time from which that in no stage is stated: of TensorFlow's own threads, or of Python's."""
STANDS_OUT_FROM = 0.25
"""Share of the CPU time below which the stage that takes most of it is no better place to begin than others."""
REST_FROM = 0.02
"""Share of the interval from which the remaining stages of a chain are part of the sum."""
EXPLAINED_BELOW = 0.30
"""Share of the waiting that all other stages together may account for, so that one stage has the rest."""


@dataclass(frozen=True)
class Bottleneck:
    """The limit, its stage, and both in words.

    Attributes:
        limit: `None` where only the stage is known, or that it is one of several.
        stage: `None` where it is not known.
        text: For the verdict's detail, without a full stop.
    """

    limit: Limit | None
    stage: Stage | None
    text: str


def find_bottleneck(profile: Profile) -> Bottleneck | None:
    """Return the first of the limits whose measurement holds."""
    causes, steps = profile.causes, profile.steps
    full = _full_memory(profile.memory, profile.host.memory_limit_bytes)
    if full is not None:
        return full
    if causes is None or steps is None:
        return None
    remaining = _remaining_stage(profile)
    top = top_groups_of(profile, steps)
    if not top and remaining is not None and remaining.stage is not None:
        top = (StageGroup((remaining.stage,)),)
    # What fills all of the time on one thread needs no comparison with other stages.
    busiest = top or (busiest_groups(profile.stages) if describe_missing(profile) else ())
    looks = (
        (_remote, top),
        (_disturbed, top),
        (_python, top),
        (_cpu, top),
        (_locked, top),
        (_blocked, top),
        (_chain, busiest),
        (_serial, busiest),
    )
    for look, groups in (*looks, (_crowded, top)):
        found = look(causes, profile, groups)
        if found is not None:
            return found
    return remaining


def _stage_of(top: Groups) -> Stage | None:
    return top[0].stage if top else None


def _remaining_stage(profile: Profile) -> Bottleneck | None:
    """The stages of unknown cost, where the known ones account for little of the waiting; a stage if there is one only.

    Several that finish before they can be read may run at the start of each epoch: its wait is theirs too.
    """
    steps = profile.steps
    unknown = unknown_stages(profile.stages, steps.epochs if steps is not None else 0)
    if not unknown or steps is None:
        return None
    waiting = _waiting_ms(steps) + (steps.restart_ms if len(unknown) > 1 else 0.0)
    known = sum(stage.inside_ms or 0.0 for stage in profile.stages or [])
    if not 0 <= known < EXPLAINED_BELOW * waiting:
        return None
    own, together = "its own cost", ""
    if len(unknown) > 1:
        own, together = "their own costs", f" together take up to {milliseconds(waiting - known)} of each batch"
    text = (
        f"{stage_labels(unknown)}{together}: all other stages take only {milliseconds(known)} of each batch ({own} "
        "could not be read)"
    )
    return Bottleneck(None, unknown[0] if len(unknown) == 1 else None, text)


def _full_memory(memory: Memory, limit: int | None) -> Bottleneck | None:
    peak = memory.peak_bytes
    if peak is None or limit is None or peak < MEMORY_FROM * limit:
        return None
    return Bottleneck("memory", None, f"memory: the peak reached {percent(peak / limit)} of the limit ({size(limit)})")


def _remote(_causes: Causes, profile: Profile, _top: Groups) -> Bottleneck | None:
    """The threads of this process wait for what the workers of a tf.data service make."""
    waiting = _waiting_ms(profile.steps)
    stage = waiting_stage(profile.stages, waiting)
    if stage is None or stage.service is None or profile.steps is None:
        return None
    share = min(1.0, waits_ms(stage) / profile.steps.interval_ms.mean)
    service = describe_service(stage.service)
    return Bottleneck("remote", stage, f"waits for {service} {percent(share)} of the time")


def _python(causes: Causes, _profile: Profile, top: Groups) -> Bottleneck | None:
    share = causes.python_share
    if share is None or not gil_is_full(causes):
        return None
    stage = _stage_of(top)
    what = f"Python in {stage_label(stage)}" if stage is not None else "Python functions"
    return Bottleneck("gil", stage, f"{what}: runs {percent(share)} of the time, one thread at a time (GIL)")


def _locked(causes: Causes, profile: Profile, top: Groups) -> Bottleneck | None:
    """Of several calls of a Python function one computes at a time, and the others wait for a lock."""
    stage, interval = _stage_of(top), profile.steps.interval_ms.mean if profile.steps is not None else 0.0
    if stage is None or not stage.python or (stage.parallelism or 1.0) < _SEVERAL or (causes.blocked_share is None):
        return None
    if (causes.disk_bytes_per_second or 0.0) >= DISK_FROM or not interval > 0:
        return None
    blocked = stage.blocked_ms_per_batch or 0.0
    own = (stage.cpu_ms_per_batch or 0.0) - (stage.calling_ms_per_batch or 0.0) - (stage.intra_op_ms_per_batch or 0.0)
    if not ONE_FROM <= own / interval <= SUM_UP_TO or blocked < LOCKED_FROM * (own + blocked):
        return None
    text = (
        f"{stage_label(stage)}: of {stage.parallelism:.0f} calls at a time one computes and the others wait for it, "
        f"{percent(_blocked_part((stage,)))} of their time"
    )
    if lock_is_gil(causes):
        return Bottleneck("gil", stage, f"{text} (GIL)")
    return Bottleneck("latency", stage, f"{text} (a lock of a library, as h5py has one?)")


def _disturbed(causes: Causes, profile: Profile, top: Groups) -> Bottleneck | None:
    """Other processes took cores: how much any stage computes at a time, and waits for others, is their doing."""
    found = find_disturbance(profile.contention, profile.host)
    in_use = cores_in_use(profile.contention, scheduled_on(profile.host))
    if found is None or (in_use is not None and in_use < WANTED_FROM):
        return None
    stage = _stage_of(top)
    always = stage is not None and _is_blocked(stage) and _blocked_part((stage,)) >= SLEEPS_FROM
    if always and (blocked := _blocked(causes, profile, top)) is not None:
        # Its threads wanted no core.
        return blocked
    waits = f"the pipeline's threads wait for a core {percent(found.waited)} of the time"
    in_turn = _in_turn(causes, profile, top)
    if in_turn is not None and found.waited < OTHERS_FROM:
        # Its thread would do all of the work alone on free cores as well.
        return replace(in_turn, text=f"{in_turn.text}; {found.who}, and {waits}")
    return Bottleneck("cpu", stage, f"CPU: {_users(causes, profile)}; {waits}{_most_work(top)}")


def _in_turn(causes: Causes, profile: Profile, top: Groups) -> Bottleneck | None:
    """Stages that fill the time one call after another, for which more cores do nothing; not where these are full."""
    if causes.worker_cores is None or causes.worker_cores >= FULL_FROM * profile.host.cores:
        return None
    return _chain(causes, profile, top) or _serial(causes, profile, top)


def _users(causes: Causes, profile: Profile) -> str:
    """State who uses the cores: where the worker uses more than the others, it waits for itself as well."""
    used, others = causes.worker_cores, profile.contention.others_cores if profile.contention is not None else None
    if used is None or others is None or others >= used:
        return "other programs use it"
    return f"the pipeline uses {used:.1f} of {profile.host.cores:g} cores, other processes {others:.1f}"


def _cpu(causes: Causes, profile: Profile, top: Groups) -> Bottleneck | None:
    if causes.worker_cores is None or not worker_fills_cores(profile):
        return None
    if _in_turn(causes, profile, top) is not None:
        return None
    used = f"CPU: {causes.worker_cores:.1f} of {profile.host.cores:g} cores in use"
    if causes.worker_cores < CPU_FROM * profile.host.cores:
        used = f"{used}, about {cores_between_restarts(profile):.1f} between restarts"
    if not top:
        return Bottleneck("cpu", None, f"{used}{_missing(profile)}")
    groups = top_cpu_groups(profile.stages)
    total = profile.cpu.total_ms if profile.cpu is not None else 0.0
    spent = sum(group.total(lambda stage: stage.cpu_ms_per_batch) for group in groups)
    if not 0 < spent <= total:
        return Bottleneck("cpu", _stage_of(top), f"{used}{_most_work(top)}")
    several = len(groups) > 1 or len(groups[0].members) > 1
    starts = _starts_processes(profile)
    whose = " in the pipeline's own process" if starts else ""
    where = f"{label_groups(groups)} take{'' if several else 's'} {part_of(spent, total)} of CPU{whose}"
    there = "less work there"
    if spent < STANDS_OUT_FROM * total:
        where, there = f"no stage stands out: {where}", "less work"
    runtime = profile.cpu.runtime_ms or 0.0 if profile.cpu is not None else 0.0
    if runtime >= OWN_THREADS_FROM * total:
        where += f", threads outside of the stages {milliseconds(runtime)}"
    others = _of_other_processes(profile, causes.worker_cores, total) if starts else 0.0
    if others >= STANDS_OUT_FROM * total:
        where += f", processes that it starts {milliseconds(others)}"
    return Bottleneck("cpu", _stage_of(groups), f"{used}; {where}; {there} would help")


def _of_other_processes(profile: Profile, used: float, own_ms: float) -> float:
    """Milliseconds of CPU time per batch in processes that the pipeline starts, which no stage has.

    Args:
        used: Cores of all of them together.
        own_ms: CPU time per batch of the pipeline's own process.
    """
    steps = profile.steps
    if steps is None or steps.restart_share:
        return 0.0
    return used * steps.interval_ms.mean - own_ms


def _starts_processes(profile: Profile) -> bool:
    return any(entry.what == _CHILDREN for entry in profile.memory.ledger or ())


def _missing(profile: Profile) -> str:
    text = describe_missing(profile)
    return f"; {text}" if text else ""


def _most_work(top: Groups) -> str:
    """Name the stages that take most of the work."""
    if not top:
        return ""
    share = share_of_work(top)
    return f"; most work: {label_groups(top)}{f', {share}' if share else ''}"


def _crowded(causes: Causes, profile: Profile, top: Groups) -> Bottleneck | None:
    """More threads of the worker are runnable at once than there are cores."""
    used, demanded, cores = causes.worker_cores, causes.demanded_cores, profile.host.cores
    if used is None or demanded is None or demanded < CPU_FROM * cores:
        return None
    if profile.contention is not None and (profile.contention.steal_share or 0.0) >= STEAL_FROM:
        # They waited for what the hypervisor took.
        return None
    in_use = cores_in_use(profile.contention, scheduled_on(profile.host))
    if in_use is not None and in_use < WANTED_FROM:
        return None
    if profile.contention is None or profile.contention.others_cores is None:
        why = f"it gets {used:.1f} of {cores:g}; who uses the others is unknown"
    elif top and len(top[0].stages) == 1 and _one_at_a_time(top[0].stage):
        # One call at a time needs one core.
        return None
    else:
        why = f"more of them are runnable at once than the {cores:g} there are"
    waits = percent(1 - used / demanded)
    text = f"CPU: the pipeline's threads wait for a core {waits} of the time ({why}){_most_work(top)}"
    return Bottleneck("cpu", _stage_of(top), text)


def _blocked(causes: Causes, profile: Profile, top: Groups) -> Bottleneck | None:
    stage = _stage_of(top)
    if stage is not None and _is_blocked(stage) is not None:
        if not _is_blocked(stage) or (stage.blocked_ms_per_batch or 0.0) < BLOCKS_FROM * _waiting_ms(profile.steps):
            return None
        if _computes(causes) and not _always_blocked(stage, profile.steps):
            return None
        groups = tuple(replace(group, made=()) for group in top if _is_blocked(group.stage))
        stages = [member for group in groups for member in group.stages]
        share, more = _blocked_part(stages), ""
        if share < BLOCKED_FROM:
            return None
        who = f"{label_groups(groups)} {'spend' if len(stages) > 1 else 'spends'}"
        whose = "their" if len(stages) > 1 else "its"
    else:
        if causes.blocked_share is None or causes.blocked_share < BLOCKED_FROM or _computes(causes):
            return None
        share, who, whose, more = causes.blocked_share, "the stages spend", "their", _most_work(top)
    lock, other = causes.python_lock_share, "perhaps for a network, a lock or a sleep"
    if _starts_processes(profile):
        other = "probably for its child processes"
    elif stage is not None and stage.python and lock is not None and lock_is_gil(causes):
        other = f"probably for the GIL, which was held {percent(lock)} of the time in Python"
    limit, what = _name_wait(causes, _stalled_part(stage, share, profile), other)
    return Bottleneck(limit, stage, f"{who} {percent(share)} of {whose} time {what}{more}")


def _computes(causes: Causes) -> bool:
    """Whether on average at least one thread of the worker was on a core."""
    return causes.worker_cores is not None and causes.worker_cores >= COMPUTES_FROM


def _always_blocked(stage: Stage, steps: Steps | None) -> bool:
    """Whether its threads are blocked all the time, so that it sets the pace while other stages compute."""
    interval = steps.interval_ms.mean if steps is not None else 0.0
    return (stage.blocked_ms_per_batch or 0.0) >= ALWAYS_FROM * (stage.threads or 1.0) * interval


def _name_wait(causes: Causes, stalled: float | None, other: str) -> tuple[Limit, str]:
    """Name what blocked threads wait for.

    Args:
        stalled: The largest part of the blocked time in which something waited for files; `None` where not counted.
        other: What it may be where it is not the disk.
    """
    rate = causes.disk_bytes_per_second
    waiting = "waiting, not computing"
    if rate is not None and rate < READ_FROM:
        return "latency", f"{waiting}, and not for the disk: {other}"
    read = "" if rate is None else f" ({rate / 2**20:.{0 if rate >= DISK_FROM else 1}f} MiB/s come from the disk)"
    if stalled is not None and stalled >= STALLED_FROM:
        return "io", f"waiting for files{read}"
    if stalled is None and rate is not None and rate >= DISK_FROM:
        return "io", f"waiting for files{read}"
    if stalled is None or rate is None:
        # File systems that do not count what they fetch may not count who waits for it either.
        return "latency", f"{waiting}{read}; unknown whether for the disk"
    return "latency", f"{waiting}{read}, for files at most {percent(stalled)} of it"


def _stalled_part(stage: Stage | None, share: float, profile: Profile) -> float | None:
    """The part of the blocked time in which anything may have waited for files; `None` where the kernel has no PSI."""
    stalled = profile.contention.stalled_by_files_share if profile.contention is not None else None
    if stalled is None:
        return None
    if stage is not None and stage.blocked_ms_per_batch is not None and profile.steps is not None:
        share = stage.blocked_ms_per_batch / profile.steps.interval_ms.mean
    return min(1.0, stalled / min(1.0, share)) if share > 0 else None


def _is_blocked(stage: Stage) -> bool | None:
    """Whether its own threads are blocked most of the time inside it; `None` where their states were not sampled."""
    if stage.blocked_ms_per_batch is None or not stage.time_ms_per_batch:
        return None
    return _blocked_part((stage,)) >= BLOCKED_FROM


def _blocked_part(stages: Sequence[Stage]) -> float:
    inside = sum(stage.time_ms_per_batch or 0.0 for stage in stages)
    return min(1.0, sum(stage.blocked_ms_per_batch or 0.0 for stage in stages) / inside)


def _waiting_ms(steps: Steps | None) -> float:
    """Per step, without the starts of epochs."""
    if steps is None:
        return 0.0
    return max(0.0, steps.known_wait_ms - steps.restart_ms)


def _chain(_causes: Causes, profile: Profile, top: Groups) -> Bottleneck | None:
    """Stages take turns on one thread, and none of them fills the time alone."""
    found = find_chain(profile.stages or [], profile.steps) if profile.steps is not None and top else None
    if found is None:
        return None
    parts = groups_in_order(found.stages, _inside_ms, PART_FROM * found.total_ms)
    most = max(parts, key=lambda part: part.total(_inside_ms))
    if len(most.members) == 1 and most.total(_inside_ms) >= ALWAYS_FROM * found.filled_ms:
        return None
    each = [part.total(_inside_ms) for part in parts]
    times, left = " + ".join(significant(ms, 2) for ms in each), found.total_ms - sum(each)
    rest = f" + {significant(left, 2)} in others" if left >= REST_FROM * found.filled_ms else ""
    whole = "that a step waits" if found.in_turn else "between two steps"
    estimated = any(stage.timed_by == "trace" for part in parts for stage in part.members)
    how = " (estimated from the trace)" if estimated else ""
    text = (
        f"{label_groups(parts)} run one after another on one thread: {times}{rest} of the "
        f"{milliseconds(found.filled_ms)} {whole}{how}"
    )
    return Bottleneck("serial-stage", most.stage, text)


def _inside_ms(stage: Stage) -> float:
    return stage.inside_ms or 0.0


def _serial(_causes: Causes, profile: Profile, top: Groups) -> Bottleneck | None:
    steps, stage = profile.steps, _stage_of(top)
    if stage is None or steps is None or stage.inside_ms is None or not _one_at_a_time(stage):
        return None
    if stage.ceiling_resource == "threads":
        # It is inside a function that runs several times in parallel.
        return None
    share = stage.inside_ms / steps.interval_ms.mean
    if not SERIAL_FROM <= share <= SUM_UP_TO:
        return None
    how = " (estimated from the trace)" if stage.timed_by == "trace" else ""
    cores = profile.host.cores
    intra_op = (stage.intra_op_ms_per_batch or 0.0) >= INTRA_OP_FROM * stage.inside_ms
    on_one = cores > 1 and not intra_op and not worker_fills_cores(profile)
    where = f", on 1 of {cores:g} cores" if on_one else ""
    busy = f", busy {percent(share)} of each step" if share < ALWAYS_FROM else ""
    return Bottleneck("serial-stage", stage, f"{stage_label(stage)} runs one call at a time{where}{busy}{how}")


def _one_at_a_time(stage: Stage) -> bool:
    """Whether a stage runs one call at a time; not where the number of calls is unknown.

    It is unknown for an asynchronous stage whose iterators had ended when the model was read, and for a stage that is
    several datasets on threads of their own, which has no ceiling.
    """
    if stage.timed_by == "model" and stage.ceiling_batches_per_second is None:
        return False
    if stage.threads is not None and round(stage.threads) > 1:
        # Several iterators of it run, each on a thread of its own.
        return False
    if stage.parallelism is None and stage.tf_op is not None and executed(stage.tf_op).asynchronous:
        return False
    return (stage.parallelism or 1.0) <= 1.0
