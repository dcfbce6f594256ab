"""Settings of a run, and the worker's job derived from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.pipelines.meaning.constants import LOCAL
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.spec.scaffold import FROM_NOTE
from pipeprof.pipelines.steps.recorded import step_of
from pipeprof.pipelines.steps.step import RECORDED, SCRIPT, Step, arguments_of, kind_of, user_files
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.harness.lock import DEFAULT_LIMIT
from pipeprof.profiles.protocol.job import SERVICE, IteratedAt, Job, RefPlace, StepJob, as_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Dispatch
    from pipeprof.profiles.document.subject import DataSize

DEFAULT_TIMEOUT = 120.0


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run from the command line; `None` falls back to the spec, then to the default.

    Attributes:
        steps: Number of steps after which it ends earlier.
        cold: Drop the source files from the page cache first.
        timeout: Seconds without a step after which the pipeline is taken to hang.
        max_time: Seconds that the whole command may take.
        spent: Those of them that are over when this run begins.
        memory_limit: Bytes that the worker may use.
        data_size: Size of the whole data set; the target may read a sample of it.
        no_cache: Try no change that adds a cache.
        edits: Steps of changes of a Python target's graph, as `Job` has them.
        script_args: What follows ``--``: the arguments of a script.
        soak: `seconds` are those of a soak.
        tries: What is proposed is tried afterwards.
        to_end: Let the script come to its own end.
        allow_writes: Let the script overwrite and delete files that exist.
        workers: How many workers of a tf.data service the run starts; None for the number in the spec.
        main: The main dataset of a script's first run, which its later processes look for.
        replayed: Arguments of the recorded step, in place of that of a script; empty for its own.
        made: Files that earlier processes of it have written, and with nothing of the user's in them.
        at_ref: Where a target at a git ref runs; None for one of the work tree.
    """

    target: ParsedTarget
    loaded: LoadedSpec | None = None
    command: list[str] = field(default_factory=list)
    step: Step | None = None
    seconds: float | None = None
    steps: int | None = None
    warmup_seconds: float | None = None
    cold: bool | None = None
    timeout: float | None = None
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
    script_args: Sequence[str] = ()
    to_end: bool = False
    allow_writes: bool = False
    workers: int | None = None
    main: IteratedAt | None = None
    replayed: Mapping[str, object] = field(default_factory=dict)
    made: Sequence[str] = ()
    at_ref: RefPlace | None = None

    @property
    def lock_patience(self) -> float | None:
        """Seconds that the command waits for another one that measures; None where it need not."""
        return (self.max_time if self.max_time is not None else DEFAULT_LIMIT) if self.lock else None


@dataclass(frozen=True)
class Plan:
    """The settings with the spec's own values and the defaults filled in."""

    step: StepJob
    step_text: str
    dispatch: Dispatch | None
    seconds: float | None
    steps: int | None
    warmup_seconds: float | None
    seed: int | None
    cold: bool
    timeout: float
    step_from_init: Location | None = None
    """The line of the spec's step, where `pipeprof init` has made it up."""

    @property
    def length(self) -> str:
        """Planned length of the measurement, such as ``10 s or 500 steps``."""
        limits = [f"{self.seconds:g} s"] if self.seconds is not None else []
        limits += [f"{self.steps:,} steps"] if self.steps is not None else []
        return " or ".join(limits) or "to its end"


def plan(settings: RunSettings) -> Plan:
    """Resolve the settings: the command line before the spec before the defaults."""
    from pipeprof.pipelines.spec.spec import Measure

    spec = settings.loaded.spec if settings.loaded is not None else None
    measure = spec.measure if spec is not None else Measure()
    of_spec = spec.step if spec is not None else Step()
    step = settings.step or of_spec
    steps = settings.steps if settings.steps is not None else measure.steps
    seconds = settings.seconds
    if seconds is None and settings.steps is None:
        asked = measure.steps is None or (settings.loaded is not None and "seconds" in settings.loaded.data["measure"])
        seconds = measure.seconds if asked else None
    base = settings.loaded.base_dir if settings.loaded is not None and settings.step is None else Path()
    if settings.target.kind == "script":
        replayed: dict[str, Any] = dict(settings.replayed)
        return Plan(
            step=StepJob(RECORDED, replayed) if replayed else StepJob(SCRIPT),
            step_text=f"script: {settings.target}",
            dispatch=replayed.get("dispatch", "sync"),
            seconds=None if settings.to_end else seconds,
            steps=None if settings.to_end else steps,
            warmup_seconds=settings.warmup_seconds,
            seed=None,
            cold=False,
            timeout=settings.timeout if settings.timeout is not None else DEFAULT_TIMEOUT,
        )
    arguments = arguments_of(step, base)
    dispatch: Dispatch = step.dispatch or arguments.get("dispatch") or of_spec.dispatch or "sync"
    if kind_of(step.kind).real:
        dispatch = "sync"  # the loop waits for what it calls
    return Plan(
        step=StepJob(step.kind, arguments),
        step_text=step.text,
        dispatch=dispatch if step.kind != "none" else None,
        seconds=seconds,
        steps=steps,
        warmup_seconds=settings.warmup_seconds if settings.warmup_seconds is not None else measure.warmup_seconds,
        seed=measure.seed,
        cold=settings.cold if settings.cold is not None else measure.cold,
        timeout=settings.timeout if settings.timeout is not None else DEFAULT_TIMEOUT,
        step_from_init=_step_from_init(settings),
    )


