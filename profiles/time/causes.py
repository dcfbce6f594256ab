"""Named measurements behind the verdict's `limit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.document.stages import Causes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.document.measured import Disk
    from pipeprof.profiles.document.shared import Contention, Steps
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.protocol.messages import Trace


ALONE_FROM = 0.9
"""Share of the time inside all stages from which one has nearly all of the work."""


def collect_causes(
    contention: Contention | None,
    disk: Disk | None,
    steps: Steps | None,
    stages: list[Stage] | None,
    trace: Trace | None,
) -> Causes | None:
    """Collect the named measurements of a run.

    ``blocked_share`` compares the wall time inside the stages with the CPU time of the whole worker, so it is a lower
    bound: the step's own Python counts as if it were the pipeline's.
    """
    if contention is None or steps is None or not steps.count:
        return None
    cores, waiting = contention.worker_cores, contention.runnable_wait_share
    demanded = cores / (1 - waiting) if cores is not None and waiting is not None and waiting < 1 else cores
    inside = sum(stage.inside_ms or 0.0 for stage in stages or [])
    blocked = None
    if demanded is not None and inside > 0:
        blocked = max(0.0, 1 - demanded * steps.interval_ms.mean / inside)
    disk_rate = disk.bytes / steps.seconds if disk is not None and disk.bytes is not None and steps.seconds else None
    traced = trace if trace is not None and trace.seconds else None
    batches = traced.batches if traced is not None else 0
    return Causes(
        worker_cores=cores,
        demanded_cores=demanded,
        blocked_share=blocked,
        disk_bytes_per_second=disk_rate,
        python_share=_python_share(traced, steps.interval_ms.p50) if traced else None,
        python_ms_per_batch=traced.python_ms / batches if traced and batches else None,
        python_lock_share=_lock_share(traced) if traced else None,
    )


def bound_blocked(stages: Sequence[Stage], causes: Causes) -> None:
    """Give the one stage with nearly all of the work its blocked time, where no trace has the states of its threads.

    ``blocked_share`` is a lower bound for all stages together. The others were blocked for no longer than they took, so
    the rest is a lower bound for this one.
    """
    inside = sum(stage.inside_ms or 0.0 for stage in stages)
    most = max(stages, key=lambda stage: stage.inside_ms or 0.0, default=None)
    known = any(one.blocked_ms_per_batch is not None for one in stages)
    if most is None or causes.blocked_share is None or known:
        return
    own = most.inside_ms or 0.0
    # What waits for a service's workers is judged by what these do.
    if most.remote or most.service is not None or own < ALONE_FROM * inside or inside <= 0:
        return
    most.blocked_ms_per_batch = max(0.0, causes.blocked_share * inside - (inside - own))
    if most.cpu_ms_per_batch is not None:
        most.cpu_ms_per_batch = min(most.cpu_ms_per_batch, own - most.blocked_ms_per_batch)


def _lock_share(traced: Trace) -> float | None:
    seen = sum(function.seconds for function in traced.functions)
    return sum(function.taken_seconds for function in traced.functions) / seen if seen else None


def _python_share(traced: Trace, interval_ms: float) -> float:
    """Return the part of the measured time in which Python of the pipeline ran.

    The trace window has no step: what fills it may be short compared with a measured interval. The median interval is
    used, because a few long ones mean nothing for the others.
    """
    share = min(1.0, traced.python_seconds / traced.seconds)
    if not traced.batches or interval_ms <= 0:
        return share
    return min(share, 1e3 * traced.python_seconds / traced.batches / interval_ms)
