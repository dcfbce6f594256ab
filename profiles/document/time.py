"""Time outside the stages: the process's CPU time."""

from __future__ import annotations

from pipeprof.profiles.document.base import Model


class CpuAccount(Model):
    """The process's CPU time per batch, and who used it; the parts add up to the whole."""

    total_ms: float
    """CPU time of the worker per batch while measuring."""
    stages_ms: float
    """Inside stages of the pipeline, calling their functions included."""
    loop_ms: float | None = None
    """The Python loop with its step: CPU time per step on preloaded batches."""
    pipeprof_ms: float | None = None
    """CPU time of the measurement's bookkeeping in the loop."""
    unattributed_ms: float = 0.0
    """Inside stages whose cost could not be read or attributed."""
    runtime_ms: float
    """The rest: TensorFlow's runtime, such as passing elements between threads and autotuning."""
    waiting_share: float | None = None
    """Of the time in which threads wanted a core, the part without one."""
    waiting_ms: float | None = None
    """Time inside the stages per batch in which their threads wanted a core and had none, by their states in the trace
    window; not part of `total_ms`. `None` where too few of them were sampled."""
    throttled_share: float | None = None
    """Part of the measured time in which the cgroup's quota throttled the process."""
    scale: float = 1.0
    """By which stages, loop and pipeprof were multiplied, so that they fit into the process's CPU time."""
