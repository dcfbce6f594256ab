"""The stages of the pipeline, their times, and the measurements behind the verdict's limit."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from pipeprof.profiles.document.base import Location, Model

MAX_DEPTH: Final = 1000
"""Levels of functions in functions: far more than a graph may have, and few enough to indent a line by them."""


class Caller(Model):
    """A frame that led to a stage."""

    file: str
    """Path of the user's file."""
    line: int
    """From 1."""
    function: str
    """Name of the function that the line is in."""


class OpCost(Model):
    """A TensorFlow op inside a map function."""

    op: str
    """Its type, e.g. `DecodeJpeg`."""
    ms_per_batch: float
    """Time per batch in the measured window, all threads: on a core or blocked, as `cpu_ms_per_batch` and
    `blocked_ms_per_batch` of the stage, which all its ops together never exceed. Of a stage without a time, wall time
    in the trace window."""


class PythonCost(Model):
    """A Python function of the user's, as sampled in the trace window."""

    function: str
    """Its name."""
    file: str | None = None
    """Where it is defined."""
    line: int | None = None
    """The first line of its code."""
    lines: list[tuple[int, float]] = Field(default_factory=list)
    """Lines at which it was seen, each with its share of the time inside it, 0 to 1."""
    parent: str | None = None
    """The op in `ops` that runs it, whose time contains this one; `None` where no op was traced."""
    ms_per_batch: float
    """As that of ops: time inside it per batch, without other functions of the user's files and waiting for the GIL."""
    share: float
    """Of the time sampled inside Python functions of the pipeline, 0 to 1."""
    lock_share: float | None = None
    """Of the time inside it, the part with the GIL held, by it or by another thread: measured by a thread that requests
    the GIL every few milliseconds and times the wait."""


class Shuffle(Model):
    """What a stage shuffles by, as the graph has it."""

    buffer_size: int | None = None
    """Elements in the buffer. `None` if the graph does not have it, or a stage has several."""
    seeded: bool | None = None
    """Whether the stage or the program gives a seed."""
    reshuffles: bool | None = None
    """Whether each epoch has a new order."""


class Component(Model):
    """One tensor of an element, as the graph describes it."""

    name: str
    """Key or index, dotted when nested, of the pipeline's component that it is or becomes; else its own index."""
    dtype: str
    """`variant` for ragged and sparse tensors and for datasets."""
    shape: list[int | None] | None
    """`None` for an unknown rank, and for an unknown dimension."""


class Service(Model):
    """A tf.data service that a stage reads its elements from."""

    address: str | None = None
    """The dispatcher's `host:port`."""
    processing_mode: str | None = None
    """How its workers share the data, as TensorFlow's `ShardingPolicy` names it: `OFF`, `DYNAMIC`, `FILE`, …"""
    job_name: str | None = None
    """Of a job that several readers share; `None` of a job that is this reader's alone."""
    consumer_index: int | None = None
    """From 0, where readers of a shared job take turns."""
    num_consumers: int | None = None
    """Readers that take turns."""
    cross_trainer_cache: bool = False
    """Its workers keep elements for other trainers."""
    target_workers: str | None = None
    """`AUTO`, `ANY` or `LOCAL`."""
    max_outstanding_requests: int | None = None
    """Elements requested at a time, at most; `None` where TensorFlow chooses."""
    requests: float | None = None
    """Requests at a time at the end of the run, where TensorFlow chose them."""
    compression: str | None = None
    """Of elements on their way: `AUTO`, `SNAPPY`, `NONE`; `None` where another process registered the dataset."""
    known: bool = False
    """The stages that its workers run are known: this process registered the dataset."""
    workers: int | None = None
    """How many were started for this run (`service: local`); `None` of another service."""


