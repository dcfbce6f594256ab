"""Cores: how many were in use, and how many a step would need to be kept busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.time.limits.gil import lock_is_gil
from pipeprof.profiles.wording import cores_text

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Contention
    from pipeprof.profiles.document.subject import Host

CPU_FROM = 0.80
"""Share of the usable cores (SPDL and xprof call a host saturated well before 100 %)."""
NEARLY_FROM = 0.70
"""Share of the usable cores from which, up to `CPU_FROM`, it is not known whether more would help: where elements pass
from thread to thread one by one, cores are idle while threads wake up."""
FREE_BELOW = 0.50
"""Share of the cores in use below which cores were free."""
STEAL_FROM = 0.05
"""Share of the time stolen by the hypervisor from which the cores count as fully used."""


def scheduled_on(host: Host) -> float:
    """Return the cores on which the worker competes with other processes: all of its affinity, whatever its quota."""
    return host.schedulable_cores or host.cores


def cores_in_use(contention: Contention | None, cores: float) -> float | None:
    """Return the part of the cores that was in use by all processes; all of it under a CPU quota or with steal.

    A thread that wakes up on an idle core waits for it as well, which the kernel counts like any other waiting.

    Args:
        cores: On which the worker may run.

    Returns:
        0 to 1; `None` where the use by other processes is unknown.
    """
    if contention is None:
        return None
    if contention.throttled_seconds or (contention.steal_share or 0.0) >= STEAL_FROM:
        return 1.0
    used, others = contention.worker_cores, contention.others_cores
    return None if used is None or others is None else min(1.0, (used + others) / cores)


def cores_were_free(contention: Contention | None, cores: float) -> bool:
    """Whether so many cores were free that threads waited for one only while they woke up."""
    used = cores_in_use(contention, cores)
    return used is not None and used < FREE_BELOW


def idle_cores(contention: Contention | None, host: Host) -> float | None:
    """Return the cores that nothing used; none of them under a CPU quota or with steal; ``None`` where not known."""
    cores = scheduled_on(host)
    used = cores_in_use(contention, cores)
    return None if used is None else (1 - used) * cores


def cores_between_restarts(profile: Profile) -> float | None:
    """Return the cores that the worker used while batches came, at most: as if none was used in restarts."""
    causes, steps = profile.causes, profile.steps
    if causes is None or causes.worker_cores is None:
        return None
    restart = (steps.restart_share or 0.0) if steps is not None else 0.0
    return min(profile.host.cores, causes.worker_cores / (1 - restart)) if restart < 1 else causes.worker_cores


def worker_fills_cores(profile: Profile) -> bool:
    """Whether the worker itself used as many cores as it may: the rate is at the upper bound that they set.

    Restarts may leave cores idle. They explain the missing part only where the worker's threads wanted all of the
    cores, as the kernel's count of their waiting shows.
    """
    causes, cores = profile.causes, profile.host.cores
    if causes is None or causes.worker_cores is None:
        return False
    if causes.worker_cores >= CPU_FROM * cores:
        return True
    between, wanted = cores_between_restarts(profile), causes.demanded_cores
    return between is not None and between >= CPU_FROM * cores and wanted is not None and wanted >= cores


def describe_nearly_full(profile: Profile) -> str:
    """State how many cores the worker used where they are nearly full, which may be a limit or not; empty elsewhere."""
    used, cores = profile.causes.worker_cores if profile.causes is not None else None, profile.host.cores
    if used is None or not NEARLY_FROM * cores <= used < CPU_FROM * cores:
        return ""
    return f"{used:.1f} of {cores_text(cores)} in use"


def step_alone_ms(profile: Profile) -> float | None:
    """How long a step takes where data are always there, as with preloaded batches; `None` without a step."""
    steps, headspace = profile.steps, profile.headspace
    if steps is None or steps.dispatch is None:
        return None
    if headspace is not None and headspace.replayed_ms > 0:
        return headspace.replayed_ms
    return steps.busy_ms.mean if steps.busy_ms is not None else None


def cores_needed(profile: Profile) -> float | None:
    """Return the cores that the worker's CPU time per batch would take if no step waited for data.

    `None` without a step, where the CPU time is unknown, and where no number of cores would do: Python of a generator,
    or with the GIL held, runs on one thread at a time, and takes longer than a step.
    """
    steps, causes, step_ms = profile.steps, profile.causes, step_alone_ms(profile)
    if steps is None or not step_ms or causes is None or causes.worker_cores is None:
        return None
    one_by_one = [one for one in profile.stages or () if traits(one.op).python_iterator or lock_is_gil(causes)]
    if any(sum(own.ms_per_batch for own in one.python or ()) > step_ms for one in one_by_one):
        return None
    return causes.worker_cores * steps.interval_ms.mean / step_ms
