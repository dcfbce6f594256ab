"""Cores that a pipeline uses."""

from __future__ import annotations

from pipeprof.profiles.view.thread_chains import timing
from pipeprof.profiles.view.view import PipelineView


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
