"""The profile: the one document that everything after the measurement reads.

Fields and vocabularies are the published contract (``pipeprof schema profile``): fields are added, never renamed,
and what could not be had is ``None``, never 0. Times are seconds unless the name says ``_ms``; sizes are bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION: Final = 1

PhaseName = Literal["import", "data", "build", "first_element", "warmup", "measure", "trace"]
GapCause = Literal["pipeline", "copy", "python", "launch", "compile", "pipeprof"]
Bound = Literal["input", "step", "balanced"]
Limit = Literal["serial-stage", "cpu", "io", "gil", "latency", "memory", "step"]
Owner = Literal[
    "runtime",
    "source",
    "cache",
    "shuffle",
    "prefetch",
    "parallel",
    "batch",
    "consumer",
    "python",
    "slack",
]
How = Literal["measured", "model", "predicted", "alias"]
Dispatch = Literal["sync"] | Annotated[int, Field(ge=1)]


class Model(BaseModel):
    """Base of all parts of the document: unknown fields are kept out, defaults are ``None``."""

    model_config = ConfigDict(extra="forbid")


class Tool(Model):
    """Who wrote the document."""

    name: str = "pipeprof"
    version: str


class TargetFile(Model):
    """One of the files that a spec is made of."""

    file: str
    role: Literal["spec", "extends", "overlay"] = Field(
        description="The spec itself, one that another extends, or one that `-f` laid over it."
    )
    sha256: str


class Target(Model):
    """What was measured: a spec or a Python function that returns a dataset."""

    kind: Literal["spec", "function"]
    text: str = Field(description="The target as given on the command line.")
    sha256: str | None = Field(None, description="Hash of the spec's text or of the function's file.")
    resolved_sha256: str | None = Field(
        None, description="Hash of what the spec says with everything merged and filled in, however it was written."
    )
    overrides: list[str] = Field(default_factory=list, description="`--set` values in the order given.")
    overlays: list[str] = Field(default_factory=list, description="`-f` files in the order given.")
    files: list[TargetFile] = Field(default_factory=list, description="The files that the spec is made of.")
    variables: dict[str, str | None] | None = Field(
        None, description="Variables that `--env` looked up in the environment, null where not set; null without it."
    )
    name: str | None = Field(None, description="The spec's own `name`.")


class Host(Model):
    """The machine the worker ran on."""

    name: str | None = None
    system: str
    machine: str
    cpu_model: str | None = None
    cores: float = Field(description="Cores the worker may use: affinity and cgroup quota counted.")
    schedulable_cores: int | None = Field(
        None, description="Cores it may be scheduled on, whatever its quota: TensorFlow's pools have a thread for each."
    )
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = Field(None, description="The limit the run was held to.")
    memory_limit_source: str | None = Field(None, description="`option`, `cgroup` or `machine`.")
    gpus: list[str] = Field(default_factory=list)


class Phase(Model):
    """One of the seven phases of a sample."""

    name: PhaseName
    seconds: float | None = Field(None, description="Duration; `None` while or if it did not end.")
    peak_rss_bytes: int | None = None
    end_rss_bytes: int | None = None
    how: Literal["hwm", "sampled"] | None = Field(
        None, description="`hwm`: exact high-water mark of the kernel; `sampled`: the largest sample seen from outside."
    )
    note: str | None = Field(None, description="What a reader should know, e.g. which rule ended the warm-up.")


class Throughput(Model):
    """What came out of the pipeline per second of the measured window."""

    elements_per_second: float | None = Field(None, description="Batches times their first dimension, where known.")
    batches_per_second: float | None = None
    bytes_per_second: float | None = None
    elements_per_batch: float | None = None
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

    count: int
    dispatch: Dispatch | None = Field(None, description="`None` with `step: none`.")
    seconds: float
    interval_ms: Quantiles = Field(description="From one step's start to the next one's.")
    wait_ms: Quantiles = Field(description="Device idle because of the pipeline, the loop's own floor taken off.")
    fetch_ms: Quantiles = Field(description="The loop blocked in `next()`.")
    busy_ms: Quantiles | None = Field(None, description="The device at work; `None` with `step: none`.")
    wait_share: float = Field(description="Sum of the waits over the measured time, 0 to 1.")
    restart_share: float | None = Field(
        None, description="The part of `wait_share` spent starting the dataset again at the end of an epoch."
    )
    floor_ms: Quantiles | None = Field(None, description="`next()` on a constant dataset under the same step.")
    epochs: int = Field(0, description="How often the dataset ended and was started again.")


class Gap(Model):
    """A stretch without device work."""

    start_s: float = Field(description="Seconds since the measured window began.")
    ms: float
    cause: GapCause
    stage: str | None = None


class Gaps(Model):
    """All idle gaps between the first and the last step."""

    count: int
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


class LedgerEntry(Model):
    """Bytes of the peak with an owner."""

    owner: Owner
    stage: str | None = None
    bytes: int
    how: How


class Memory(Model):
    """Resident memory of the worker and its children."""

    baseline_bytes: int | None = Field(None, description="RSS with TensorFlow imported and one trivial dataset run.")
    peak_bytes: int | None = None
    peak_phase: PhaseName | None = None
    growth_bytes_per_second: float | None = Field(None, description="Slope of RSS over the last samples.")
    seconds_to_limit: float | None = None
    ledger: list[LedgerEntry] | None = None
    unexplained_bytes: int | None = None


class Disk(Model):
    """Bytes that came from the disk while measuring."""

    bytes: int | None = None
    source: str | None = Field(None, description="`proc-io`, or why it is unknown.")
    cold: bool | None = Field(None, description="Source files were evicted from the page cache first.")


class Location(Model):
    """A place in the user's file."""

    file: str
    line: int
    column: int | None = None


