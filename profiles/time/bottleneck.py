"""What holds the pipeline up, from named measurements: the verdict's `limit`.

Each candidate has one measurement of its own. They are asked in this order, because the earlier ones explain the later:

``memory``        the peak reached nine tenths of the limit
``gil``           Python functions ran most of the traced time and had Python's lock, while the worker computed on about
                  one core
``cpu``           the worker used four fifths of its cores
``io``            its threads were blocked most of the time inside the stage that takes the most, and bytes came from
                  the disk; where nobody saw the threads of that stage, inside all stages together
``latency``       the same without bytes from the disk: sleeping, network, locks
``serial-stage``  one stage that runs one call at a time fills most of the interval
``cpu``           its threads would have used four fifths of the cores, but waited for them, while that much of the
                  machine was in use: others had them, or too many of its own wanted one at the same time. Without
                  that they waited on cores that were free, to be woken: that says nothing

Where none of them holds, there is no limit named: what cannot be told apart is not. A stage whose cost is not known,
because it ended before it could be read, is named where its traced ops say what it costs, or where the others together
take so little of the waiting that it must have the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.graph.opnames import is_asynchronous
from pipeprof.profiles.time.top_stage import equal_stages, top_stage, unknown_stages
from pipeprof.profiles.wording import milliseconds, percent

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Limit
    from pipeprof.profiles.document.measured import Contention, Disk, Steps
    from pipeprof.profiles.document.memory import Memory
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Causes, Stage

MEMORY_FROM = 0.90
"""Share of the memory limit."""
PYTHON_FROM = 0.60
"""Share of the traced time with Python running."""
PYTHON_CORES = (0.6, 1.6)
"""Cores of a worker that is held by Python's lock: one, give or take TensorFlow's own."""
PYTHON_ALWAYS = 0.90
"""Share of the traced time from which Python is held to be the limit also on a machine that others use."""
PYTHON_LEAST = 0.3
"""Cores that the worker must get even then: below it Python mostly waits."""
LOCK_FROM = 0.50
"""Share of the time inside Python functions with the lock taken; seen are 0.93 to 1 of those that compute in Python,
0.02 to 0.05 of those that sleep or leave the work to NumPy."""
CPU_FROM = 0.80
"""Share of the usable cores (SPDL and xprof call a host saturated well before 100 %)."""
BLOCKED_FROM = 0.50
"""Share of the time inside the stages."""
DISK_FROM = 5e6
"""Bytes per second from the disk from which a blocked thread is held to wait for it, where nobody counts who does."""
READ_FROM = 1e5
"""Bytes per second below which no disk is read: a quarter of what one gives that finds a page in 10 ms."""
STALLED_FROM = 0.50
"""Share of the blocked time in which something waited for a disk or a file system."""
SERIAL_FROM = 0.60
"""Share of the interval that a serial stage fills."""
WANTED_FROM = 0.80
"""Share of the cores that must be in use, so that threads waiting for one are held to have been too many."""
FREE_BELOW = 0.50
"""Share of the cores in use below which cores were free for whoever wanted one."""
STEAL_FROM = 0.05
"""Share of the time that the machine below takes away, from which the cores are wanted whoever uses them here."""
OTHERS_FROM = 0.50
"""Share of the missing cores that others must use, so that they and not its own threads are in the worker's way."""
BLOCKS_FROM = 0.50
"""Share of the waiting that a stage must be blocked, so that this is held to be the reason."""
EXPLAINED_BELOW = 0.30
"""Share of the waiting that all other stages together may account for, so that the rest is left to one."""


@dataclass(frozen=True)
class Limited:
    """A limit, the stage that is held, and the measurement in words; no limit where only the stage is known."""

    limit: Limit | None
    stage: Stage | None
    because: str
    beside: tuple[Stage, ...] = ()
    """Stages that take as much and of which the same is said, e.g. the other side of a zip."""