def _step_from_init(settings: RunSettings) -> Location | None:
    loaded = settings.loaded
    given = loaded.data.get("step") if loaded is not None and settings.step is None else None
    if loaded is None or not isinstance(given, dict) or given.get(FROM_NOTE) != "init":
        return None
    at = loaded.locate(["step"])
    return Location(file=at.file, line=at.line) if at is not None and at.line is not None else None


def job_of(settings: RunSettings, planned: Plan, data_dirs: Mapping[str, Path], *, memory_limit: int | None) -> Job:
    """Build the worker's job.

    Args:
        data_dirs: Folders of synthesised inputs, by name.
        memory_limit: Bytes that the worker may use.
    """
    target, loaded = settings.target, settings.loaded
    files = [str(target.path)]
    if loaded is not None:
        files += [str(path) for path in loaded.python_files]
    files += user_files(planned.step.arguments)
    return Job(
        memory_limit=memory_limit,
        kind=target.kind,
        target=str(target),
        arguments=list(target.arguments),
        data=as_pairs(loaded.data) if loaded is not None else None,
        base_dir=str(loaded.base_dir) if loaded is not None else None,
        data_dirs={name: str(folder) for name, folder in data_dirs.items()},
        user_files=files,
        step=planned.step,
        step_given=settings.step is not None,
        dispatch=planned.dispatch,
        seconds=planned.seconds,
        steps=planned.steps,
        warmup_seconds=planned.warmup_seconds,
        seed=planned.seed,
        edits=settings.edits,
        soak=settings.soak,
        script_args=list(settings.script_args),
        to_end=settings.to_end,
        allow_writes=settings.allow_writes,
        workers=_workers(settings),
        main=settings.main,
        made=list(settings.made),
        at_ref=settings.at_ref,
    )


def _workers(settings: RunSettings) -> int | None:
    """The workers of the service that is started for a run; None where its pipeline reads from none of pipeprof's.

    Raises:
        UsageError: There are to be some, and nothing would read from them.
    """
    loaded = settings.loaded
    if loaded is not None:
        read = [one.arguments["service"] for one in loaded.spec.placed() if traits(one.op).remote]
        local = LOCAL in read
        advice = "add the stage distribute: {processing_mode: parallel_epochs, service: local}"
    else:
        local = any(SERVICE in value for _, value in settings.target.arguments)
        advice = f"pass its address to the function, as --arg service={SERVICE}"
    if local:
        return settings.workers or (loaded.spec.measure.workers if loaded is not None else None) or 1
    if settings.workers is not None:
        raise UsageError(f"--workers starts a tf.data service, and nothing of the target reads from it: {advice}")
    return None


def again(settings: RunSettings, profile: Profile) -> RunSettings:
    """Return the settings of further processes of a script that was measured; those of another target as they are.

    They do not train: its step is replayed.

    Raises:
        ProfileError: The profile does not tell how long a step takes: with the wait of the training unknown, its
            interval without the fetch is no step.
    """
    training, place = profile.training, main_place(profile)
    if training is None or place is None:
        return settings
    if training.wait is None:
        raise ProfileError(f"how long a step of the training takes is not known: {training.unknown or 'no wait'}")
    replayed = step_of(profile.model_dump(mode="json"), "the run")
    return replace(with_made(settings, profile), main=place, replayed=replayed)


def with_made(settings: RunSettings, profile: Profile) -> RunSettings:
    """Return the settings of further processes of a script, which may overwrite what it has written anew."""
    written = profile.training.written if profile.training is not None else []
    # What it only appended to, or changed in part, is still the user's.
    made = [str(Path(one.file).absolute()) for one in written if one.new]
    return replace(settings, made=[*settings.made, *made]) if made else settings


def main_place(profile: Profile) -> IteratedAt | None:
    """Return where a script iterates its main dataset; None where its run has not seen it."""
    training = profile.training
    main = next((use for use in training.datasets if use.main), None) if training is not None else None
    if main is None or main.file is None or main.line is None:
        return None
    return IteratedAt(str(Path(main.file).absolute()), main.line, main.role)