class OpCost(Model):
    """A TensorFlow op inside a map function."""

    op: str
    ms_per_batch: float


class Stage(Model):
    """One stage of the pipeline: written ones in order, those inside a function after their owner, then injected."""

    id: str = Field(description="Stable address: `source`, `stages.0`, `stages.1.source`, `injected.0`, …")
    name: str | None = Field(None, description="The user's name, or `None`.")
    origin: Literal["written", "injected"]
    depth: int = Field(0, description="Nesting inside functions.")
    fused_with: str | None = Field(None, description="Id of the stage that carries this one's cost.")
    op: str = Field(description="As written, e.g. `map`.")
    tf_op: str | None = Field(None, description="What TensorFlow runs, e.g. `ParallelMapDatasetV2`.")
    executed: str | None = Field(
        None, description="What TensorFlow made of it, in words; `None` if it runs as written."
    )
    location: Location | None = None
    elements: int | None = Field(None, description="Elements it gave during the measured window.")
    cpu_ms_per_batch: float | None = Field(None, description="Time inside the stage, summed over threads, per batch.")
    share: float | None = Field(None, description="Of the time inside all stages, 0 to 1.")
    parallelism: float | None = None
    tunable: bool | None = Field(None, description="TensorFlow chooses its parallelism or buffer.")
    bytes_per_element: float | None = None
    buffered_bytes: int | None = None
    buffered_elements: float | None = None
    ceiling_batches_per_second: float | None = None
    ops: list[OpCost] | None = None


class Headspace(Model):
    """What an infinitely fast pipeline would be worth: cached batches replayed through the same step."""

    interval_ms: float = Field(description="Mean interval of the measured steps.")
    replayed_ms: float = Field(description="Mean interval with the replay; with `step: none` the loop's own floor.")
    share: float = Field(description="`1 - replayed_ms / interval_ms`, at least 0: what could be saved at most.")
    speedup: float = Field(description="Steps per second with an infinitely fast pipeline over today's.")
    batches: int = Field(description="Batches that were replayed in turn.")


class Causes(Model):
    """Named measurements behind the verdict's `limit`; `None` where the system does not tell."""

    worker_cores: float | None = Field(None, description="CPU seconds of the worker per second.")
    demanded_cores: float | None = Field(None, description="The same if its threads had never waited for a core.")
    blocked_share: float | None = Field(
        None, description="Of the time inside the stages, the part in which threads neither ran nor waited for a core."
    )
    disk_bytes_per_second: float | None = None
    python_share: float | None = Field(None, description="Part of the time in which pipeline Python ran, by the trace.")
    python_ms_per_batch: float | None = Field(None, description="Time inside Python functions, summed over threads.")