def causes_of(
    contention: Contention | None,
    disk: Disk | None,
    steps: Steps | None,
    stages: list[Stage] | None,
    trace: dict[str, Any] | None,
) -> Causes | None:
    """The named measurements, from what was observed.

    ``blocked_share`` compares the wall time inside the stages with the CPU time of the whole worker, so it is a lower
    bound: the step's own Python counts as if it were the pipeline's.
    """
    from pipeprof.profiles.document.stages import Causes

    if contention is None or steps is None or not steps.count:
        return None
    cores, waiting = contention.worker_cores, contention.runnable_wait_share
    demanded = cores / (1 - waiting) if cores is not None and waiting is not None and waiting < 1 else cores
    inside = sum(stage.inside_ms or 0.0 for stage in stages or [])
    blocked = None
    if demanded is not None and inside > 0:
        blocked = max(0.0, 1 - demanded * steps.interval_ms.mean / inside)
    disk_rate = disk.bytes / steps.seconds if disk is not None and disk.bytes is not None and steps.seconds else None
    traced = trace if trace and trace.get("seconds") else None
    batches = (traced or {}).get("batches")
    return Causes(
        worker_cores=cores,
        demanded_cores=demanded,
        blocked_share=blocked,
        disk_bytes_per_second=disk_rate,
        python_share=_python_share(traced, steps.interval_ms.p50) if traced else None,
        python_ms_per_batch=traced["python_ms"] / batches if traced and batches else None,
        python_lock_share=_lock_share(traced) if traced else None,
    )


def _lock_share(traced: dict[str, Any]) -> float | None:
    functions = traced.get("functions") or ()
    seen = float(sum(one["seconds"] for one in functions))
    return float(sum(one["taken_seconds"] for one in functions)) / seen if seen else None


def _python_share(traced: dict[str, Any], interval_ms: float) -> float:
    """The part of the measured time in which Python of the pipeline ran.

    The traced stretch has no step: what fills it may be short beside a measured interval. That is the median one, as a
    few that were held up say nothing of the others.
    """
    running = float(traced["python_seconds"])
    share = min(1.0, running / float(traced["seconds"]))
    batches = traced.get("batches")
    if not batches or interval_ms <= 0:
        return share
    return min(share, 1e3 * running / int(batches) / interval_ms)


def limit_of(profile: Profile) -> Limited | None:
    """The first of the limits whose measurement holds."""
    causes, steps = profile.causes, profile.steps
    if _memory_is_full(profile.memory, profile.host.memory_limit_bytes):
        return Limited("memory", None, "its memory is at the limit")
    if causes is None or steps is None:
        return None
    left = _left_over(profile)
    stage = top_stage(profile.stages, steps.epochs) or (left.stage if left is not None else None)
    for look in (_python, _cpu, _blocked, _serial, _crowded):
        found = look(causes, profile, stage)
        if found is not None:
            return found
    return left


def _left_over(profile: Profile) -> Limited | None:
    """The only stage of unknown cost, where the known ones account for little of the waiting."""
    steps = profile.steps
    unknown = unknown_stages(profile.stages, steps.epochs if steps is not None else 0)
    if len(unknown) != 1 or steps is None:
        return None
    waiting = _waiting_ms(steps)
    known = sum(stage.inside_ms or 0.0 for stage in profile.stages or [])
    if not 0 <= known < EXPLAINED_BELOW * waiting:
        return None
    words = f"its own cost could not be read, but all the others take only {milliseconds(known)} of each batch"
    return Limited(None, unknown[0], words)


def _memory_is_full(memory: Memory, limit: int | None) -> bool:
    return memory.peak_bytes is not None and limit is not None and memory.peak_bytes >= MEMORY_FROM * limit


