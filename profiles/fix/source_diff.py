"""The changes of a search in the text of a Python target, checked: both give the same graph."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeprof.pipelines.changes.diffs import unified
from pipeprof.pipelines.edits.edits import PipelineEdit, SetEnvironment, to_document
from pipeprof.pipelines.graph.compare import differences
from pipeprof.pipelines.ops.traits import STAGES
from pipeprof.pipelines.static.edit.apply import apply_to_source
from pipeprof.pipelines.static.edit.chain import DatasetReader, line_after, reader_after
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.edit.located import CallOfStage, apply_at_calls
from pipeprof.pipelines.static.edit.statement import CallPlace
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness.ask_worker import ask_for_graph
from pipeprof.profiles.harness.settings import RunSettings, job_of, main_place, plan
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, ScriptGraphJob, unpacked

MOST_DIFFS = 3
"""Changes of a run that get a diff, the first ones: each takes two processes, some seconds."""
LEAST_SECONDS, MOST_SECONDS = 15.0, 60.0
"""Time that a run has to have left for the check of a diff, and what that may take."""


@dataclass(frozen=True)
class EditedSource:
    """The text of a file with the changes."""

    text: str | None
    reason: str = ""


def in_text(
    text: str, made: str | DatasetReader, stages: Iterable[Stage], steps: Sequence[Sequence[PipelineEdit]]
) -> str:
    """Return a file's text with steps of edits of a dataset; variables of the environment have no place in it.

    Args:
        made: Name of the function that returns the dataset, or where the file reads it.

    Raises:
        CannotEditSourceError: The text does not show where an edit belongs.
    """
    written = [stage for stage in stages if stage.origin == "written"]
    stages_of = Counter(map(_call, written))
    # One call may have made a stage of another name, with what is inside of it.
    names = {one.id: _call(one)[2] if stages_of[_call(one)] == 1 else one.op for one in written}
    return apply_to_source(text, made, names, _of_pipeline(steps))


def _call(stage: Stage) -> tuple[str, str, str]:
    """The call that has made a stage: the line of stages it stands in, its place in the text, and its name."""
    name = stage.location.call if stage.location is not None else None
    return stage.id.rpartition(".")[0], str(stage.location), name if name in STAGES else stage.op


def _of_pipeline(steps: Sequence[Sequence[PipelineEdit]]) -> list[list[PipelineEdit]]:
    shown = [[edit for edit in step if not isinstance(edit, SetEnvironment)] for step in steps]
    if not any(shown):
        raise CannotEditSourceError("the changes are those of the environment alone")
    return [step for step in shown if step]


def edited_source(
    settings: RunSettings, profile: Profile, text: str, steps: Sequence[Sequence[PipelineEdit]]
) -> EditedSource:
    """Make steps of edits in the text of a Python target, and compare with its edited graph.

    A function is called for that; a script runs until it is about to iterate its main dataset.

    Args:
        settings: Those of the target, with the files that a script may overwrite.
        profile: Of the target; it may come from somebody else.
    """
    target, stages = settings.target, profile.stages or ()
    try:
        shown = _of_pipeline(steps)
        after = _text_after(target, text, stages, shown)
    except CannotEditSourceError as error:
        return EditedSource(None, str(error))
    documents = [[json.dumps(to_document(edit)) for edit in step] for step in shown]
    asked: list[GraphJob | ScriptGraphJob]
    if target.function is None:
        chosen = replace(settings, main=main_place(profile))
        job = job_of(chosen, plan(chosen), {}, memory_limit=None)
        main, own = job.main, str(target.path.absolute())
        if main is None:
            return EditedSource(None, "the run has not seen where the script iterates its main dataset")
        if main.file == own:
            line = line_after(text, after, main.line)
            if line is None:
                return EditedSource(None, f"{target.path.name}:{main.line}, which iterates it, could not be followed")
            job = replace(job, main=replace(main, line=line))
        asked = [ScriptGraphJob(replace(job, main=main), steps=documents), ScriptGraphJob(job, text=after)]
    else:
        asked = [
            GraphJob(str(target), list(target.arguments), str(target.path.resolve()), steps=documents),
            GraphJob(str(target), list(target.arguments), str(target.path.resolve()), text=after),
        ]
    answers: list[GraphAnswer] = []
    for one in asked:
        answers.append(ask_for_graph(one))
        if answers[-1].failure is not None:
            return EditedSource(None, f"the edited text could not be checked: {answers[-1].failure}")
    planned, written = answers
    same = not differences(unpacked(planned.graph or ""), unpacked(written.graph or ""))
    if not same or planned.element != written.element:
        return EditedSource(None, "the edited text gives another graph than the changes")
    return EditedSource(after)


def _text_after(
    target: ParsedTarget, text: str, stages: Sequence[Stage], steps: Sequence[Sequence[PipelineEdit]]
) -> str:
    """Make edits in the calls of the target's function, or in those before a script reads its dataset.

    Else in those that have made the stages, where these show the last one, or the edits are harmless.

    Raises:
        CannotEditSourceError: None of them shows where an edit belongs; the message is about the first.
    """
    file, function = target.path.name, target.function
    ways: list[Callable[[], str]] = []
    if function is not None:
        ways.append(lambda: in_text(text, function, stages, steps))
    ways += [
        lambda: in_text(text, _reader_of(text, file, stages), stages, steps),
        lambda: apply_at_calls(text, file, _calls_of(stages, file), steps),
    ]
    errors: list[CannotEditSourceError] = []
    for way in ways:
        try:
            return way()
        except CannotEditSourceError as error:
            errors.append(error)
    raise errors[0]


def _calls_of(stages: Iterable[Stage], file: str) -> dict[str, CallOfStage]:
    """The op of each stage, and its call where that is one of the file and has made no other stage."""
    written = [stage for stage in stages if stage.origin == "written"]
    places = Counter(str(stage.location) for stage in written)

    def place_of(stage: Stage) -> CallPlace | None:
        place = stage.location
        alone = place is not None and places[str(place)] == 1 and Path(place.file).name == file
        return (place.line, place.column, stage.op) if place and alone and place.call in (None, stage.op) else None

    return {stage.id: (stage.op, place_of(stage)) for stage in written}


def _reader_of(text: str, file: str, stages: Iterable[Stage]) -> DatasetReader:
    """Find where a script reads its dataset: after the call of the pipeline's last stage."""
    line = [stage for stage in stages if stage.origin == "written" and stage.id.count(".") <= 1]
    place = line[-1].location if line else None
    if place is None or Path(place.file).name != file:
        raise CannotEditSourceError(f"no line of {file} makes the last stage")
    return reader_after(text, file, place.line, place.column, place.call or line[-1].op)