class Verdict(Model):
    """One sentence, and the quantities behind it."""

    bound: Bound | None = None
    limit: Limit | None = None
    stage: str | None = None
    headspace_share: float | None = None
    sentence: str


class Edit(Model):
    """A change that a finding proposes: its `kind`, and the fields that belong to the kind."""

    model_config = ConfigDict(extra="allow")

    kind: str | None = Field(None, description="`InsertStage`, `SetArgument`, `MoveStage`, `SetOption`, …")


class Predicted(Model):
    """What a finding's edit should bring."""

    speedup: float | None = Field(None, description="Steps per second with the edit over without.")
    peak_rss_delta_bytes: int | None = Field(None, description="Change of peak memory; negative saves.")
    formula: str | None = Field(None, description="How it was worked out, with the numbers in it.")


class Finding(Model):
    """Something seen, with its evidence and its status."""

    rule: str
    title: str
    family: Literal["memory", "speed", "correctness"] | None = None
    stage: str | None = None
    location: Location | None = None
    sentence: str | None = Field(None, description="What was seen, in numbers, and why it matters here.")
    evidence: dict[str, Any] = Field(
        default_factory=dict, description="The numbers behind the sentence; names carry their unit."
    )
    recommendation: str | None = Field(None, description="The fix in words, whatever the status.")
    semantics: Literal["same", "order", "randomness", "values"] | None = Field(
        None, description="What the fix may change of the data."
    )
    edit: Edit | list[Edit] | None = None
    patch: str | None = Field(None, description="The fix as YAML.")
    python: str | None = Field(None, description="The fix as Python.")
    predicted: Predicted | None = None
    measured: dict[str, Any] | None = None
    status: Literal["kept", "rejected", "ceiling", "unverified"]
    reason: str | None = Field(None, description="Why the status is what it is.")


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
    """How much the machine was in the way."""

    runnable_wait_share: float | None = Field(
        None, description="Time the worker's runnable threads waited for a core, over their time running and waiting."
    )
    steal_share: float | None = None
    throttled_seconds: float | None = None
    load_average: float | None = None
    worker_cores: float | None = Field(None, description="CPU seconds per second of the worker while measuring.")
    others_cores: float | None = Field(
        None, description="CPU seconds per second of everything else on the machine, pipeprof itself left out."
    )


class Message(Model):
    """A warning with a stable code."""

    code: str
    message: str


class Problem(Model):
    """An error with its place where it can be known."""

    file: str | None = None
    line: int | None = None
    column: int | None = None
    code: str
    message: str
    stage: str | None = None
    address: str | None = Field(None, description="The place in the spec as a dotted path, e.g. `stages.1.ops.0`.")


class Profile(Model):
    """The whole document."""

    schema_version: Literal[1] = SCHEMA_VERSION
    tool: Tool
    command: list[str] = Field(default_factory=list)
    target: Target
    complete: bool = False
    exit_code: int | None = Field(None, description="What the command ended with; `None` while it runs.")
    started: str | None = Field(None, description="UTC, ISO 8601.")
    seed: int | None = None
    host: Host
    versions: dict[str, str | None] = Field(default_factory=dict)
    phases: list[Phase] = Field(default_factory=list)
    throughput: Throughput | None = None
    steps: Steps | None = None
    device: Device | None = None
    memory: Memory = Field(default_factory=Memory)
    disk: Disk | None = None
    stages: list[Stage] | None = None
    verdict: Verdict | None = None
    headspace: Headspace | None = None
    causes: Causes | None = None
    findings: list[Finding] | None = None
    series: Series = Field(default_factory=Series)
    overhead: Overhead | None = None
    contention: Contention | None = None
    warnings: list[Message] = Field(default_factory=list)
    errors: list[Problem] = Field(default_factory=list)
    output: str | None = Field(None, description="The end of what the pipeline itself printed.")