class Stage(Model):
    """One stage of the pipeline: written ones in order, those inside a function after their owner, then injected."""

    id: str
    """Stable address: `source`, `stages.0`, `stages.1.source`, `injected.0`, …"""
    name: str | None = None
    """The user's name; without one, for a Python target, the function that it was given, `decode` in `map(decode)`."""
    origin: Literal["written", "injected"]
    """`written` by the user, or `injected` by TensorFlow."""
    depth: int = Field(0, ge=0, le=MAX_DEPTH)
    """Nesting inside functions."""
    fused_with: str | None = None
    """Id of the stage that carries this one's cost."""
    op: str
    """As written, e.g. `map`."""
    tf_op: str | None = None
    """What TensorFlow runs, e.g. `ParallelMapDatasetV2`."""
    executed: str | None = None
    """What TensorFlow made of it, in words; `None` if it runs as written."""
    random: bool | None = None
    """Whether its function draws random numbers. `None` without one, and where Python may."""
    seeded: bool | None = None
    """Whether a seed, of an op or of the program, fixes its random numbers. `None` without any, and where not known."""
    loops: bool | None = None
    """Whether its function has a loop of ops. `None` without a function."""
    steady_ops: list[str] | None = None
    """Types of the ops in its function that do not depend on its random numbers. `None` of one that draws none."""
    draws_by_number: bool | None = None
    """Whether its random numbers are drawn for each number of an element apart, as noise is: then one draw for a whole
    batch is as many. `None` of a function that draws none."""
    body: str | None = None
    """Fingerprint of the types of ops in its function. `None` without one."""
    service: Service | None = None
    """`None` of a stage that reads from no tf.data service."""
    remote: bool = False
    """The workers of a tf.data service run it."""
    shuffle: Shuffle | None = None
    """`None` of a stage that does not shuffle."""
    location: Location | None = None
    """The user's line that makes it; `None` where it is unknown."""
    called_from: list[Caller] | None = None
    """For a Python target: the user's frames that led to `location`, from the inside out."""
    library: Caller | None = None
    """For a Python target: the line of a library that made it, from the package on, e.g. `seqio/preprocessors.py`."""
    same_as: str | None = None
    """For a Python target: the first stage that is the same dataset; whatever reads it again runs all of it again."""
    element_spec: list[Component] | None = None
    """What an element of it is made of."""
    cardinality: int | None = None
    """Elements of one pass, where the graph has it; -1 without end. Inside a function, of one call."""
    pass_elements: int | None = None
    """Elements of one pass of a stage that is repeated, as the ends of passes showed them; `None` where none ended."""
    elements: int | None = None
    """Elements it gave during the measured window."""
    inputs_each: float | None = None
    """Elements that went into it for one that came out: 32 of a `batch(32)`, 4 of a `shard(4, 0)`, 0.005 of a
    `flat_map` that makes 200. Of a call of the user's in which TensorFlow makes stages that drop elements, the last of
    them has what goes into all copies of them. `None` where that is always one, of several inputs, and where unknown.
    """
    inputs_each_by: Literal["graph", "epochs", "counters"] | None = None
    """How it is known: by the graph, over whole epochs, or over a part of one without what was on its way."""
    time_ms_per_batch: float | None = None
    """Wall time inside it per batch, all threads: computing, blocked, waiting for a core, and calling its functions."""
    timed_by: Literal["model", "trace"] | None = None
    """`trace`: its iterators had ended whenever TensorFlow's model was read. Its time is then that of an element in the
    trace window, which slows a pipeline, times the number of its elements; without a model (autotune is off) that of
    the window, so that only proportions hold. Else `model`."""
    cpu_ms_per_batch: float | None = None
    """CPU time per batch, all threads, those of single ops too, scaled to that of the process; calls included."""
    blocked_ms_per_batch: float | None = None
    """Part of the wall time in which its threads neither computed nor wanted a core: input and output, sleep, locks. By
    the threads' states in the trace window; without a trace, of a stage with nearly all of the work, the least that the
    CPU time of the process leaves."""
    intra_op_ms_per_batch: float | None = None
    """Part of the CPU time: other threads on which TensorFlow splits up single ops."""
    calling_ms_per_batch: float | None = None
    """Part of the CPU time: calling its functions, 20 µs a call, as far as the process used CPU time of no stage."""
    calls_per_batch: float | None = None
    """Calls of its functions per batch: by the graph (32 before a `batch(32)`), else by the counters or the trace."""
    share: float | None = None
    """Its part of the pipeline's work, 0 to 1: the time inside all stages without waiting for a core."""
    threads: float | None = None
    """Threads that may be inside it at a time, all its iterators together; `None` if unknown."""
    parallelism: float | None = None
    """Calls at the same time; at the end of the run, where TensorFlow chooses. `None` where it has no calls."""
    tunable: bool | None = None
    """TensorFlow chooses its parallelism or buffer."""
    bytes_per_element: float | None = None
    """Mean size of an element that it gives."""
    buffered_bytes: int | None = None
    """Of the tensors in its buffer and in calls under way, at its fullest reading in the measured window; of a shuffle
    or a cache, the memory that its elements take at the peak."""
    buffered_elements: float | None = None
    """In its buffer at that reading."""
    buffer_size: float | None = None
    """Of a prefetch: the elements that it may hold, where TensorFlow chooses at the end."""
    bytes_out_per_batch: float | None = None
    """Bytes it gave out per batch."""
    ops: list[OpCost] | None = None
    """Ops in its function, the costliest first; `None` without a trace."""
    python: list[PythonCost] | None = None
    """Python functions in it, the costliest first; `None` without a trace."""

    @property
    def gives_handles(self) -> bool:
        """Whether TensorFlow's model counts handles of sparse or ragged tensors in its buffer, not what they are of."""
        return any(component.dtype == "variant" for component in self.element_spec or ())

    @property
    def inside_ms(self) -> float | None:
        """Time inside the stage per batch, in milliseconds; documents before `time_ms_per_batch` had only one time."""
        return self.time_ms_per_batch if self.time_ms_per_batch is not None else self.cpu_ms_per_batch

    @property
    def active_ms(self) -> float | None:
        """The part of it on a core or blocked, with further threads of single ops; all of it where that is unknown."""
        if self.cpu_ms_per_batch is None:
            return self.inside_ms
        return self.cpu_ms_per_batch + (self.blocked_ms_per_batch or 0.0)


