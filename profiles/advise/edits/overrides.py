"""Edits as ``--set PATH=VALUE`` flags, for the edits that a flag expresses exactly."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.addresses import join, pipeline_of
from pipeprof.pipelines.spec.yaml.writer import flow
from pipeprof.profiles.advise.edits.edits import (
    InsertStage,
    MoveStage,
    ProposedEdit,
    ReplaceStage,
    Rewrite,
    SetArgument,
    SetOption,
    plain_data,
)
from pipeprof.profiles.view.view import PipelineView, StageView

_LABEL = re.compile(r"[A-Za-z_][\w-]*")
_REFERENCE = "${"


class _NotExpressible(Exception):
    """An edit that flags cannot make."""


@dataclass(eq=False)
class _Stage:
    """A stage of the spec while flags change the list that holds it."""

    op: str
    arguments: dict[str, Any]
    address: str = ""

    @property
    def name(self) -> str | None:
        name = self.arguments.get("name")
        return name if isinstance(name, str) else None


def overrides(view: PipelineView, edits: Sequence[ProposedEdit]) -> list[str]:
    """Return the ``--set`` values that apply the edits to the spec, in the order in which they are given.

    Returns:
        Empty where the pipeline has no spec, or where one of the edits needs code or a part that no flag expresses.
    """
    if not any(stage.written is not None for stage in view.stages):
        return []
    try:
        flags = _flags(view, edits)
    except _NotExpressible:
        return []
    return [] if any(_REFERENCE in flag for flag in flags) else flags


def _flags(view: PipelineView, edits: Sequence[ProposedEdit]) -> list[str]:
    lists = _stage_lists(view)
    moved = {edit.stage for edit in edits if isinstance(edit, MoveStage)}
    for edit in edits:
        if isinstance(edit, SetArgument) and edit.stage in moved:
            # The stage is written anew where it moves to.
            _find(lists, edit.stage)[2].arguments[edit.argument] = edit.value
    flags: list[str] = []
    for edit in edits:
        if isinstance(edit, SetOption):
            flags.append(f"options.{edit.path}={_value(edit.value)}")
        elif isinstance(edit, SetArgument):
            if edit.stage not in moved:
                path = _source_or_stage_path(view, lists, edit.stage)
                flags.append(f"{path}.{edit.argument}={_value(edit.value)}")
        elif isinstance(edit, InsertStage):
            flags.append(_insert(view, lists, edit))
        elif isinstance(edit, MoveStage):
            flags += _move(view, lists, edit)
        elif isinstance(edit, ReplaceStage) and edit.removes:
            path, stages, stage = _find(lists, edit.stage)
            flags.append(f"{_path(view, path)}.{_label(stages, stage)}=null")
            stages.remove(stage)
        elif isinstance(edit, ReplaceStage) and edit.arguments is not None:
            path, stages, stage = _find(lists, edit.stage)
            stage.arguments = edit.arguments
            stage_text = flow(plain_data({stage.op: stage.arguments}))
            flags.append(f"{_path(view, path)}.{_label(stages, stage)}={stage_text}")
        else:
            raise _NotExpressible
    return flags


def _stage_lists(view: PipelineView) -> dict[str, list[_Stage]]:
    """The stages of each pipeline by its address; the empty one is the spec's own."""
    lists: dict[str, list[_Stage]] = {}
    for stage in view.stages:
        if stage.written is None or stage.injected or not re.search(r"(?:^|\.)stages\.\d+$", stage.id):
            continue
        lists.setdefault(pipeline_of(stage.id), []).append(_Stage(stage.op, dict(stage.written), stage.id))
    for path, stages in lists.items():
        stages.sort(key=lambda stage: int(stage.address.rpartition(".")[2]))
        if [stage.address for stage in stages] != [join(path, "stages", index) for index in range(len(stages))]:
            # Indices would not be those of the spec.
            raise _NotExpressible
    return lists


def _find(lists: Mapping[str, list[_Stage]], address: str) -> tuple[str, list[_Stage], _Stage]:
    """The address of the pipeline that holds a stage, the pipeline's stages, and the stage."""
    path = pipeline_of(address)
    stages = lists.get(path, [])
    stage = next((other_stage for other_stage in stages if other_stage.address == address), None)
    if stage is None:
        raise _NotExpressible
    return path, stages, stage


def _path(view: PipelineView, pipeline: str) -> str:
    """The path of a pipeline's list of stages."""
    if pipeline and not _is_spec_stage(view, pipeline):
        raise _NotExpressible
    return join(pipeline, "stages")


def _is_spec_stage(view: PipelineView, pipeline: str) -> bool:
    """Whether the pipeline stands in a stage that the spec has."""
    return any(
        stage.written is not None and (pipeline == stage.id or pipeline.startswith(f"{stage.id}."))
        for stage in view.stages
    )


def _source_or_stage_path(view: PipelineView, lists: Mapping[str, list[_Stage]], address: str) -> str:
    if address in view.by_id and address.rpartition(".")[2] == "source":
        if view.by_id[address].written is None:
            raise _NotExpressible
        return address
    path, stages, stage = _find(lists, address)
    return f"{_path(view, path)}.{_label(stages, stage)}"


