"""The options of a run, and of the further processes of the same command."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.pipelines.meaning.constants import LOCAL
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.spec.scaffold import FROM_NOTE
from pipeprof.pipelines.steps.recorded import step_of
from pipeprof.pipelines.steps.step import RECORDED, SCRIPT, Step, arguments_of, kind_of, user_files
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Edit
from pipeprof.profiles.document.profile import Target, spec_target
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.protocol.options import DEFAULT_TIMEOUT, SERVICE, IteratedAt, Options, StepJob
from pipeprof.profiles.wording import ratio_text, span_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Dispatch


def make_options(
    target: ParsedTarget,
    loaded: LoadedSpec | None = None,
    command: Sequence[str] = (),
    *,
    step: Step | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    warmup_seconds: float | None = None,
    cold: bool | None = None,
    timeout: float | None = None,
    workers: int | None = None,
    to_end: bool = False,
    **more: Any,
) -> Options:
    """Resolve what is asked: the command line before the spec before the defaults.

    Raises:
        UsageError: Workers of a service are asked for that nothing would read from.
    """
    from pipeprof.pipelines.spec.spec import Measure

    measure = loaded.spec.measure if loaded is not None else Measure()
    of_spec = loaded.spec.step if loaded is not None else Step()
    if (
        seconds is None
        and steps is None
        and (measure.steps is None or (loaded is not None and "seconds" in loaded.data["measure"]))
    ):
        seconds = measure.seconds
    steps = steps if steps is not None else measure.steps
    asked, script = step or of_spec, target.kind == "script"
    arguments = arguments_of(asked, loaded.base_dir if loaded is not None and step is None else Path())
    dispatch: Dispatch | None = asked.dispatch or arguments.get("dispatch") or of_spec.dispatch or "sync"
    if script or kind_of(asked.kind).real:
        dispatch = "sync"  # the loop waits for what it calls
    elif asked.kind == "none":
        dispatch = None
    python = [str(path) for path in loaded.python_files] if loaded is not None else []
    return Options(
        target=target,
        loaded=loaded,
        command=list(command),
        user_files=[str(target.path), *python, *user_files(arguments)],
        step=StepJob(SCRIPT) if script else StepJob(asked.kind, arguments),
        step_given=step is not None,
        step_text=f"script: {target}" if script else asked.text,
        step_from_init=_step_from_init(loaded) if loaded is not None and step is None else None,
        dispatch=dispatch,
        seconds=None if to_end else seconds,
        steps=None if to_end else steps,
        warmup_seconds=warmup_seconds if warmup_seconds is not None else measure.warmup_seconds,
        seed=measure.seed,
        cold=cold if cold is not None else measure.cold,
        timeout=timeout if timeout is not None else DEFAULT_TIMEOUT,
        workers=_workers(target, loaded, workers),
        to_end=to_end,
        **more,
    )


def _step_from_init(loaded: LoadedSpec) -> Location | None:
    given = loaded.data.get("step")
    if not isinstance(given, dict) or given.get(FROM_NOTE) != "init":
        return None
    at = loaded.locate(["step"])
    return Location(file=at.file, line=at.line) if at is not None and at.line is not None else None


def _workers(target: ParsedTarget, loaded: LoadedSpec | None, workers: int | None) -> int | None:
    """The workers of the service that is started for a run; None where its pipeline reads from none of pipeprof's.

    Raises:
        UsageError: There are to be some, and nothing would read from them.
    """
    if loaded is not None:
        read = [one.arguments["service"] for one in loaded.spec.placed() if traits(one.op).remote]
        local = LOCAL in read
        advice = "add the stage distribute: {processing_mode: parallel_epochs, service: local}"
    else:
        local = any(SERVICE in value for _, value in target.arguments)
        advice = f"pass its address to the function, as --arg service={SERVICE}"
    if local:
        return workers or (loaded.spec.measure.workers if loaded is not None else None) or 1
    if workers is not None:
        raise UsageError(f"--workers starts a tf.data service, and nothing of the target reads from it: {advice}")
    return None


def again(settings: Options, profile: Profile) -> Options:
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
    replayed: dict[str, Any] = step_of(profile.model_dump(mode="json"), "the run")
    dispatch = replayed.get("dispatch", "sync")
    return replace(with_made(settings, profile), main=place, step=StepJob(RECORDED, replayed), dispatch=dispatch)


def with_made(settings: Options, profile: Profile) -> Options:
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


def target_of(options: Options) -> Target:
    """The target of a run as its profile has it, with the hashes of its files as they are now."""
    target, loaded = options.target, options.loaded
    edits = [Edit.model_validate(document) for document in options.changed_by]
    if loaded is not None:
        return spec_target(str(target), loaded).model_copy(update={"edits": edits})
    return Target(
        kind="script" if target.kind == "script" else "function",
        text=str(target),
        sha256=hashlib.sha256(target.path.read_bytes()).hexdigest() if target.path.is_file() else None,
        arguments=dict(target.arguments) if target.kind == "function" else None,
        script_arguments=list(options.script_args) if target.kind == "script" else None,
        edits=edits,
    )


def written_stages(loaded: LoadedSpec | None) -> dict[str, Stage]:
    """Return the stages of a spec by address, without measurements; empty for a Python target."""
    found: dict[str, Stage] = {}
    if loaded is None:
        return found
    for placed in loaded.spec.placed():
        at = loaded.locate(placed.address)
        found[placed.address] = Stage(
            id=placed.address,
            name=placed.name,
            origin="written",
            depth=(placed.address.count("stages") + placed.address.count("source")) - 1,
            op=placed.op,
            location=Location(file=at.file, line=at.line, column=at.column) if at and at.line else None,
        )
    return found


class RunProgress:
    """Receiver of progress events; the caller's subclass shows them."""

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Begin a phase; `seconds_expected` is its expected length, None if unknown."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Update the rate in batches per second, and the progress of the phase (seconds or steps)."""

    def standing(self, words: str) -> None:
        """Update what is known so far of what the phase measures, in a few words."""

    def ends_in(self, seconds: float | None) -> None:
        """Update how long all that follows may take at most, this phase and later ones; None if unknown."""

    def note(self, text: str) -> None:
        """Show a note to the user, in one sentence."""

    def data(self, name: str, done: int, total: int) -> None:
        """Update the progress of a synthesised input: `done` of `total` items."""

    def close(self) -> None:
        """End the progress."""


class Silent(RunProgress):
    """Progress without output."""


def ratio_so_far(value: float, low: float | None, high: float | None, many: int, of: str = "pair") -> str:
    """A ratio with its interval while more of them are measured; few have no interval.

    Example:
        >>> ratio_so_far(1.42, 1.35, 1.5, 6), ratio_so_far(1.4, None, None, 1)
        ('1.42× (1.35–1.50, 6 pairs)', '1.40× (1 pair)')
    """
    count = f"{many} {of}{'' if many == 1 else 's'}"
    # One pair says nothing about the spread: its interval has no ends, or none that is a number.
    spread = f"{span_text(low, high)}, " if low and high and not math.isinf(high) else ""
    return f"{ratio_text(value)} ({spread}{count})"
