"""Job of the worker: one sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pipeprof.pipelines.target.import_path import Interpreter
from pipeprof.profiles.protocol.turns import TurnsJob

SERVICE: Final = "{service}"
"""In an argument of a function, what stands for the address of the service that is started for it."""


@dataclass(frozen=True)
class StepJob:
    """What takes the batches: a kind of step, and the arguments that it has planned (`StepKind.plan`)."""

    kind: str = "none"
    arguments: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class IteratedAt:
    """A dataset of a training script, by where it is iterated and what for."""

    file: str
    line: int
    role: str


@dataclass(frozen=True)
class HostOf:
    """One of several hosts that train together, counted from 0."""

    index: int
    of: int


@dataclass(frozen=True)
class CoreShares:
    """Cores that processes may use at most, parts of one among them; None for all that there are.

    Attributes:
        client: Cores for the process that takes the batches.
        worker: Of each worker of the service that is started for it.
        factor: By which all is scaled down: the thread of the loop is slowed by it, too, if the device waits for that.
    """

    client: float | None = None
    worker: float | None = None
    factor: float = 1.0


@dataclass(frozen=True)
class Job:
    """One sample.

    Attributes:
        base_dir: Folder that a spec's paths are relative to.
        user_files: The user's Python files, the target first.
        dispatch: How many steps the host may run ahead of the device, or ``sync``.
        seconds: Length of the measurement; None where `steps` alone ends it.
        steps: After which it ends.
        warmup_seconds: Length of the warm-up; None for the rule.
        warm: Source files, where they were evicted: steps with the files in memory are measured as well.
        turns: Take turns with other workers instead of one measurement; None for one.
        edits: Steps of changes of the dataset's graph, each on the pipeline that the one before it made; each change as
            the JSON of `pipelines.edits.edits.to_document`.
        calibrate: Measure at the end what elements cost on this machine, whatever they are.
        script_args: What follows ``--`` on the command line: the script's own arguments.
        soak: The measurement is a soak: memory is read over all of its seconds.
        made: Files that earlier processes of the same command have written.
        share_job: Read from a job of a tf.data service that others read as well.
        workers: Start a tf.data service with so many workers for the pipeline; None for none.
        worker_cores: Cores of each of them; None for all.
        shares: What the processes may use of the cores while turns last; None for all.
        trace_workers: Addresses of the profiler servers of other workers, which are traced.
        trace_folder: Where they write their traces; None for a temporary folder.
        main: The script's dataset that turns are about; None where a run has to find it.
        host: The host whose part is measured; None for all of the data.
        interpreter: The Python of another environment that runs the worker; None for this one.
    """

    kind: Literal["spec", "function", "script"]
    target: str
    user_files: list[str]
    memory_limit: int | None = None
    arguments: list[tuple[str, str]] = field(default_factory=list)
    data: Any = None
    base_dir: str | None = None
    data_dirs: dict[str, str] = field(default_factory=dict)
    step: StepJob = field(default_factory=StepJob)
    step_given: bool = False
    dispatch: int | Literal["sync"] | None = None
    seconds: float | None = None
    steps: int | None = None
    warmup_seconds: float | None = None
    seed: int | None = None
    warm: list[str] = field(default_factory=list)
    turns: TurnsJob | None = None
    edits: list[list[str]] = field(default_factory=list)
    calibrate: bool = False
    soak: bool = False
    script_args: list[str] = field(default_factory=list)
    to_end: bool = False
    allow_writes: bool = False
    share_job: bool = False
    workers: int | None = None
    worker_cores: int | None = None
    shares: CoreShares | None = None
    trace_workers: list[str] = field(default_factory=list)
    trace_folder: str | None = None
    made: list[str] = field(default_factory=list)
    main: IteratedAt | None = None
    host: HostOf | None = None
    interpreter: Interpreter | None = None


def as_pairs(value: Any) -> Any:
    """Convert a spec's data, every mapping to a list of pairs: JSON would turn numeric keys into text."""
    if isinstance(value, dict):
        return {"pairs": [[key, as_pairs(inner)] for key, inner in value.items()]}
    return [as_pairs(inner) for inner in value] if isinstance(value, list) else value


def from_pairs(value: Any) -> Any:
    """Convert back from `as_pairs`."""
    if isinstance(value, dict):
        return {key: from_pairs(inner) for key, inner in value["pairs"]}
    return [from_pairs(inner) for inner in value] if isinstance(value, list) else value