def held_by_python(
    share: float | None, worker_cores: float | None, demanded_cores: float | None, lock_share: float | None = None
) -> bool:
    """Whether Python's lock holds the pipeline up.

    Where others use the cores, threads that were woken for the lock wait for a core as well, and the demand looks
    larger than it is; then Python must have run nearly all of the time.

    Args:
        share: Part of the traced time in which Python of the pipeline ran.
        worker_cores: CPU seconds of the worker per second.
        demanded_cores: The same if no thread had waited for a core.
        lock_share: Part of the time inside its functions in which the lock was taken; `None` where nobody looked.
    """
    low, high = PYTHON_CORES
    if share is None or demanded_cores is None or share < PYTHON_FROM:
        return False
    if lock_share is not None and lock_share < LOCK_FROM:
        return False
    if demanded_cores <= high:
        return demanded_cores >= low
    return share >= PYTHON_ALWAYS and worker_cores is not None and PYTHON_LEAST <= worker_cores <= high


def _python(causes: Causes, _profile: Profile, stage: Stage | None) -> Limited | None:
    share, lock = causes.python_share, causes.python_lock_share
    if share is None or not held_by_python(share, causes.worker_cores, causes.demanded_cores, lock):
        return None
    return Limited(
        "gil", stage, f"Python functions run {percent(share)} of the time and one lock lets only one of them compute"
    )


def _cpu(causes: Causes, profile: Profile, stage: Stage | None) -> Limited | None:
    used, cores = causes.worker_cores, profile.host.cores
    if used is None or used < CPU_FROM * cores:
        return None
    beside = equal_stages(stage, profile.stages) if stage is not None else ()
    return Limited("cpu", stage, f"the worker uses {used:.1f} of {cores:g} cores", beside)


def cores_in_use(contention: Contention | None, cores: float) -> float | None:
    """The part of the cores that was in use by whomsoever; all of them where a quota or the machine below held back.

    A thread that is woken on an idle core waits for it as well, which the kernel counts like any other waiting.

    Args:
        contention: What was observed.
        cores: That the worker may use.

    Returns:
        0 to 1; `None` where nobody knows what the others used.
    """
    if contention is None:
        return None
    if contention.throttled_seconds or (contention.steal_share or 0.0) >= STEAL_FROM:
        return 1.0
    used, others = contention.worker_cores, contention.others_cores
    return None if used is None or others is None else min(1.0, (used + others) / cores)


def cores_were_free(contention: Contention | None, cores: float) -> bool:
    """Whether threads that waited for a core can only have waited to be woken, or for each other for a moment."""
    used = cores_in_use(contention, cores)
    return used is not None and used < FREE_BELOW


def _crowded(causes: Causes, profile: Profile, stage: Stage | None) -> Limited | None:
    """The cores are taken, by others or by turns."""
    used, demanded, cores = causes.worker_cores, causes.demanded_cores, profile.host.cores
    if used is None or demanded is None or demanded < CPU_FROM * cores:
        return None
    in_use = cores_in_use(profile.contention, cores)
    if in_use is not None and in_use < WANTED_FROM:
        return None
    beside = equal_stages(stage, profile.stages) if stage is not None else ()
    others = profile.contention.others_cores if profile.contention is not None else None
    words = f"the worker's threads wait for a core {percent(1 - used / demanded)} of the time"
    if others is None:
        why = f"{words} (it gets {used:.1f} of {cores:g}); whose work is in the way is not known"
        return Limited("cpu", stage, why, beside)
    if others >= OTHERS_FROM * (demanded - used):
        return Limited(
            "cpu", stage, f"{words}, because others use {others:.1f} of the {cores:g} (it gets {used:.1f})", beside
        )
    if stage is not None and _one_at_a_time(stage):
        # One call at a time wants one core.
        return None
    return Limited("cpu", stage, f"{words}, because more of them want one at once than the {cores:g} there are", beside)


