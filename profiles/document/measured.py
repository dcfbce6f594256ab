"""Measurements of a run: throughput, the device, the disk and contention."""

from __future__ import annotations

from pydantic import Field

from pipeprof.profiles.document.base import Location, Model
from pipeprof.profiles.document.shared import Gaps, GpuUse, PhaseName, StepCourse


class Throughput(Model):
    """What came out of the pipeline per second of the measured window."""

    elements_per_second: float | None = None
    """Batches times `elements_per_batch`."""
    batches_per_second: float | None = None
    """Steps over the seconds of the measured window, restarts included."""
    bytes_per_second: float | None = None
    """Bytes of the tensors that came out; `None` where their size is unknown."""
    elements_per_batch: float | None = None
    """Elements that one batch is made of, on average; 1 for a pipeline whose elements are no batches. `None` where
    neither the graph nor the counters show it: nested batches, windows that overlap, what a Python function made."""


class Device(Model):
    """What consumed the batches, and how much of its time it had nothing to do."""

    kind: str
    """`simulate`, `none`, `python`, …"""
    text: str | None = None
    """The step as given, e.g. `simulate: 12ms`."""
    idle_share: float | None = None
    """Time without device work over the time from the first step to the last, 0 to 1; `None` with `step: none`."""
    gaps: Gaps | None = None
    """Where that idle time was."""
    gaps_unknown: str | None = None
    """Why no trace of its steps tells how long it idles, or why; `None` where one does, and where none was tried."""
    gpus: list[GpuUse] = Field(default_factory=list)
    """The GPUs that the steps compute on, as far as they were seen at work."""
    computes: str | None = None
    """What one step computes; `None` where only the user knows."""
    on: str | None = None
    """Where it computes: `cpu`, `gpu`, `tpu`; `None` if unknown."""
    numpy_ms: float | None = None
    """Conversion to NumPy per batch, before the step and no part of it; `None` without one."""
    copy_ms: float | None = None
    """Copy per batch to the device's or another library's memory, before the step and no part of it; else `None`."""
    cpu_ms: float | None = None
    """CPU time of the whole process per step on preloaded batches: the step's own and the loop's. Of a script: that of
    its process in the measured window, without the pipeline's stages, at most."""
    too_optimistic: str | None = None
    """Why this step leaves the pipeline more than the real one does, so that nothing is proven by it; else `None`."""
    from_init: Location | None = None
    """The line of a spec whose simulated step `pipeprof init` made up (`x-from: init`); `None` for any other step."""


class Disk(Model):
    """Bytes that came from the disk while measuring."""

    bytes: int | None = None
    """Read from storage, as the kernel counts it for the process; the page cache is not in it."""
    source: str | None = None
    """`proc-io`, or why it is unknown."""
    cold: bool | None = None
    """Source files were evicted from the page cache first."""


class Series(Model):
    """Bounded samples over the run, all of one length: seconds since the worker started and what was seen then."""

    seconds: list[float] = Field(default_factory=list)
    """Since the worker started."""
    rss_bytes: list[int] = Field(default_factory=list)
    """Resident memory of the worker and its children."""
    phase: list[PhaseName] = Field(default_factory=list)
    """In which the sample was taken."""
    fetch_histogram_ms: list[tuple[float, int]] = Field(default_factory=list)
    """Of the loop blocked in `next()`: pairs of upper bound in ms, twenty to a factor of ten, and number of steps."""
    steps: StepCourse | None = None
    """`None` where no step was measured."""


class Overhead(Model):
    """What measuring cost, as shares of the measured window."""

    loop_share: float | None = None
    """Bookkeeping in the step loop."""
    sampler_cores: float | None = None
    """CPU seconds per second of the watching process."""
    wake_share: float | None = None
    """Device idle because the loop woke late from a simulated step."""
