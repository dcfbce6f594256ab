"""Edits in one line and as a diff of the user's files, and the written stages that they are about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeprof.pipelines.changes.edits import PipelineEdit, SetArgument, SetOption, VectoriseMap
from pipeprof.pipelines.changes.in_source import ChangedSource, change_source
from pipeprof.pipelines.changes.in_words import in_their_order, in_words
from pipeprof.pipelines.host_files import read_regular
from pipeprof.pipelines.static.python_text import CannotChangeSourceError, RecordedCall
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Target
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, size, stage_label, stage_name, stage_place

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

MadeStage: TypeAlias = Stage | StageView
_LARGEST = 5_000_000


def describe_change(view: PipelineView, edits: Sequence[PipelineEdit], detail: str | None = None) -> str | None:
    """The edits in one line, with `detail` in numbers; None where no line describes one of them."""
    several = len({edit.stage for edit in edits if isinstance(edit, SetArgument)}) > 1
    parts = [
        _on_whole_batches(view, edits, edit.batch)
        if isinstance(edit, VectoriseMap)
        else in_words(edit, partial(_stage_words, view), _now(view, edit), named=several)
        for edit in edits
    ]
    if not parts or None in parts:
        return None
    line = ", ".join(dict.fromkeys(filter(None, in_their_order(edits, parts))))
    return f"{line}: {detail}" if detail else line


def _on_whole_batches(view: PipelineView, edits: Sequence[PipelineEdit], batch: str) -> str:
    """The maps that are moved after the same batch, the last of which is moved first, in their order."""
    moved = [edit.stage for edit in reversed(edits) if isinstance(edit, VectoriseMap) and edit.batch == batch]
    names = listed([_stage_words(view, stage) for stage in moved])
    return f"apply {names} to whole batches, after {_stage_words(view, batch)}"


def _now(view: PipelineView, edit: PipelineEdit) -> Any:
    if isinstance(edit, SetArgument):
        stage = view.by_id.get(edit.stage)
        return {**stage.arguments, **(stage.written or {})}.get(edit.argument) if stage is not None else None
    return view.options.get(edit.path) if isinstance(edit, SetOption) else None


def _stage_words(view: PipelineView, address: str) -> str:
    """The name of a stage, with its place where another one has the same name."""
    stage = view.by_id.get(address)
    if stage is None:
        return address
    name = _name(stage)
    if [_name(stage) for stage in view.stages if not stage.injected].count(name) == 1 or stage.location is None:
        return name
    return f"{name} ({stage.location.file.rpartition('/')[2]}:{stage.location.line})"


def _name(stage: StageView) -> str:
    return stage.name or stage.op


def as_change(profile: Profile, finding: Finding) -> str:
    """A change that somebody can make by hand: ``train.py:12 num_parallel_calls: 1 → 8``; its title without one."""
    stage = next((stage for stage in profile.stages or () if stage.id == finding.stage), None)
    place = stage_place(stage) if stage is not None else None
    kept = finding.cache
    memory = f", {size(kept.sample_bytes)} of this sample in memory" if kept and kept.sample_bytes is not None else ""
    if kept is not None and kept.bytes is not None:
        memory = f", {size(kept.bytes)} in memory"
    # What is left out of a short line comes after a semicolon.
    first, semicolon, more = (finding.change or finding.title).partition(";")
    return "   ".join(filter(None, (place, f"{first}{memory}{semicolon}{more}")))


def which_change(profile: Profile, finding: Finding) -> str:
    """A change with the stage that it is made at, where its words name none."""
    words = finding.change or finding.title
    stages = profile.stages or ()
    stage = next((stage for stage in stages if stage.id == finding.stage), None)
    named = any(re.search(rf"\b{re.escape(stage_name(one))}\b", words) for one in stages)
    return words if stage is None or named else f"{stage_label(stage)}: {words}"


def changed_source(
    target: Target | None, stages: Iterable[MadeStage], steps: Sequence[Sequence[PipelineEdit]]
) -> ChangedSource:
    """Make steps of changes in the text of the files whose calls made the stages, which come as written, in order.

    Raises CannotChangeSourceError where the text has no place for a change, or is not what was measured.
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

    Raises CannotChangeSourceError where it is the target's, and was edited since.
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
