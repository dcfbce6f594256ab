"""What a run is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pipeprof.pipelines.changes.chain import Replay
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.protocol.turns import TurnsJob

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.profiles.document.base import Location
    from pipeprof.profiles.document.profile import DataSize
    from pipeprof.profiles.protocol.messages import Sketch

SERVICE: Final = "{service}"
"""In an argument of a function, what stands for the address of the service that is started for it."""


@dataclass(frozen=True)
class StepJob:
    """What takes the batches: a kind of step, and its arguments (`pipelines.steps.step.arguments_of`)."""

    kind: str = "none"
    arguments: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class IteratedAt:
    """A dataset of a training script, by where it is iterated and what for."""

    file: str
    line: int
    role: str


@dataclass(frozen=True)
class RefPlace:
    """Where the process of a target at a git ref runs.

    Attributes:
        folder: Its current folder: in the tree, the place of the command's current folder.
        work_tree: Root of the work tree that it stands for.
    """

    folder: str
    tree: str
    work_tree: str


DEFAULT_TIMEOUT: Final = 120.0
DEFAULT_PATIENCE: Final = 60.0
"""Seconds that a command waits for another one that measures."""


@dataclass(frozen=True)
class Options:
    """What a run is asked, with the spec's own values and the defaults filled in; the worker gets what it needs of it.

    Attributes:
        user_files: The user's Python files, the target first.
        step_from_init: The line of the spec's step, where `pipeprof init` has made it up.
        dispatch: How many steps the host may run ahead of the device, or ``sync``; None without a step.
        seconds: Length of the measurement; None where `steps` alone ends it.
        warmup_seconds: None for the rule.
        timeout: Seconds without a step after which the pipeline is taken to hang.
        spent: Seconds of `max_time`, that of the whole command, that are over when this run begins.
        edits: Steps of changes of the dataset's graph, each on the pipeline that the one before it made; each change as
            the JSON of `pipelines.changes.edits.to_document`.
        workers: Start a tf.data service with so many workers for the pipeline; None for none.
        main: The script's dataset that turns are about; None where a run has to find it.
        made: Files that earlier processes of the same command have written, with nothing of the user's in them.
        at_ref: Where a target at a git ref runs; None for one of the work tree.
        texts: What files are read as in place of what they contain, by their paths.
        data: The spec's, as `as_pairs` has it, in the worker.
    """

    target: ParsedTarget
    user_files: list[str] = field(default_factory=list)
    loaded: LoadedSpec | None = None
    command: list[str] = field(default_factory=list)
    step: StepJob = field(default_factory=StepJob)
    step_given: bool = False
    step_text: str = "none"
    step_from_init: Location | None = None
    dispatch: int | Literal["sync"] | None = None
    seconds: float | None = None
    steps: int | None = None
    warmup_seconds: float | None = None
    seed: int | None = None
    cold: bool = False
    timeout: float = DEFAULT_TIMEOUT
    max_time: float | None = None
    spent: float = 0.0
    memory_limit: int | None = None
    lock: bool = True
    data_size: DataSize | None = None
    no_cache: bool = False
    soak: bool = False
    tries: bool = False
    edits: list[list[str]] = field(default_factory=list)
    changed_by: Sequence[Mapping[str, object]] = ()
    script_args: Sequence[str] = field(default_factory=list)
    to_end: bool = False
    allow_writes: bool = False
    workers: int | None = None
    main: IteratedAt | None = None
    made: Sequence[str] = field(default_factory=list)
    at_ref: RefPlace | None = None
    turns: TurnsJob | None = None
    texts: dict[str, str] = field(default_factory=dict)
    data: Any = None
    base_dir: str | None = None
    data_dirs: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Literal["spec", "function", "script"]:
        """The kind of its target."""
        return self.target.kind

    @property
    def length(self) -> str:
        """Planned length of the measurement, such as ``10 s or 500 steps``."""
        limits = [f"{self.seconds:g} s"] if self.seconds is not None else []
        limits += [f"{self.steps:,} steps"] if self.steps is not None else []
        return " or ".join(limits) or "to its end"

    @property
    def patience(self) -> float | None:
        """Seconds that the command waits for another one that measures; None where it need not."""
        return (self.max_time if self.max_time is not None else DEFAULT_PATIENCE) if self.lock else None


_OF_THE_COMMAND: Final = ("loaded", "step_from_init", "data_size", "changed_by")
"""What a worker has no use for, or could not read."""


def to_worker(options: Options) -> dict[str, Any]:
    """What a worker gets, as fields of a JSON object."""
    fields = {name: value for name, value in vars(options).items() if name not in _OF_THE_COMMAND}
    fields["target"] = {**vars(options.target), "path": str(options.target.path)}
    if options.loaded is not None:
        fields |= {"data": as_pairs(options.loaded.data), "base_dir": str(options.loaded.base_dir)}
    return fields


def in_worker(fields: dict[str, Any]) -> Options:
    """The options from what a worker got."""
    kinds: dict[str, Callable[..., Any]] = {
        "target": _target,
        "step": StepJob,
        "turns": _turns,
        "main": IteratedAt,
        "at_ref": RefPlace,
    }
    return Options(
        **{
            name: kinds[name](**value) if name in kinds and value is not None else value
            for name, value in fields.items()
        }
    )


def _target(path: str, arguments: list[tuple[str, str]], **fields: Any) -> ParsedTarget:
    return ParsedTarget(**fields, path=Path(path), arguments=tuple((name, value) for name, value in arguments))


def _turns(replay: dict[str, Any] | None, **fields: Any) -> TurnsJob:
    return TurnsJob(**fields, replay=Replay(**replay) if replay is not None else None)


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


# What the process answers that builds targets for `check`

READY: Final = b"ready\n"
"""First line of the answers: TensorFlow is loaded."""


@dataclass(frozen=True)
class LookAnswer:
    """The graph of a target as written, or why there is none.

    Attributes:
        kind: Why it failed; empty if it did not: ``spec``: TensorFlow refuses the spec; ``target``: the function is
            none, or its arguments do not fit; ``python``: the user's Python raised; ``unmade``: data has to be read
            that has not been made; ``installation``: there is no TensorFlow; ``ended``: the process ended by itself.
        op_path: The call inside it, as `BuildError` has it.
        lines: Traceback lines in the user's Python, the innermost call last.
    """

    sketch: Sketch | None = None
    kind: Literal["", "spec", "target", "python", "unmade", "installation", "ended"] = ""
    message: str = ""
    address: str = ""
    op_path: str = ""
    lines: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
