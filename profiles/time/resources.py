"""Cores and memory: how much was in use, what other processes took from the worker, and whether memory is a problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.profiles.constants import DISTURBED_FROM

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Contention
    from pipeprof.profiles.document.subject import Host

FREE_BELOW = 0.50
"""Share of the cores in use below which cores were free."""
STEAL_FROM = 0.05
"""Share of the time stolen by the hypervisor from which the cores count as fully used."""


def scheduled_on(host: Host) -> float:
    """Return the cores on which the worker competes with other processes: all of its affinity, whatever its quota."""
    return host.schedulable_cores or host.cores


def cores_in_use(contention: Contention | None, cores: float) -> float | None:
    """Return the part of the cores that was in use by all processes, 0 to 1; `None` where that is unknown.

    All of it under a CPU quota or with steal. A thread that wakes up on an idle core waits for it as well, which the
    kernel counts like any other waiting.

    Args:
        cores: On which the worker may run.
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


def step_alone_ms(profile: Profile) -> float | None:
    """How long a step takes where data are always there, as with preloaded batches; `None` without a step."""
    steps, headspace = profile.steps, profile.headspace
    if steps is None or steps.dispatch is None:
        return None
    if headspace is not None and headspace.replayed_ms > 0:
        return headspace.replayed_ms
    return steps.busy_ms.mean if steps.busy_ms is not None else None


def lost_cores(contention: Contention | None, host: Host) -> float | None:
    """Return the cores that the worker's threads waited for while others used them, at most; `None` if unknown.

    Waiting alone says little: a thread that wakes up on a free core waits as well, and so do more threads of it
    than there are cores. Other processes alone say little either, if the worker had its core at any time. What it lost
    is at most the smaller of the two, and of that the part of the cores that was in use.
    """
    if contention is None:
        return None
    used, waited, others = contention.worker_cores, contention.runnable_wait_share, contention.others_cores
    if used is None or others is None or waited is None or not waited < 1:
        return None
    in_use = cores_in_use(contention, scheduled_on(host)) or 0.0
    return in_use * min(others, used * waited / (1 - waited)) if in_use >= FREE_BELOW else 0.0


def disturbed_share(contention: Contention | None, host: Host) -> float | None:
    """Return the part of the time in which the worker wanted a core and had none, where others took many; else `None`.

    Cores that one thread lost are the part of the time for which it stood still; of several threads, what counts is
    the part of all the CPU time that they wanted.
    """
    if contention is None:
        return None
    if (contention.steal_share or 0.0) >= DISTURBED_FROM:
        return contention.runnable_wait_share or 0.0
    lost, used = lost_cores(contention, host), contention.worker_cores
    disturbed = lost is not None and used is not None and lost >= DISTURBED_FROM * max(1.0, used + lost)
    return (contention.runnable_wait_share or 0.0) if disturbed else None


LARGE_BYTES = 10**9
"""Peak memory above the TensorFlow baseline from which it is a problem whatever the limit."""
LARGE_SHARE = 0.25
"""The same as a share of the memory limit."""
NEAR_LIMIT = 0.8
"""Share of the memory limit from which the peak comes before the speed in the verdict."""


@dataclass(frozen=True)
class MemoryProblem:
    """Memory that is worth a line.

    Attributes:
        above: Bytes of the peak above TensorFlow itself; None where they are not large.
        critical: It leaks, or its peak is near the limit.
        matters: As `memory_matters`.
    """

    above: int | None
    critical: bool
    matters: bool


def find_memory_problem(profile: Profile) -> MemoryProblem | None:
    """Find whether a finding on memory exists, the peak is large, or it leaks; none in a run without a step."""
    if not profile.shows_memory:
        return None
    found = any(one.family == "memory" and one.status != "rejected" for one in profile.findings or ())
    above, leaks = _large(profile), profile.memory.growth is not None and bool(profile.memory.growth.leak)
    if not found and above is None and not leaks:
        return None
    peak, limit = profile.memory.peak_bytes, profile.host.memory_limit_bytes
    near = peak is not None and limit is not None and peak >= NEAR_LIMIT * limit
    return MemoryProblem(above, critical=leaks or near, matters=memory_matters(profile))


def memory_matters(profile: Profile) -> bool:
    """Whether memory was asked about, is large or leaks."""
    growth = profile.memory.growth
    asked = profile.host.memory_limit_source == "option"
    return asked or _large(profile) is not None or (growth is not None and bool(growth.leak))


def _large(profile: Profile) -> int | None:
    """Bytes of the peak above TensorFlow itself, where they are many."""
    peak, baseline, limit = profile.memory.peak_bytes, profile.memory.baseline_bytes, profile.host.memory_limit_bytes
    above = peak - baseline if peak is not None and baseline is not None else 0
    return above if above >= LARGE_BYTES or (limit is not None and above >= LARGE_SHARE * limit) else None
