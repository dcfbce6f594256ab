"""Parts of the document that are handed over as they are: dataclasses, for the worker must not import pydantic.

The harness checks them where it reads a message (`protocol.channel`); pydantic checks those of a saved profile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

PhaseName = Literal["import", "data", "build", "first_element", "warmup", "measure", "trace"]
GapCause = Literal[
    "pipeline", "copy", "compile", "memory", "sync", "op", "python", "launch", "device-wait", "pipeprof", "unknown"
]


class _Positive:
    """Marks an integer of at least 1, as pydantic's `Field(ge=1)` does."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Called by pydantic for the schema of the number."""
        return handler(source) | {"ge": 1}


Dispatch = Literal["sync"] | Annotated[int, _Positive()]


class Record:
    """Base of the parts that are dataclasses: fields of other versions are left out, as in all parts."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        """Describe the fields in the JSON Schema by the texts below them."""
        from pipeprof.profiles.document.base import described

        return described(cls, core, handler)


@dataclass(kw_only=True)
class Phase(Record):
    """One of the seven phases of a sample."""

    name: PhaseName
    """Which one."""
    seconds: float | None = None
    """Duration; `None` while or if it did not end."""
    peak_rss_bytes: int | None = field(default=None, metadata={"ge": 0})
    """Largest resident memory in it."""
    end_rss_bytes: int | None = field(default=None, metadata={"ge": 0})
    """Resident memory at its end."""
    how: Literal["hwm", "sampled"] | None = None
    """`hwm`: exact high-water mark of the kernel; `sampled`: the largest sample seen from outside."""
    note: str | None = None
    """A remark, e.g. which rule ended the warm-up."""


@dataclass(kw_only=True)
class Quantiles(Record):
    """Mean and quantiles of a duration per step, in milliseconds."""

    mean: float
    """Arithmetic mean."""
    p50: float
    """Median."""
    p95: float
    """95th percentile."""
    p99: float
    """99th percentile."""
    max: float | None = None
    """Largest; `None` where only quantiles were kept."""


@dataclass(kw_only=True)
class Steps(Record):
    """The measured steps."""

    count: int = field(metadata={"ge": 0})
    """Steps in the measured window."""
    dispatch: Dispatch | None = None
    """`None` with `step: none`."""
    seconds: float
    """Length of the measured window."""
    interval_ms: Quantiles
    """From one step's start to the next one's."""
    wait_ms: Quantiles | None
    """Device idle because of the pipeline, less the loop's own `floor_ms`. `None` if a script's loop does not tell."""
    fetch_ms: Quantiles
    """The loop blocked in `next()`."""
    busy_ms: Quantiles | None = None
    """The device at work; `None` with `step: none`."""
    wait_share: float | None
    """Sum of the waits over the measured time, 0 to 1; `None` as `wait_ms`."""
    restart_share: float | None = None
    """The part of the measured time in which the first batch of an epoch made the loop wait longer than other batches
    do; `None` without a restart, and where every batch begins an epoch."""
    floor_ms: Quantiles | None = None
    """`next()` on a constant dataset under the same step."""
    epochs: int = field(default=0, metadata={"ge": 0})
    """How often the dataset ended and was started again."""
    epoch_steps: float | None = None
    """Steps of a whole epoch, mean from the first restart to the last one; `None` with fewer than two restarts."""

    @property
    def known_wait_ms(self) -> float:
        """The mean wait; 0 where it is not known."""
        return self.wait_ms.mean if self.wait_ms is not None else 0.0

    @property
    def restart_ms(self) -> float:
        """What the starts of epochs take of the mean interval."""
        return min(1.0, self.restart_share or 0.0) * self.interval_ms.mean

    @property
    def running_ms(self) -> float:
        """The mean interval without the starts of epochs."""
        return self.interval_ms.mean - self.restart_ms

    @property
    def passes(self) -> float:
        """Epochs in the measured time, as far as restarts tell: with fewer than two, they are counted."""
        return self.count / self.epoch_steps if self.epoch_steps else float(self.epochs)


@dataclass(kw_only=True)
class StepCourse(Record):
    """The measured steps over time: means of stretches of equally many steps, at most some 240; lists of one length."""

    seconds: list[float]
    """When each stretch ended, since the measured window began; the pauses of the loop's clock are not in it."""
    interval_ms: list[float]
    """Mean from one step's start to the next one's."""
    wait_ms: list[float] | None = None
    """`None` without a step."""
    busy_ms: list[float] | None = None
    """`None` without a step."""


@dataclass(kw_only=True)
class Gap(Record):
    """A stretch without device work."""

    start_s: float
    """Seconds since the measured, or traced, window began."""
    ms: float
    """Its length."""
    cause: GapCause
    """What kept the device idle for most of it."""
    stage: str | None = None
    """Address of the stage that was awaited, where one is known."""


