"""What a worker can tell: one `Sample`, which it fills as it goes and of which it sends the fields that have changed.

Times are seconds, sizes bytes, unless the name says otherwise; None stands for an unknown value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pipeprof.pipelines.steps.consumer import StepFacts
from pipeprof.profiles.document.shared import ErrorFrame, Gaps, Phase, PhaseName, StepCourse, Steps, Training
from pipeprof.profiles.protocol.turns import Built, TurnEnded

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.read.records import ConstantDict, GraphDict, MadeDict, ModelDict, PlaceDict
else:
    # They stay as they are in JSON: before Python 3.12 pydantic takes no `TypedDict` of the standard library.
    ConstantDict = GraphDict = MadeDict = ModelDict = PlaceDict = Any

STOPPED: Final = "stopped"
"""Note of a phase that ended early, at the harness's request."""
SERVICE_FAILED: Final = "service"
"""Code of a failure whose cause is a tf.data service."""
UNTRACED: Final = "times of ops and Python functions inside stages are n/a"
"""Values that are missing without a trace."""


# What was measured


@dataclass(frozen=True)
class BatchSize:
    """Mean size of a batch; `bytes` is None where strings are part of it."""

    bytes: float | None
    length: float | None


@dataclass(frozen=True)
class LoopCost:
    """Values known only after the measurement.

    Attributes:
        cpu_ns: CPU time that the process took for the measured steps.
        deletions: Seconds that deleting each ended iterator took, those of the warm-up among them.
    """

    overhead_ns: int
    overhead_cpu_ns: int | None = None
    cpu_ns: int | None = None
    sizes: BatchSize | None = None
    deletions: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """The measured steps so far.

    Attributes:
        fetches: Pairs of upper bound in milliseconds and number of fetches.
        idle_share: Idle share of the device; None without one, as are `gaps`.
        loop: None while the measurement goes on.
    """

    steps: Steps
    fetches: list[tuple[float, int]]
    course: StepCourse | None = None
    gaps: Gaps | None = None
    idle_share: float | None = None
    loop: LoopCost | None = None


REQUEST_MARK: Final = "pipeprof: request"
"""Name of the event around each request of a batch in a trace of a device."""
LEAST_DEVICE_STEPS: Final = 16
"""Steps that a reading of a device's clock needs."""


@dataclass(frozen=True)
class DeviceRead:
    """Steps after the measured ones, by the clock of the device that they compute on.

    Attributes:
        came: Whether there was a batch, for each request of one.
        file: Folder with a trace that has a mark around each request; whoever reads it removes it. None where the clock
            gave the times themselves.
        waits: Seconds in which the device had nothing to do while a batch was fetched, for each step.
        steps: Seconds from each request to the next one.
    """

    came: list[bool]
    file: str | None = None
    waits: list[float] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Replayed:
    """Steps with preloaded batches.

    Attributes:
        loop_cpu_ms: CPU time of the loop's own thread per step.
    """

    replayed_ms: float
    steps: int
    batches: int
    loop_cpu_ms: float
    cpu_ms: float | None = None


@dataclass(frozen=True)
class Swallowed:
    """An error that an ``ignore_errors`` hides.

    Attributes:
        errors: As many were raised while so many `elements` were read of the dataset before it, themselves included.
    """

    example: str
    errors: int
    elements: int


# Memory


@dataclass(frozen=True)
class MemoryReading:
    """The process at the end of a stretch of the run, and its peaks in that stretch.

    Attributes:
        name: The stretch: import, data, build, iterator, first, released, warmup or measure.
        in_use: Bytes of glibc's blocks in use, those with a mapping of their own among them.
    """

    rss: int
    name: str = ""
    peak: int | None = None
    file: int | None = None
    live: int | None = None
    live_peak: int | None = None
    in_use: int | None = None
    heap_free: int | None = None
    blocks: int | None = None


