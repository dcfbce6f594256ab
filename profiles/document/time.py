"""Time outside the stages: the process's CPU time and upper bounds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import Model

CeilingResource = Literal["cores", "serial", "threads", "disk", "step"]


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


class CeilingTerm(Model):
    """One resource's limit on the rate."""

    resource: CeilingResource
    """What sets the limit: the cores, one call at a time, a pool's threads, the disk or the step."""
    batches_per_second: float
    """The rate that this resource allows."""
    stage: str | None = None
    """Address of the stage whose limit it is; `None` for the whole pipeline."""
    stages: list[str] = Field(default_factory=list)
    """Of `serial`: the stages that take turns on one thread, where it is several."""
    threads: float | None = None
    """Of `threads`: how many there are for functions, or for its calls."""


class Ceiling(Model):
    """The rate that no setting of the pipeline as it is can exceed: the smallest of the terms."""

    batches_per_second: float
    """The smallest rate of `terms`."""
    resource: CeilingResource
    """That of the smallest term."""
    stage: str | None = None
    """That of the smallest term."""
    terms: list[CeilingTerm] = Field(default_factory=list)
    """All limits, the smallest first."""
