"""Cores: how many were in use, and how many a step would need to be kept busy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.wording import cores_text, percent

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Contention, CoreScaling
    from pipeprof.profiles.document.subject import Host

CPU_FROM = 0.80
"""Share of the usable cores (SPDL and xprof call a host saturated well before 100 %)."""
NEARLY_FROM = 0.70
"""Share of the usable cores from which, up to `CPU_FROM`, it is not known whether more would help: where elements pass
from thread to thread one by one, cores are idle while threads wake up."""
FREE_BELOW = 0.50
"""Share of the cores in use below which cores were free."""
WORTH_A_CORE = 1.1
"""Rate with all cores over that with half of them, below which the others bring nothing, nor would more."""
TWICE_AS_MANY = 1.125
"""Expected rate with twice as many cores over that with all, from which these are the limit: more than blocks of the
same pipeline differ by."""
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
    cores, as the kernel's count of their waiting shows, or where the rate within an epoch fell with fewer cores as it
    would with full ones.
    """
    causes, cores = profile.causes, profile.host.cores
    if causes is None or causes.worker_cores is None:
        return False
    if causes.worker_cores >= CPU_FROM * cores:
        return True
    between = cores_between_restarts(profile)
    if between is None or between < CPU_FROM * cores:
        return False
    wanted, fewer = causes.demanded_cores, causes.fewer_cores
    followed = fewer is not None and fewer.gain >= CPU_FROM * cores / fewer.cores
    return followed or (wanted is not None and wanted >= cores)


def cores_are_the_limit(profile: Profile) -> bool:
    """Whether more cores would bring more batches, as far as it was measured.

    Where the cores are full, the rate falls in proportion with fewer of them; it falls by less only where the
    pipeline's threads take less CPU time for the same work then. How much it falls for a pipeline that was started on
    them tells by Amdahl's law what twice as many cores would bring: an eighth at least, or they are no limit. Where
    that is unknown (it was only moved there, or is slower than so by a tenth), it has to fall in proportion, within a
    tenth: threads that were moved hand over elements as before.
    Where the cores are not full, a rate that follows their number all the same shows that they are the limit: it has to
    fall by more than it would if the same CPU time were put into fewer cores, by half of the difference at least.
    """
    full, causes, cores = worker_fills_cores(profile), profile.causes, profile.host.cores
    fewer = causes.fewer_cores if causes is not None else None
    used = cores_between_restarts(profile)
    if fewer is None or used is None or fewer.cores >= cores:
        return full
    in_proportion = cores / fewer.cores
    if full and (fewer.tuned_ms is None or fewer.tuned_ms > WORTH_A_CORE * fewer.fewer_ms):
        return fewer.gain * WORTH_A_CORE >= in_proportion
    if full:
        return _gain_of_twice_as_many(fewer.gain, in_proportion) >= TWICE_AS_MANY
    packed = max(1.0, used / fewer.cores)
    return fewer.gain >= (packed + in_proportion) / 2


def _gain_of_twice_as_many(gain: float, more: float) -> float:
    """Return what twice as many cores would bring, by Amdahl's law.

    Args:
        gain: Rate over that with fewer cores.
        more: Cores over these.

    Example:
        >>> round(_gain_of_twice_as_many(2.0, 2.0), 2), round(_gain_of_twice_as_many(4 / 3, 2.0), 2)
        (2.0, 1.2)
    """
    divided = min(1.0, (1 - 1 / gain) / (1 - 1 / more))
    alone = 1 - divided
    return (alone + divided / more) / (alone + divided / more / 2)


def describe_fewer_cores(profile: Profile) -> str:
    """State the rate with fewer cores, without a full stop; empty where it was not measured.

    Blocks of one pipeline differ by a tenth, and the fastest of several starts is compared with a single one: a rate
    with fewer cores that is higher says no more than that it is no lower, unless the same iterator was faster on them.
    """
    fewer = profile.causes.fewer_cores if profile.causes is not None else None
    if fewer is None:
        return ""
    with_them = f"with {cores_text(fewer.cores)} the rate{_between_restarts(profile)} is"
    if fewer.gain < WORTH_A_CORE and not _is_faster(fewer):
        return f"{with_them} no lower, within a tenth"
    gain = fewer.gain if fewer.gain >= WORTH_A_CORE else fewer.fewer_ms / fewer.all_ms
    return f"{with_them} {percent(1 / gain)} of that with {profile.host.cores:g}"


def _was_otherwise(profile: Profile, fewer: CoreScaling) -> bool:
    """Whether the blocks with all cores ran at another rate than the steps of the run; with restarts, unknown."""
    steps = profile.steps
    if steps is None or steps.restart_share or not steps.interval_ms.mean:
        return False
    return not 1 / WORTH_A_CORE <= fewer.all_ms / steps.interval_ms.mean <= WORTH_A_CORE


def _is_faster(fewer: CoreScaling) -> bool:
    """Whether the same iterator was faster on fewer cores."""
    return fewer.fewer_ms * WORTH_A_CORE < fewer.all_ms


def _between_restarts(profile: Profile) -> str:
    """Say where the rate was measured: steps that begin an epoch are left out of it."""
    return " between restarts" if profile.steps is not None and profile.steps.restart_share else ""


def more_cores_help(profile: Profile) -> bool:
    """Whether a run with fewer cores showed that more would bring more batches; full cores alone do not show it."""
    return profile.causes is not None and profile.causes.fewer_cores is not None and cores_are_the_limit(profile)


def _more_bring_little(profile: Profile, fewer: CoreScaling) -> bool:
    """Whether all cores bring less than a tenth, also if restarts, which were not tried, gain as much as they can."""
    restarts = (profile.steps.restart_share or 0.0) if profile.steps is not None else 0.0
    return (1 - restarts) * fewer.gain + restarts * profile.host.cores / fewer.cores < WORTH_A_CORE


def describe_nearly_full(profile: Profile) -> str:
    """State how many cores the worker used where it is no limit that they are nearly full; empty where they are not.

    Where the cores are full and no limit either, fewer of them were tried. What that gave is left out where the blocks
    with all cores were more than a tenth faster or slower than the steps that the report states.
    """
    used, cores = profile.causes.worker_cores if profile.causes is not None else None, profile.host.cores
    if used is None or used < NEARLY_FROM * cores:
        return ""
    fewer = profile.causes.fewer_cores if profile.causes is not None else None
    if fewer is not None and _was_otherwise(profile, fewer):
        fewer = None
    measured = describe_fewer_cores(profile) if fewer is not None else ""
    if not measured and used >= CPU_FROM * cores:
        return ""
    helps = ""
    if fewer is not None and _more_bring_little(profile, fewer):
        helps = ": fewer are faster here" if _is_faster(fewer) else ": more cores would bring little"
    return f"{used:.1f} of {cores_text(cores)} in use{f'; {measured}' if measured else ''}{helps}"


def cores_needed(profile: Profile) -> float | None:
    """Return the cores that the worker's CPU time per batch would take if no step waited for data.

    `None` without a step, and where the CPU time is unknown.
    """
    steps, causes, headspace = profile.steps, profile.causes, profile.headspace
    if steps is None or steps.dispatch is None or causes is None or causes.worker_cores is None:
        return None
    busy_ms = steps.busy_ms.mean if steps.busy_ms is not None else 0.0
    # With preloaded batches a step takes what it would take if data were always there.
    step_ms = headspace.replayed_ms if headspace is not None and headspace.replayed_ms > 0 else busy_ms
    return causes.worker_cores * steps.interval_ms.mean / step_ms if step_ms > 0 else None