@dataclass(frozen=True)
class SoakReading:
    """Memory at one moment of a soak.

    Attributes:
        buffered: Bytes in the pipeline's buffers, as TensorFlow's model counts them.
        cores: Share of one core that readings took so far.
        python: Bytes that Python has allocated since its allocations are traced; None before.
    """

    t: float
    epoch: int
    steps: int
    memory: MemoryReading
    buffered: int | None = None
    cores: float | None = None
    python: int | None = None


@dataclass(frozen=True)
class PipelineLook:
    """The running pipeline at one moment, `t` in seconds of the system's monotonic clock."""

    t: float
    rss: int | None
    live: int | None
    phase: PhaseName
    steps: int
    epoch: int
    model: ModelDict


@dataclass(frozen=True)
class MemoryReport:
    """The worker's memory readings, sent after the measurement.

    Attributes:
        arrays: Bytes of the Python arrays that in-memory sources were made of and that are still there.
    """

    readings: list[MemoryReading]
    looks: list[PipelineLook]
    arrays: int
    batch_bytes: float | None


# The pipeline


@dataclass(frozen=True)
class CostSegment:
    """Two snapshots of one iterator's model."""

    first: ModelDict
    last: ModelDict
    batches: int


@dataclass(frozen=True)
class Sketch:
    """The graph of a dataset that did not run: for `check`, and in case that the worker dies before `Graphs`.

    Attributes:
        written: The graph as written; from a worker that only saw it being made, functions are empty.
        places, made, constants: As `Graphs` has them.
    """

    written: GraphDict
    places: dict[str, PlaceDict] = field(default_factory=dict)
    made: list[MadeDict] = field(default_factory=list)
    constants: list[ConstantDict] = field(default_factory=list)


@dataclass(frozen=True)
class Graphs:
    """The graph as written and as TensorFlow runs it, and the model's snapshots while steps were measured."""

    written: GraphDict
    executed: GraphDict
    segments: list[CostSegment] = field(default_factory=list)
    made: list[MadeDict] = field(default_factory=list)
    places: dict[str, PlaceDict] = field(default_factory=dict)
    constants: list[ConstantDict] = field(default_factory=list)


@dataclass(frozen=True)
class TracedWork:
    """Time of threads at work for one key of the trace, in milliseconds summed over threads.

    Attributes:
        computing: Share of `ms` in which the threads compute.
        waiting: Share in which they wait for a core.
        intra_op_ms: Time of further threads that compute parts of its ops.
        python_calls: Calls of ops that run Python.
    """

    ms: float
    computing: float | None = None
    waiting: float | None = None
    intra_op_ms: float = 0.0
    ops: dict[str, float] = field(default_factory=dict)
    python_calls: int = 0


@dataclass(frozen=True)
class TracedFunction:
    """A Python function of the pipeline as the sampler saw it.

    Attributes:
        dataset: Id of the dataset that calls it, in the graph as written.
        call_seconds: In calls by that name altogether, TensorFlow's conversions of arguments and results included.
        lines: At which it was seen most often, each with its share of the function's time.
    """

    token: str
    function: str
    file: str | None
    line: int | None
    seconds: float
    taken_seconds: float
    dataset: str | None = None
    call_seconds: float = 0.0
    lines: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class TracedCalls:
    """Calls of an iterator's functions.

    Attributes:
        ms: Milliseconds of the executor for them in addition to the ops.
    """

    calls: int
    ms: float


LONGEST_TRACE = 10.0
"""Seconds of a trace, reading it included; then it gives up."""


@dataclass(frozen=True)
class Trace:
    """The trace window.

    Attributes:
        ops: Milliseconds in all threads, by stage address and op; of a spec, whose functions carry the address.
        work: By key: ``at:`` a stage's address, ``in:`` a dataset of the written graph, ``it:`` an iterator's path.
        elements: Number of ``GetNext`` calls of each iterator, by its path.
        model: Snapshots of the iterator's model when the trace began and ended; None if it was made anew in between.
    """

    batches: int = 0
    ops: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0
    python_seconds: float = 0.0
    note: str | None = None
    work: dict[str, TracedWork] = field(default_factory=dict)
    functions: list[TracedFunction] = field(default_factory=list)
    sampled_seconds: float = 0.0
    unattributed_ops: dict[str, float] = field(default_factory=dict)
    calls: dict[str, TracedCalls] = field(default_factory=dict)
    elements: dict[str, int] = field(default_factory=dict)
    model: tuple[ModelDict, ModelDict] | None = None


