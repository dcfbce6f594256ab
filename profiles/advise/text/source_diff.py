"""The change of a finding or a search in the user's Python files, at the calls that the run saw making its stages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.changes.in_source import ChangedSource, change_source
from pipeprof.pipelines.host_files import read_regular
from pipeprof.pipelines.static.python_text import CannotChangeSourceError, RecordedCall
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.subject import Target
from pipeprof.profiles.view.view import StageView

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

MadeStage: TypeAlias = Stage | StageView
_LARGEST = 5_000_000


def changed_source(
    target: Target | None, stages: Iterable[MadeStage], steps: Sequence[Sequence[PipelineEdit]]
) -> ChangedSource:
    """Make steps of changes in the text of the files whose calls made the stages.

    Args:
        target: What was measured; None where nothing was.
        stages: As written, in order.

    Raises:
        CannotChangeSourceError: The text has no place for a change, or is not what was measured.
    """
    calls = {stage.id: (stage.op, _call(stage)) for stage in stages if not stage.id.startswith("injected")}
    files = {call.file for _, call in calls.values() if call is not None}
    texts = {file: text for file in sorted(files) if (text := _text(file, target)) is not None}
    function = target.text.rpartition(":")[2] if target is not None and target.kind == "function" else None
    return change_source(texts, calls, steps, function)


def add_diffs(profile: Profile) -> None:
    """Give the changes of a Python target that were not rejected their diffs, where its text has a place for them."""
    if profile.target.kind == "spec":
        return
    for finding in profile.findings or ():
        if finding.status != "rejected" and finding.edits and finding.is_known and finding.diff is None:
            finding.diff = diff_of(profile.target, profile.stages or (), finding.edits)


def diff_of(target: Target | None, stages: Iterable[MadeStage], edits: Sequence[PipelineEdit]) -> str | None:
    """Return the diff of a change; None where the text has no place for it."""
    try:
        return changed_source(target, stages, [edits]).diff
    except CannotChangeSourceError:
        return None


def _call(stage: MadeStage) -> RecordedCall | None:
    place = stage.location
    return RecordedCall(place.file, place.line, place.column, place.call or stage.op) if place is not None else None


def _text(file: str, target: Target | None) -> str | None:
    """The text of a file; None where it cannot be read.

    Raises:
        CannotChangeSourceError: It is the target's, and was edited since.
    """
    path = Path(file).expanduser()
    try:
        content = read_regular(path, _LARGEST)
        text = content.decode("utf-8")
    except (OSError, ValueError):
        return None
    if target is not None and target.kind != "spec":
        name = target.text.rpartition(":")[0] if target.kind == "function" else target.text
        changed = hashlib.sha256(content).hexdigest() != target.sha256
        if changed and Path(name).absolute() == path.absolute():
            raise CannotChangeSourceError(f"{file} was edited while it was measured")
    return text
