"""Job of the worker: one sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pipeprof.profiles.protocol.turns import ReplayJob, TurnsJob

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
        tree: Root of the ref's tree.
        work_tree: Root of the work tree that it stands for.
    """

    folder: str
    tree: str
    work_tree: str


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
        turns: Take turns with other workers instead of one measurement; None for one.
        edits: Steps of changes of the dataset's graph, each on the pipeline that the one before it made; each change as
            the JSON of `pipelines.changes.edits.to_document`.
        script_args: What follows ``--`` on the command line: the script's own arguments.
        soak: The measurement is a soak: memory is read over all of its seconds.
        made: Files that earlier processes of the same command have written.
        workers: Start a tf.data service with so many workers for the pipeline; None for none.
        main: The script's dataset that turns are about; None where a run has to find it.
        at_ref: Where a target at a git ref runs; None for one of the work tree.
        texts: What files are read as in place of what they contain, by their paths.
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
    turns: TurnsJob | None = None
    edits: list[list[str]] = field(default_factory=list)
    soak: bool = False
    script_args: list[str] = field(default_factory=list)
    to_end: bool = False
    allow_writes: bool = False
    workers: int | None = None
    made: list[str] = field(default_factory=list)
    main: IteratedAt | None = None
    at_ref: RefPlace | None = None
    texts: dict[str, str] = field(default_factory=dict)


def read_job(fields: dict[str, Any]) -> Job:
    """The job from its JSON."""
    kinds: dict[str, Callable[..., Any]] = {"step": StepJob, "turns": _turns_of, "main": IteratedAt, "at_ref": RefPlace}
    return Job(
        **{
            name: kinds[name](**value) if name in kinds and value is not None else value
            for name, value in fields.items()
        }
    )


def _turns_of(replay: dict[str, Any] | None = None, **fields: Any) -> TurnsJob:
    return TurnsJob(**fields, replay=ReplayJob(**replay) if replay is not None else None)


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
