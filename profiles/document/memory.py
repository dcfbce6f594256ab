"""Memory and its owners; throughput, the device, the disk and contention."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeprof.profiles.document.base import How, Location, Model, Owner
from pipeprof.profiles.document.shared import Gaps, GpuUse, LimitAnswer, PhaseName, StepCourse


class LedgerEntry(Model):
    """Bytes of the peak with an owner."""

    owner: Owner
    """Which part of the process has them."""
    stage: str | None = None
    """Address of the stage, where the owner is one."""
    bytes: int
    """At the peak."""
    how: How
    """`measured`, `model` (TensorFlow's count), `predicted`, or `alias`: views of another owner's memory, 0 bytes."""
    what: str | None = None
    """What they are, where an owner has several."""
    predicted_bytes: int | None = None
    """What was predicted of the owner at the stage; at the first of its entries. Null where sizes were not known."""


class MemorySeries(Model):
    """What stages held over time, all lists of one length, at most some 120 looks; seconds as in `series`."""

    seconds: list[float]
    """Since the worker started."""
    epoch: list[int]
    """How often the dataset had ended."""
    live_bytes: list[int | None]
    """Tensors in TensorFlow's pool."""
    stages: dict[str, list[int | None]]
    """Buffered bytes by stage, as TensorFlow's model counts them; null where the count is impossible."""


class MemoryGrowth(Model):
    """Growth of memory by steps in the measured window, after its first third."""

    leak: bool = True
    """It goes on at the end, and at least half of it is memory in use: a run has no other growth."""
    bytes: int | None = None
    """What resident memory grew by from the first window to the last."""
    steps: int | None = None
    """Steps between these two windows."""
    in_use_bytes: int | None = None
    """What memory in use grew by meanwhile: live tensors, glibc's blocks and Python's objects; null where unknown. The
    rest of `bytes` was freed and is kept by the allocator."""

    @property
    def bytes_per_step(self) -> float | None:
        """What memory in use grows by with each step; resident memory where that is unknown."""
        grown = self.in_use_bytes or self.bytes
        return grown / self.steps if grown and self.steps else None


class SoakSeries(Model):
    """Memory over a soak, all lists of one length: of each stretch the moment with least memory in use."""

    seconds: list[float]
    """Since the soak began."""
    epoch: list[int]
    """How often the dataset had ended."""
    steps: list[int]
    """Since the soak began."""
    rss_bytes: list[int]
    """Resident memory."""
    in_use_bytes: list[int | None]
    """Blocks in use, glibc's and Python's."""
    buffered_bytes: list[int | None]
    """In buffers and caches, as TensorFlow's model counts them."""


class SoakEnd(Model):
    """When memory ends at this rate, in seconds from the end of the soak, with a 95 % interval."""

    seconds: float
    """Until the limit is reached."""
    low: float
    """Earliest, at the fast end of the interval."""
    high: float
    """Latest."""
    limit_bytes: int
    """The limit that is reached."""


class Soak(Model):
    """Memory over a long run (`--soak`)."""

    seconds: float
    """How long it lasted."""
    state: Literal["growth", "slow", "plateau", "filling", "garbage", "unclear", "short"]
    """`slow`: memory would last for more than a week; `filling`: the pipeline's buffers were; `garbage`: Python's
    collector freed it in the end; `unclear`: it grew, within few epochs; `short`: fewer than eight windows."""
    sentence: str = ""
    """It in one or two sentences."""
    bytes_per_second: float | None = None
    """After the warm-up: Theil-Sen slope of the windows' minima in use; of a growth, of resident memory if steeper."""
    low: float | None = None
    """Lower end of its 95 % interval."""
    high: float | None = None
    """Upper end."""
    bytes_per_epoch: float | None = None
    """`bytes_per_second` by the mean length of an epoch."""
    owner: Literal["stages", "python", "rest"] | None = None
    """What takes most of a growth: the pipeline's buffers and caches, Python's heap, or neither of them (TensorFlow or
    another library); null where memory did not grow, or the run ended before it was looked for."""
    ends: SoakEnd | None = None
    """Null where memory did not grow."""
    sampler_cores: float | None = None
    """Share of one core that reading memory took."""
    series: SoakSeries
    """The readings, at most 481."""


class AutotuneMemory(Model):
    """AUTOTUNE's budget for its buffers compared with the limit, and the memory that the budget does not include."""

    budget_bytes: int
    """What AUTOTUNE lets all tuned buffers hold together."""
    limit_bytes: int | None = None
    """The limit of the run; null without one."""
    uncounted_bytes: int
    """Runtime, sources, shuffle and cache in the ledger, and the rest."""
    exceeds_limit: bool
    """A tuned buffer could grow beyond the limit before AUTOTUNE stops it."""


class Memory(Model):
    """Resident memory of the worker and its children."""

    baseline_bytes: int | None = Field(None, ge=0)
    """RSS with TensorFlow imported and one trivial dataset run."""
    peak_bytes: int | None = Field(None, ge=0)
    """Largest resident memory of all phases."""
    peak_phase: PhaseName | None = None
    """In which the peak was reached."""
    growth_bytes_per_second: float | None = None
    """Slope of RSS over the last samples."""
    seconds_to_limit: float | None = None
    """Until the limit at that slope; null where memory does not grow."""
    ledger: list[LedgerEntry] | None = None
    """The peak by owner; null where it could not be accounted."""
    unexplained_bytes: int | None = None
    """The rest of the peak, which is nobody's in the ledger: Python, libraries, other processes."""
    predicted_bytes: int | None = None
    """Above TensorFlow's own, before the run, of what has a known size; at the peak."""
    series: MemorySeries | None = None
    """Null where stages were not read."""
    growth: MemoryGrowth | None = None
    """Null where memory did not grow, or the measured steps were too few."""
    soak: Soak | None = None
    """Of `--soak`; `growth` is then that of the soak."""
    autotune: AutotuneMemory | None = None
    """Null where AUTOTUNE tunes no buffer."""
    what_ifs: list[LimitAnswer] | None = None
    """Of `check --memory-limit`."""


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