def _label(stages: Sequence[_Stage], stage: _Stage) -> str:
    """The name of a stage, else its op where that is unique, else its index."""
    name = stage.name
    names = [other_stage.name for other_stage in stages]
    ops = [other_stage.op for other_stage in stages]
    if name is not None and _LABEL.fullmatch(name) and names.count(name) == 1:
        return name
    if stage.op not in names and ops.count(stage.op) == 1:
        return stage.op
    return str(next(index for index, one in enumerate(stages) if one is stage))


def _insert(view: PipelineView, lists: dict[str, list[_Stage]], edit: InsertStage) -> str:
    anchor = edit.after or (view.root.id if view.root is not None else "")
    if anchor not in view.by_id or view.by_id[anchor].written is None:
        raise _NotExpressible
    pipeline = pipeline_of(anchor)
    stages = lists.setdefault(pipeline, [])
    index = len(stages)
    if edit.after is not None:
        index = 0 if anchor.rpartition(".")[2] == "source" else stages.index(_find(lists, anchor)[2]) + 1
    return _insert_at(view, pipeline, stages, index, _Stage(edit.op, dict(edit.arguments)))


def _insert_at(view: PipelineView, pipeline: str, stages: list[_Stage], index: int, stage: _Stage) -> str:
    place = "" if index == len(stages) else _label(stages, stages[index])
    stages.insert(index, stage)
    return f"{_path(view, pipeline)}.+{place}={flow(plain_data({stage.op: stage.arguments}))}"


def _move(view: PipelineView, lists: dict[str, list[_Stage]], edit: MoveStage) -> list[str]:
    path, stages, stage = _find(lists, edit.stage)
    _, others, before = _find(lists, edit.before)
    if others is not stages:
        raise _NotExpressible
    removed = f"{_path(view, path)}.{_label(stages, stage)}=null"
    stages.remove(stage)
    return [removed, _insert_at(view, path, stages, stages.index(before), stage)]


def _value(value: Any) -> str:
    return flow(plain_data(value))


def describe_change(view: PipelineView, edits: Sequence[ProposedEdit], detail: str | None = None) -> str | None:
    """Return the edits in one line.

    Args:
        view: The pipeline that they change.
        edits: The edits.
        detail: What the change means in numbers, e.g. ``200 × 0.3 KiB instead of 200 × 588 KiB``.

    Returns:
        ``None`` where one of the edits is a rewrite that no line describes.

    Example:
        ``"num_parallel_calls: 1 → 8"``, ``"insert prefetch(buffer_size=AUTOTUNE) after decode"``
    """
    several = len({edit.stage for edit in edits if isinstance(edit, SetArgument)}) > 1
    parts = [_describe(view, edit, named=several) for edit in edits]
    known = [part for part in parts if part]
    if not known or len(known) < len(parts):
        return None
    line = ", ".join(dict.fromkeys(known))
    return f"{line}: {detail}" if detail else line


def _describe(view: PipelineView, edit: ProposedEdit, *, named: bool) -> str | None:
    if isinstance(edit, SetArgument):
        stage = view.by_id.get(edit.stage)
        now = {**stage.arguments, **(stage.written or {})}.get(edit.argument) if stage is not None else None
        where = f"{_stage_words(view, edit.stage, edit.op)}: " if named else ""
        return f"{where}{edit.argument}: {_shown(now)} → {_shown(edit.value)}"
    if isinstance(edit, SetOption):
        return f"options.{edit.path}: {_shown(view.options.get(edit.path))} → {_shown(edit.value)}"
    return _describe_stages(view, edit)


def _describe_stages(view: PipelineView, edit: ProposedEdit) -> str | None:
    """An edit that changes which stages there are, or their order."""
    if isinstance(edit, MoveStage):
        return f"move {_stage_words(view, edit.stage, edit.op)} before {_stage_words(view, edit.before)}"
    if isinstance(edit, InsertStage):
        given = ", ".join(f"{name}={_shown(value)}" for name, value in edit.arguments.items())
        where = f"after {_stage_words(view, edit.after)}" if edit.after else "at the end"
        return f"insert {edit.op}({given}) {where}"
    if isinstance(edit, ReplaceStage) and edit.removes:
        return f"remove {_stage_words(view, edit.stage)}"
    if isinstance(edit, ReplaceStage | Rewrite) and edit.summary:
        first = edit.stage if isinstance(edit, ReplaceStage) else edit.stages[0]
        return edit.summary.format(stage=_stage_words(view, first))
    return None


def _shown(value: Any) -> str:
    return "not set" if value is None else flow(plain_data(value))


def _stage_words(view: PipelineView, address: str, op: str = "") -> str:
    """The name of a stage, with its place where another one has the same name."""
    stage = view.by_id.get(address)
    if stage is None:
        return op or address
    name = _name(stage)
    if [_name(other_stage) for other_stage in view.stages if not other_stage.injected].count(
        name
    ) == 1 or stage.location is None:
        return name
    return f"{name} ({stage.location.file.rpartition('/')[2]}:{stage.location.line})"


def _name(stage: StageView) -> str:
    return stage.name or stage.op