class Headspace(Model):
    """What an infinitely fast pipeline would bring: preloaded batches replayed through the same step."""

    interval_ms: float
    """Mean interval of the measured steps."""
    replayed_ms: float
    """Mean interval with the replay, and what single long steps add; with `step: none` the loop's own floor."""
    share: float
    """`1 - replayed_ms / interval_ms`, at least 0: what could be saved at most."""
    speedup: float
    """Steps per second with an infinitely fast pipeline over today's."""
    batches: int
    """Batches that were replayed in turn."""

    @classmethod
    def of(cls, interval_ms: float, replayed_ms: float, batches: int) -> Headspace:
        """Compute what a free pipeline would bring."""
        return cls(
            interval_ms=interval_ms,
            replayed_ms=replayed_ms,
            share=max(0.0, 1 - replayed_ms / interval_ms) if interval_ms > 0 else 0.0,
            speedup=max(1.0, interval_ms / replayed_ms) if replayed_ms > 0 else 1.0,
            batches=batches,
        )


class Causes(Model):
    """Named measurements behind the verdict's `limit`; `None` where the system does not have them."""

    worker_cores: float | None = None
    """CPU seconds of the worker per second."""
    blocked_share: float | None = None
    """Of the time inside the stages, the part in which threads neither ran nor waited for a core."""
    disk_bytes_per_second: float | None = None
    """From storage, over the measured window."""
    python_share: float | None = None
    """Part of the time in which pipeline Python ran, by the trace."""
    python_lock_share: float | None = None
    """Of the time sampled inside Python functions, the part with the GIL held."""


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
    """Time inside the stages per batch in which threads had no core, beside `total_ms`; `None` if few were sampled."""
    throttled_share: float | None = None
    """Part of the measured time in which the cgroup's quota throttled the process."""
    scale: float = 1.0
    """By which stages, loop and pipeprof were multiplied, so that they fit into the process's CPU time."""