@dataclass(kw_only=True)
class Gaps(Record):
    """All idle gaps between the first and the last step, or of a traced window."""

    count: int = field(metadata={"ge": 0})
    """How many there were."""
    by_cause: dict[GapCause, float]
    """Seconds by cause."""
    longest: list[Gap] = field(default_factory=list)
    """The longest ones, the longest first."""
    histogram: list[tuple[float, int]] = field(default_factory=list)
    """Pairs of upper bound in ms and number of gaps."""
    seconds: float | None = None
    """Length of the traced window that they are of; `None` where they are those of the measured steps."""


@dataclass(kw_only=True)
class GpuUse(Record):
    """A GPU that the steps compute on."""

    name: str
    """As the device names itself, or the plane of the trace: `GPU:0`."""
    idle_share: float | None = None
    """Of its traced steps; `None` without a trace, and where the trace cannot tell."""
    model: str | None = None
    """As NVML names it; `None` without NVML, as what follows."""
    seconds: float | None = None
    """For how long NVML was read while steps were measured; at least 3."""
    utilisation: float | None = None
    """Share of NVML's sample periods, of 1/6 to 1 s, in which a kernel ran, 0 to 1: no share of a step."""
    memory_bytes: int | None = field(default=None, metadata={"ge": 0})
    """Most of its memory that was taken, by all programs."""


@dataclass(kw_only=True)
class Contention(Record):
    """How much other processes and the machine slowed the worker."""

    runnable_wait_share: float | None = None
    """Time the worker's runnable threads waited for a core, over their time running and waiting."""
    steal_share: float | None = None
    """Time that the hypervisor gave to other machines, over the cores' time, 0 to 1."""
    throttled_seconds: float | None = None
    """In which the cgroup's quota stopped the worker."""
    stalled_by_files_share: float | None = None
    """Part of the time in which a task waited for a disk or a file system, at most (pressure stall information)."""
    worker_cores: float | None = None
    """CPU seconds per second of the worker while measuring."""
    others_cores: float | None = None
    """CPU seconds per second of everything else on the cores that the worker may run on, without pipeprof itself."""


@dataclass(frozen=True)
class ErrorFrame(Record):
    """A line of the user's own code in a traceback."""

    file: str
    """Path of the user's file."""
    line: int
    """From 1."""
    function: str | None = None
    """`null` for the place of a syntax error."""
    source: str | None = None
    """The line, without indentation; `null` if it could not be read."""


@dataclass(kw_only=True)
class LimitAnswer(Record):
    """Whether the largest shuffle or prefetch, or everything together, fits into the given memory limit."""

    stage: str | None
    """Null for everything together."""
    fits: bool | None
    """Null where this is unknown before a run."""
    most: int | None = None
    """The largest buffer that fits, in elements, of each open copy. Where `fits` is null it holds if tuned prefetches
    are bounded, and is an upper bound where sizes are not known."""
    sentence: str
    """The answer in words."""


Known = Literal["exact", "mean", "clock"]


@dataclass(kw_only=True)
class DatasetUse(Record):
    """A dataset that the script iterates over."""

    role: Literal["training", "validation", "evaluation", "prediction", "adapt", "loop"]
    """What Keras does with it; `loop` for a loop of the script's own."""
    main: bool = False
    """The rest of the profile is about it."""
    file: str | None = None
    """Where it is iterated."""
    line: int | None = None
    """Line of `file`, from 1."""
    datasets: int = 1
    """Objects that followed each other there: built again each time."""
    iterators: int = 0
    """Iterators that were made of it."""
    batches: int | None = None
    """Batches seen; `null` where they are taken unseen."""
    seconds: float | None = None
    """In its steps altogether."""
    fetch_seconds: float | None = None
    """Of that in which batches were fetched."""
    epochs: int = 0
    """Passes over it that took a batch."""
    first_seconds: float | None = None
    """From a pass's beginning to its first batch, or step of `fit`; mean, without the first."""
    caches_again: bool = False
    """Whether a cache was made for an object that was built again; one that was made before keeps its elements."""
    build_seconds: float | None = None
    """For which an object was built again, from its first dataset to its iteration; mean, `null` if not seen."""
    together: int = 1
    """Iterators of it that gave batches in turn."""
    devices: int = 0
    """For which a `tf.distribute` strategy distributes it; 0: none does."""
    equal: bool | None = None
    """Whether the objects have the same graph; `null` if there is one, or unknown."""
    cached: bool | None = None
    """Whether there is a cache in it."""
    cached_in_memory: bool | None = None
    """Whether one is in memory: of that object alone."""
    seeded: bool | None = None
    """Whether a shuffle with a seed is in it: each object begins with the same order."""


