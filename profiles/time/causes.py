"""Named measurements behind the verdict's `limit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.document.shared import CoreScaling
from pipeprof.profiles.document.stages import Causes

if TYPE_CHECKING:
    from pipeprof.profiles.document.measured import Disk
    from pipeprof.profiles.document.shared import Contention, Steps
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.protocol.messages import Trace


def collect_causes(
    contention: Contention | None,
    disk: Disk | None,
    steps: Steps | None,
    stages: list[Stage] | None,
    trace: Trace | None,
    *,
    fewer: CoreScaling | None = None,
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
        fewer_cores=fewer,
    )


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