def _blocked(causes: Causes, profile: Profile, stage: Stage | None) -> Limited | None:
    if stage is not None and _is_blocked(stage) is not None:
        if not _is_blocked(stage) or (stage.blocked_ms_per_batch or 0.0) < BLOCKS_FROM * _waiting_ms(profile.steps):
            return None
        beside = tuple(one for one in equal_stages(stage, profile.stages) if _is_blocked(one))
        share, where = _blocked_part((stage, *beside)), "them" if beside else "it"
    else:
        if causes.blocked_share is None or causes.blocked_share < BLOCKED_FROM:
            return None
        beside = equal_stages(stage, profile.stages) if stage is not None else ()
        share, where = causes.blocked_share, "the stages"
    words = f"{percent(share)} of the time inside {where} nothing computes"
    name, why = _waiting_for(causes, _stalled_part(stage, share, profile), them=bool(beside))
    return Limited(name, stage, f"{words}{why}", beside)


def _waiting_for(causes: Causes, stalled: float | None, *, them: bool) -> tuple[Limit, str]:
    """What blocked threads wait for; `stalled` is the most of that time in which something waited for files."""
    rate = causes.disk_bytes_per_second
    if rate is not None and rate < READ_FROM:
        return "latency", f", and no disk is read: {'they wait' if them else 'it waits'}"
    read = "" if rate is None else f", and {rate / 1e6:.{0 if rate >= DISK_FROM else 1}f} MB/s come from the disk"
    if stalled is not None and stalled >= STALLED_FROM:
        return "io", read or ", and files are waited for"
    if stalled is None and rate is not None and rate >= DISK_FROM:
        return "io", read
    if stalled is None or rate is None:
        # File systems that do not count what they fetch may not count who waits for it either.
        return "latency", f"{read}; whether that is the disk or something else is not known here"
    return "latency", f"{read}, but files are waited for at most {percent(stalled)} of that time"


def _stalled_part(stage: Stage | None, share: float, profile: Profile) -> float | None:
    """The part of the blocked time in which anything may have waited for files; `None` where nobody counts."""
    stalled = profile.contention.stalled_by_files_share if profile.contention is not None else None
    if stalled is None:
        return None
    if stage is not None and stage.blocked_ms_per_batch is not None and profile.steps is not None:
        share = stage.blocked_ms_per_batch / profile.steps.interval_ms.mean
    return min(1.0, stalled / min(1.0, share)) if share > 0 else None


def _is_blocked(stage: Stage) -> bool | None:
    """Whether its own threads are blocked most of the time inside it; `None` where nobody looked."""
    if stage.blocked_ms_per_batch is None or not stage.time_ms_per_batch:
        return None
    return _blocked_part((stage,)) >= BLOCKED_FROM


def _blocked_part(stages: tuple[Stage, ...]) -> float:
    inside = sum(stage.time_ms_per_batch or 0.0 for stage in stages)
    return min(1.0, sum(stage.blocked_ms_per_batch or 0.0 for stage in stages) / inside)


def _waiting_ms(steps: Steps | None) -> float:
    """Per step, without the starts of epochs."""
    if steps is None:
        return 0.0
    return max(0.0, steps.wait_ms.mean - (steps.restart_share or 0.0) * steps.interval_ms.mean)


def _serial(_causes: Causes, profile: Profile, stage: Stage | None) -> Limited | None:
    steps = profile.steps
    if stage is None or steps is None or stage.inside_ms is None or not _one_at_a_time(stage):
        return None
    if stage.ceiling_resource == "threads":
        # It is inside a function of which several run at a time.
        return None
    share = stage.inside_ms / steps.interval_ms.mean
    if share < SERIAL_FROM:
        return None
    how = ", as the trace shows" if stage.timed_by == "trace" else ""
    return Limited("serial-stage", stage, f"it runs one call at a time, {percent(min(share, 1.0))} of the time{how}")


def _one_at_a_time(stage: Stage) -> bool:
    """Of a stage that runs several calls and had ended whenever the model was read, nobody knows how many.

    Nor of one that is several datasets on threads of their own, which has no ceiling.
    """
    if stage.timed_by == "model" and stage.ceiling_batches_per_second is None:
        return False
    if stage.parallelism is None and stage.tf_op is not None and is_asynchronous(stage.tf_op):
        return False
    return (stage.parallelism or 1.0) <= 1.0