@dataclass(kw_only=True)
class WrittenFile(Record):
    """A file that the script has written."""

    file: str
    """Its path."""
    bytes: int
    """Its size at the end."""
    new: bool = False
    """Whether nothing is left in it of what was there before the run."""


@dataclass(kw_only=True)
class FunctionUse(Record):
    """A tf.function that the script calls, or a function that JAX compiles."""

    name: str
    """Name of the Python function."""
    file: str | None = None
    """Where it is defined; a library's: where it is called."""
    line: int | None = None
    """Line of `file`, from 1."""
    objects: int = 0
    """How many there were of this code."""
    calls: int = 0
    """How often it was called."""
    seconds: float = 0.0
    """In its calls."""
    traces: int = 0
    """How often TensorFlow traced it, or JAX compiled it."""
    trace_seconds: float = 0.0
    """Of its calls that traced, without the first one."""


@dataclass(kw_only=True)
class CodePlace(Record):
    """Something of the script, with its line."""

    name: str
    """Of a function, a class or a call."""
    file: str | None = None
    """The user's file, or that of a library."""
    line: int | None = None
    """From 1."""


@dataclass(kw_only=True)
class DeviceWindow(Record):
    """Steps of a script after the measured ones, by the clock of the GPU that it computes on."""

    count: int = field(metadata={"ge": 0})
    """Steps in it."""
    seconds: float
    """Its length."""
    wait_ms: Quantiles
    """Per step: a batch was fetched while the GPU had nothing left to do."""
    step_ms: Quantiles
    """The rest of each step."""
    wait_share: float
    """The sum of the waits over the seconds, 0 to 1."""
    busy_share: float | None = None
    """The GPU at work, over the seconds; the mean of several GPUs. `None` where only its waits are known (PyTorch)."""


@dataclass(kw_only=True)
class Training(Record):
    """How the script takes its batches, and what is known of its steps."""

    consumer: Literal["loop", "fit", "fit-executions", "graph", "graph-loop"] | None = None
    """`loop`: Python; `fit`: inside the function of Keras' `fit`; `fit-executions`: the same, several in a call;
    `graph`: inside a tf.function, from an iterator; `graph-loop`: a loop over the dataset there."""
    executions: int = 1
    """`steps_per_execution`."""
    interval: Known | None = None
    """How `steps.interval_ms` is known."""
    fetch: Known | None = None
    """How `steps.fetch_ms` is known; with `mean` its quantiles are those of means over a look."""
    wait: Known | None = None
    """How `steps.wait_ms` is known; `clock`: by the clock of a GPU, in the steps of `window`."""
    unknown: str | None = None
    """Why the wait, or all of it, is not known."""
    window: DeviceWindow | None = None
    """`None` where no GPU's clock was read."""
    epochs: int = 0
    """Passes over the main dataset that began, and epochs of `fit` that went on with the one before."""
    between_seconds: float | None = None
    """Between the end of a pass and the next one's beginning, altogether."""
    validations: int = 0
    """Evaluations inside of `fit`."""
    validation_seconds: float | None = None
    """In evaluations inside of `fit`, altogether."""
    epoch_end_seconds: float | None = None
    """In the callbacks at the end of epochs: checkpoints, logs."""
    saves: int = 0
    """Calls that save a model or a checkpoint."""
    ended: str | None = None
    """What ended the run: `10 s`, `200 steps`, `the script`; `pipeprof.profile` of a call of that."""
    datasets: list[DatasetUse] = field(default_factory=list)
    """Every dataset that the script iterates, the main one among them."""
    seconds: float | None = None
    """From the first iterator of the main dataset to the end, all included."""
    call_ms: float | None = None
    """Mean time of the function of `fit`; `executions` steps with their fetches."""
    apart_ms: float | None = None
    """Mean time from its return to its next call: Keras and callbacks."""
    own_ms: float | None = None
    """Of a loop: time per step on a core in the script's thread, without saves; `null` if steps may compute there."""
    save_seconds: float | None = None
    """In calls that save a model or a checkpoint."""
    saver: CodePlace | None = None
    """The latest of them."""
    callbacks: list[CodePlace] = field(default_factory=list)
    """Callbacks that make `fit` wait for the results of each step."""
    functions: list[FunctionUse] = field(default_factory=list)
    """Those that were called, the costliest first."""
    source: CodePlace | None = None
    """What `fit` or a loop takes its batches from, if it is no tf.data dataset."""
    unread: list[CodePlace] = field(default_factory=list)
    """Datasets that were made and that no other one reads; by their last call."""
    written: list[WrittenFile] = field(default_factory=list)
    """Files that it made or changed, and that are still there; no caches."""