# Words, answers and the end


@dataclass(frozen=True)
class Warned:
    """A warning for the profile; `code` is stable."""

    code: str
    text: str


@dataclass(frozen=True)
class Answer:
    """The worker's current state, from the thread that reads the harness's commands; empty where it cannot be read."""

    frames: list[ErrorFrame] = field(default_factory=list)
    model: ModelDict | None = None
    measured: Measured | None = None


@dataclass(frozen=True)
class Raised:
    """An exception that ended the sample.

    Attributes:
        kind: ``spec`` for a fault of the spec or the command line, ``installation`` for one of TensorFlow's,
            ``pipeline`` where the pipeline raised.
        address: Of the stage; in a function target the user's own name of it, where it has one.
        frames: The user's frames with their source lines, outermost first.
    """

    code: str
    message: str
    kind: Literal["spec", "installation", "pipeline"] = "pipeline"
    address: str | None = None
    op_path: str = ""
    words: str | None = None
    frame: ErrorFrame | None = None
    frames: list[ErrorFrame] = field(default_factory=list)
    traceback: str | None = None


@dataclass(frozen=True)
class ServiceRead:
    """A tf.data service that the pipeline reads from.

    Attributes:
        shares: Arguments by which it takes elements from what others read as well.
        python: Where the stages before it were made that call Python.
    """

    address: str | None
    shares: list[str] = field(default_factory=list)
    python: list[ErrorFrame] = field(default_factory=list)
    workers: int | None = None


@dataclass(kw_only=True)
class Sample:
    """All that a worker can tell, one field each.

    Attributes:
        phases: Those begun, in order; one without its `seconds` has not ended. Its peak is the kernel's high-water mark
            of resident memory in it, None where that is not exact. A message has those that begin or end.
        steps: Of the warm-up or the measurement so far, which took `phase_seconds`; `rate` is in batches per second.
        training: How a script takes its batches, and its other datasets; sent again when more is known.
        trace_ends_in: Seconds from the begin of the trace, after which the harness ends the worker.
        versions: Of libraries in the worker; `gpus` are the names of TensorFlow's.
        services: Those that the pipeline was seen to read from when it was built; nothing has been read yet.
        built: Of a worker that takes turns, as is `turn`, the end of the last one.
        refused: Why the pipeline cannot be edited in this way, in one sentence; nothing was measured.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "allow_inf_nan": False}

    phases: list[Phase] = field(default_factory=list)
    steps: int = 0
    phase_seconds: float = 0.0
    rate: float | None = None
    measured: Measured | None = None
    device: DeviceRead | None = None
    step: StepFacts | None = None
    own_step: bool = False
    training: Training | None = None
    replayed: Replayed | None = None
    swallowed: Swallowed | None = None
    memory: MemoryReport | None = None
    model: ModelDict | None = None
    soak: SoakReading | None = None
    soak_freed: int | None = None
    sketch: Sketch | None = None
    graphs: Graphs | None = None
    trace_ends_in: float | None = None
    trace: Trace | None = None
    versions: dict[str, str | None] = field(default_factory=dict)
    gpus: list[str] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    services: list[ServiceRead] = field(default_factory=list)
    answer: Answer | None = None
    error: Raised | None = None
    done: bool = False
    grows: bool = False
    awaited: str | None = None
    built: Built | None = None
    turn: TurnEnded | None = None
    refused: str | None = None


SILENT: Final = frozenset({"answer", "grows", "awaited"})
"""Fields that are no sign of progress."""
