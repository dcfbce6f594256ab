"""A view with the edits of a finding applied, as far as a view allows it.

The measured times stay those of before, except where an edit says otherwise: a rule that still speaks then does not
look at what its own fix changes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from unit.advise.views import stage

from pipeprof.pipelines.changes.edits import (
    HandWritten,
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.spec.yaml.reader import read
from pipeprof.profiles.view.view import PipelineView, StageView


def edited(view: PipelineView, edits: Sequence[PipelineEdit]) -> PipelineView:
    """The view after the edits, in order; the stages keep their addresses."""
    stages = list(view.stages)
    options = dict(view.options)
    for edit in edits:
        if isinstance(edit, SetOption):
            options[edit.path] = edit.value
        elif isinstance(edit, SetArgument):
            stages = [_with(one, edit) if one.id == edit.stage else one for one in stages]
        elif isinstance(edit, InsertStage):
            stages = _inserted(view, stages, edit)
        elif isinstance(edit, MoveStage):
            stages = _moved(stages, edit)
        elif isinstance(edit, VectoriseMap):
            stages = _moved(stages, MoveStage(edit.batch, "batch", before=edit.stage))
        elif isinstance(edit, HandWritten) and (len(edit.stages) > 1 or edit.yaml.startswith("source:")):
            stages = _rewritten(stages, edit)
        elif isinstance(edit, HandWritten | ReplaceStages):
            stages = _replaced(stages, edit)
    return replace(view, stages=tuple(stages), options=options)


def _with(one: StageView, edit: SetArgument) -> StageView:
    changed = replace(one, arguments={**one.arguments, edit.argument: edit.value})
    if edit.argument == "num_parallel_calls" and changed.measured is not None:
        runs = {"parallelism": float(edit.value), "tunable": False, "tf_op": "ParallelMapDatasetV2"}
        row = changed.measured.model_copy(update=runs)
        changed = replace(changed, executed_op="ParallelMapDatasetV2", made_parallel=False, measured=row)
    return changed


def _read_by(stages: Sequence[StageView], old: str, new: str, *but: str) -> list[StageView]:
    """Whatever reads one stage reads another."""
    return [
        one if one.id in but else replace(one, inputs=tuple(new if source == old else source for source in one.inputs))
        for one in stages
    ]


def _inserted(view: PipelineView, stages: Sequence[StageView], edit: InsertStage) -> list[StageView]:
    before = edit.after or (view.root.id if view.root is not None else "")
    anchor = next(one for one in stages if one.id == before)
    base = before.rpartition("stages.")[0] if "stages." in before else before.removesuffix("source")
    tf_op = "PrefetchDataset" if edit.op == "prefetch" else None
    added = stage(f"{base}stages.{90 + len(stages)}", edit.op, tf_op=tf_op, ms=0.01, arguments=edit.arguments)
    added = replace(added, inputs=(before,), owner=anchor.owner, element=anchor.element, elements=anchor.elements)
    if anchor.measured is not None and added.measured is not None:
        added = replace(added, measured=added.measured.model_copy(update={"elements": anchor.measured.elements}))
    else:
        added = replace(added, measured=None, executed_op=None)
    found = _read_by(stages, before, added.id)
    place = next(index for index, one in enumerate(found) if one.id == before)
    return [*found[: place + 1], added, *found[place + 1 :]]


def _moved(stages: Sequence[StageView], edit: MoveStage) -> list[StageView]:
    moving = next(one for one in stages if one.id == edit.stage)
    rest = _read_by([one for one in stages if one.id != edit.stage], moving.id, moving.inputs[0])
    target = next(one for one in rest if one.id == edit.before)
    given = next(one for one in rest if one.id == target.inputs[0])
    moving = replace(moving, inputs=target.inputs, element=_same_kind(moving, given), elements=given.elements)
    rest = [replace(one, inputs=(moving.id,)) if one.id == target.id else one for one in rest]
    place = next(index for index, one in enumerate(rest) if one.id == target.id)
    return [*rest[:place], moving, *rest[place:]]


def _same_kind(moving: StageView, given: StageView) -> Any:
    size = moving.arguments.get("batch_size")
    if size is None or given.element is None:
        return given.element
    return tuple(replace(one, shape=(size, *(one.shape or ()))) for one in given.element)


def _replaced(stages: Sequence[StageView], edit: HandWritten | ReplaceStages) -> list[StageView]:
    old = next(one for one in stages if one.id == edit.stages[0])
    if isinstance(edit, ReplaceStages) and not edit.by:
        return _read_by([one for one in stages if one.id != old.id], old.id, old.inputs[0])
    # What the new code does is not known, nor what it takes.
    row = old.measured.model_copy(update={"time_ms_per_batch": None}) if old.measured is not None else None
    new = replace(old, function=None, measured=row, source_bytes=None, constant=None)
    return [new if one.id == old.id else one for one in stages]


def _rewritten(stages: Sequence[StageView], edit: HandWritten) -> list[StageView]:
    data = read(re.sub(r"<\w+>", "100", edit.yaml)).data
    assert isinstance(data, dict)
    ops = [*data.get("source", {}), *(op for item in data.get("stages", []) for op in item)]
    last = next(one for one in stages if one.id == edit.stages[-1])
    first = next(one for one in stages if one.id == edit.stages[0])
    made: list[StageView] = []
    for index, op in enumerate(ops):
        inputs = (made[-1].id,) if made else first.inputs
        made.append(replace(stage(f"stages.{80 + index}", op), id=f"new.{index}", inputs=inputs, measured=None))
    made[-1] = replace(made[-1], element=last.element, elements=last.elements)
    rest = _read_by([one for one in stages if one.id not in edit.stages], last.id, made[-1].id)
    return [*made, *rest]