def text_as_measured(path: Path, sha256: str | None) -> str:
    """Return the text of a target's file, to which a diff may be made.

    Args:
        sha256: Of the file when it was measured.

    Raises:
        CannotEditSourceError: It was edited since, cannot be read, or is not written in UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CannotEditSourceError(f"{path} was edited while it was measured")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise CannotEditSourceError(f"{path} is not written in UTF-8, which a diff is") from None


def add_diffs(
    profile: Profile, settings: RunSettings, begin: Callable[[str], object], end_at: float | None = None
) -> None:
    """Give the proven changes of a Python target their diffs, where its text can have them.

    Args:
        begin: Is called before each diff is checked, with what is done in a few words.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
    """
    kept = [one for one in profile.findings or () if one.status == "kept" and one.is_known]
    kept = [one for one in kept if not any(isinstance(edit, SetEnvironment) for edit in one.edits)]
    target, seconds = settings.target, _seconds_of_both(profile)
    if not kept or target.kind == "spec" or seconds > MOST_SECONDS:
        return
    try:
        before = text_as_measured(target.path, profile.target.sha256)
    except CannotEditSourceError:
        return
    for finding in kept[:MOST_DIFFS]:
        if end_at is not None and time.monotonic() + seconds > end_at:
            return
        begin(f"checking the diff: {finding.title}")
        after = edited_source(settings, profile, before, [finding.edits]).text
        if after is not None:
            finding.diff = unified(before, after, str(target.path))


def _seconds_of_both(profile: Profile) -> float:
    """Time that two processes need until their dataset is there, by that of the run, and to compare the graphs."""
    begun = sum(one.seconds or 0.0 for one in profile.phases if one.name in ("import", "data", "build"))
    return max(LEAST_SECONDS, 2.5 * begun)
