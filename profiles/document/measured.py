"""Measurements of a run: phases, steps, the device, the disk and contention."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import Dispatch, Model
from pipeprof.profiles.document.vocabulary import GapCause, PhaseName


class Phase(Model):
    """One of the seven phases of a sample."""

    name: PhaseName
    seconds: float | None = Field(None, description="Duration; `None` while or if it did not end.")
    peak_rss_bytes: int | None = Field(None, ge=0)
    end_rss_bytes: int | None = Field(None, ge=0)
    how: Literal["hwm", "sampled"] | None = Field(
        None, description="`hwm`: exact high-water mark of the kernel; `sampled`: the largest sample seen from outside."
    )
    note: str | None = Field(None, description="A remark, e.g. which rule ended the warm-up.")


class Throughput(Model):
    """What came out of the pipeline per second of the measured window."""

    elements_per_second: float | None = Field(None, description="Batches times `elements_per_batch`.")
    batches_per_second: float | None = None
    bytes_per_second: float | None = None
    elements_per_batch: float | None = Field(
        None,
        description="Elements that one batch is made of, on average; 1 for a pipeline whose elements are no batches. "
        "`None` where neither the graph nor the counters show it: nested batches, windows that overlap, what a Python "
        "function made.",
    )
    bytes_per_batch: float | None = None


class Quantiles(Model):
    """Mean and quantiles of a duration per step, in milliseconds."""

    mean: float
    p50: float
    p95: float
    p99: float
    max: float | None = None


class Steps(Model):
    """The measured steps."""

    count: int = Field(ge=0)
    dispatch: Dispatch | None = Field(None, description="`None` with `step: none`.")
    seconds: float
    interval_ms: Quantiles = Field(description="From one step's start to the next one's.")
    wait_ms: Quantiles = Field(description="Device idle because of the pipeline, less the loop's own `floor_ms`.")
    fetch_ms: Quantiles = Field(description="The loop blocked in `next()`.")
    busy_ms: Quantiles | None = Field(None, description="The device at work; `None` with `step: none`.")
    wait_share: float = Field(description="Sum of the waits over the measured time, 0 to 1.")
    restart_share: float | None = Field(
        None,
        description="The part of the measured time in which the first batch of an epoch made the loop wait longer than "
        "other batches do; `None` without a restart, and where every batch begins an epoch.",
    )
    floor_ms: Quantiles | None = Field(None, description="`next()` on a constant dataset under the same step.")
    epochs: int = Field(0, ge=0, description="How often the dataset ended and was started again.")
    epoch_steps: float | None = Field(
        None,
        description="Steps of a whole epoch: from the first restart to the last one, over the epochs between them. "
        "`None` with fewer than two restarts.",
    )

    @property
    def passes(self) -> float:
        """Epochs in the measured time, as far as restarts tell: with fewer than two, they are counted."""
        return self.count / self.epoch_steps if self.epoch_steps else float(self.epochs)


class Gap(Model):
    """A stretch without device work."""

    start_s: float = Field(description="Seconds since the measured window began.")
    ms: float
    cause: GapCause
    stage: str | None = None


class Gaps(Model):
    """All idle gaps between the first and the last step."""

    count: int = Field(ge=0)
    by_cause: dict[GapCause, float] = Field(description="Seconds by cause.")
    longest: list[Gap] = Field(default_factory=list)
    histogram: list[tuple[float, int]] = Field(
        default_factory=list, description="Pairs of upper bound in ms and number of gaps."
    )


class Device(Model):
    """What consumed the batches, and how much of its time it had nothing to do."""

    kind: str = Field(description="`simulate`, `none`, `python`, …")
    text: str | None = Field(None, description="The step as given, e.g. `simulate: 12ms`.")
    idle_share: float | None = None
    gaps: Gaps | None = None


class Disk(Model):
    """Bytes that came from the disk while measuring."""

    bytes: int | None = None
    source: str | None = Field(None, description="`proc-io`, or why it is unknown.")
    cold: bool | None = Field(None, description="Source files were evicted from the page cache first.")


class Series(Model):
    """Bounded samples over the run, all of one length: seconds since the worker started and what was seen then."""

    seconds: list[float] = Field(default_factory=list)
    rss_bytes: list[int] = Field(default_factory=list)
    cpu_cores: list[float | None] = Field(default_factory=list, description="CPU seconds per second since the last.")
    batches_per_second: list[float | None] = Field(default_factory=list)
    phase: list[PhaseName] = Field(default_factory=list)
    interval_histogram_ms: list[tuple[float, int]] = Field(
        default_factory=list, description="Pairs of upper bound in ms and number of steps."
    )
    fetch_histogram_ms: list[tuple[float, int]] = Field(default_factory=list)


class Overhead(Model):
    """What measuring cost, as shares of the measured window."""

    loop_share: float | None = Field(None, description="Bookkeeping in the step loop.")
    sampler_cores: float | None = Field(None, description="CPU seconds per second of the watching process.")
    wake_share: float | None = Field(None, description="Device idle because the loop woke late from a simulated step.")


class Contention(Model):
    """How much other processes and the machine slowed the worker."""

    runnable_wait_share: float | None = Field(
        None, description="Time the worker's runnable threads waited for a core, over their time running and waiting."
    )
    steal_share: float | None = None
    throttled_seconds: float | None = None
    stalled_by_files_share: float | None = Field(
        None,
        description="Part of the time in which a task of the machine waited for a disk or a file system, at most (from "
        "the kernel's pressure stall information).",
    )
    load_average: float | None = None
    worker_cores: float | None = Field(None, description="CPU seconds per second of the worker while measuring.")
    others_cores: float | None = Field(
        None,
        description="CPU seconds per second of everything else on the cores that the worker may run on, without "
        "pipeprof itself.",
    )
