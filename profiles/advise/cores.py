"""Cores that a change to the pipeline could use: not those of other processes, nor those that are free in restarts."""

from __future__ import annotations

from pipeprof.profiles.advise.rule import Threshold
from pipeprof.profiles.view.thread_chains import timing
from pipeprof.profiles.view.view import PipelineView

BUSY_CORES = Threshold(
    "busy-cores", 0.8, "of the cores that other processes leave", "above, more threads only compete", to_try=0.95
)
ONE_CORE = Threshold("one-core", 1.0, "core", "with no more, threads compete with each other")
STARVED = Threshold("starved", 0.3, "of the stage's threads", "waiting for a core looks like waiting", to_try=0.6)


def worker_cores(view: PipelineView) -> float | None:
    """CPU seconds of the worker per second."""
    if view.facts is not None and view.facts.worker_cores is not None:
        return view.facts.worker_cores
    contention = view.profile.contention if view.profile is not None else None
    return contention.worker_cores if contention is not None else None


def cores_at_work(view: PipelineView) -> float | None:
    """Cores used between restarts: an epoch's start may leave all cores idle."""
    used, at = worker_cores(view), timing(view)
    if used is None or at is None or not at.running_ms > 0:
        return None
    return used * at.interval_ms / at.running_ms


def cores_left(view: PipelineView) -> float | None:
    """Return the cores that other processes leave to the worker; ``None`` if it is unknown what those use."""
    others = view.facts.others_cores if view.facts is not None else None
    if others is None and view.profile is not None and view.profile.contention is not None:
        others = view.profile.contention.others_cores
    if others is None:
        return None
    # Under a quota others may use cores that the worker does not get anyway.
    return max(0.0, min(view.cores, view.shared_threads - others))


def spare_cores(view: PipelineView) -> bool:
    """Whether there is a free core for another thread: several cores are left, and not all of them busy."""
    used, left = cores_at_work(view), cores_left(view)
    if used is None or left is None:
        return False
    return left > ONE_CORE.value and used < BUSY_CORES.value * left


def room_to_wait(view: PipelineView) -> bool:
    """Whether more calls that wait have room: waiting takes no core, so only what is computed must fit what is left."""
    used, left = cores_at_work(view), cores_left(view)
    if used is None or left is None:
        return False
    return view.cores > ONE_CORE.value and used < BUSY_CORES.value * left


def starved(view: PipelineView, running: float) -> bool:
    """Whether threads that seem to wait only wait for a core; `running` is their average number in the stage."""
    share = view.facts.runnable_wait_share if view.facts is not None else None
    if share is None and view.profile is not None and view.profile.contention is not None:
        share = view.profile.contention.runnable_wait_share
    used = worker_cores(view)
    if share is None or used is None or share >= 1:
        return True
    return used * share / (1 - share) >= STARVED.value * running
