"""A finding's edits as one piece of YAML and one of Python: the stages that change, whole and in their new order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from typing import Any

from pipeprof.pipelines.edits.edits import (
    HandWritten,
    InsertStage,
    MoveFilter,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseFilter,
    VectoriseMap,
    nested_options,
)
from pipeprof.profiles.advise.edits.changed_yaml import changed_yaml
from pipeprof.profiles.advise.edits.overrides import written_spec
from pipeprof.profiles.advise.edits.render import as_python, as_yaml, python_text, yaml_text
from pipeprof.profiles.advise.edits.snippets import (
    arguments_of,
    function_name,
    new_stage_python,
    source_yaml,
    stage_call,
    stage_yaml,
)
from pipeprof.profiles.view.view import PipelineView, StageView


@dataclass(frozen=True)
class _Item:
    """One stage of a pipeline that is being edited; ``yaml`` and ``python`` where a rule wrote them itself."""

    stage: StageView
    new: Mapping[str, Any] = field(default_factory=dict)
    yaml: str | None = None
    python: str | None = None
    inserted: bool = False
    last: bool = False
    gone: bool = False

    @property
    def is_source(self) -> bool:
        """Whether it is one, and not a stage whose input is not known."""
        return not self.inserted and not self.stage.inputs and self.stage.id.split(".")[-2:-1] != ["stages"]


_OWN_LINES = (SetEnvironment, VectoriseMap, VectoriseFilter, MoveFilter)
"""Edits that are no change of stages next to each other as they are written."""


def proposal(view: PipelineView, edits: Sequence[PipelineEdit]) -> tuple[str | None, str | None]:
    """The edits as YAML and as Python; ``None`` for none.

    Stages next to each other that change are written out as they stand afterwards, with everything that was written in
    them; stages between two of them are included.
    """
    yaml: list[str] = []
    python: list[str] = []
    chains: dict[str, tuple[list[_Item], list[_Item]]] = {}
    options: dict[str, Any] = {}
    for edit in edits:
        if isinstance(edit, SetOption):
            options[edit.path] = edit.value
        elif isinstance(edit, _OWN_LINES) or _has_source(edit) or not _places(edit, view):
            yaml.append(changed_yaml(written_spec(view), edit) or as_yaml(edit))
            python.append(as_python(edit))
        else:
            at = view.by_id[_at(edit, view)]
            chain = _chain(view, at)
            _apply(chains.setdefault(chain[0].stage.id, (chain, list(chain)))[1], edit)
    for before, after in chains.values():
        one, other = _changed(view, before, after)
        yaml += one
        python += other
    if options:
        # Those that were set before among them: a spec has the key once.
        yaml.append(f"options: {yaml_text(nested_options({**view.options, **options}))}")
        python += _options_python(options)
    return "\n".join(yaml) or None, "\n".join(python) or None


def _at(edit: PipelineEdit, view: PipelineView) -> str:
    if isinstance(edit, InsertStage):
        return edit.after or (view.root.id if view.root is not None else "")
    if isinstance(edit, ReplaceStages | HandWritten):
        return edit.stages[0]
    return getattr(edit, "stage", "")


def _has_source(edit: PipelineEdit) -> bool:
    """Whether a text of a user's part begins with a source of its own, so that it goes before the stages."""
    return isinstance(edit, HandWritten) and (len(edit.stages) > 1 or edit.yaml.startswith("source:"))


def _places(edit: PipelineEdit, view: PipelineView) -> bool:
    """Whether all stages that it names are there."""
    before = edit.before if isinstance(edit, MoveStage) else None
    return _at(edit, view) in view.by_id and (before is None or before in view.by_id)


def _head(view: PipelineView, stage: StageView) -> StageView:
    """The stage with which the chain begins that ``stage`` stands in."""
    seen = {stage.id}
    below = view.input_of(stage)
    while below is not None and below.id not in seen:
        seen.add(below.id)
        stage, below = below, view.input_of(below)
    return stage


def _chain(view: PipelineView, stage: StageView) -> list[_Item]:
    """The stages of one pipeline in the order of the data, up to its end or to where another one joins it."""
    at = _head(view, stage)
    found, seen = [at], {at.id}
    while True:
        readers = [
            other_stage for other_stage in view.readers(at) if not other_stage.injected and len(other_stage.inputs) == 1
        ]
        if len(readers) != 1 or readers[0].id in seen:
            return [_Item(other_stage) for other_stage in found]
        at = readers[0]
        seen.add(at.id)
        found.append(at)


def _apply(items: list[_Item], edit: PipelineEdit) -> None:
    place = {item.stage.id: index for index, item in enumerate(items)}
    if isinstance(edit, InsertStage):
        stage = StageView(id="", op=edit.op, arguments=edit.arguments)
        items.insert(
            place[edit.after] + 1 if edit.after else len(items), _Item(stage, inserted=True, last=edit.after is None)
        )
    elif isinstance(edit, SetArgument):
        item = items[place[edit.stage]]
        items[place[edit.stage]] = changed(item, new={**item.new, edit.argument: edit.value})
    elif isinstance(edit, HandWritten):
        at = place[edit.stages[0]]
        items[at] = changed(items[at], yaml=edit.yaml, python=edit.python)
    elif isinstance(edit, ReplaceStages):
        at = place[edit.stages[0]]
        items[at : at + len(edit.stages)] = _replaced(items[at : at + len(edit.stages)], edit)
    elif isinstance(edit, MoveStage):
        item = items.pop(place[edit.stage])
        index = next(index for index, other in enumerate(items) if other.stage.id == edit.before)
        items.insert(index, item)


def _replaced(items: Sequence[_Item], edit: ReplaceStages) -> list[_Item]:
    """The items of new stages; without any, a remark for each stage that goes."""
    if not edit.by:
        return [
            changed(
                item,
                yaml=f"# remove {item.stage.op} ({item.stage.id})",
                python=f"# remove .{item.stage.op}(…) ({item.stage.id})",
                gone=True,
            )
            for item in items
        ]
    found = []
    for index, new in enumerate(edit.by):
        item = items[min(index, len(items) - 1)]
        source = item.is_source and index == 0
        make = source_yaml if source else stage_yaml
        python = new_stage_python(function_name(item.stage), new, "tf.data.Dataset" if source else "dataset")
        found.append(changed(item, yaml="\n".join(make(new.op, new.arguments)), python="\n".join(python)))
    return found


def _changed(view: PipelineView, before: Sequence[_Item], after: Sequence[_Item]) -> tuple[list[str], list[str]]:
    """What lies between the unchanged beginning and the unchanged end, as YAML and Python."""
    most = min(len(before), len(after))
    start = next((index for index in range(most) if before[index] != after[index]), most)
    end = next((index for index in range(most - start) if before[-1 - index] != after[-1 - index]), most - start)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    where = _where(before, old, new, start)
    name = _variable(view, before[0].stage)
    yaml, python = [], []
    for index, item in enumerate(new):
        remark = where if index == 0 and not item.gone else ""
        yaml += _item_yaml(item, remark)
        python += _item_python(item, name, remark)
    if new and new[0].is_source and len(new) > 1:
        yaml = _with_source(yaml, new)
    return yaml, python


def _where(before: Sequence[_Item], old: Sequence[_Item], new: Sequence[_Item], start: int) -> str:
    if not old:
        return "at the end" if all(item.last for item in new) else f"after {before[start - 1].stage.id}"
    ids = [item.stage.id for item in old]
    if len(ids) == 1:
        return ids[0]
    several = f"{ids[0]} to {ids[-1]}"
    moved = [item.stage.id for item in new if not item.inserted] != ids
    return f"{several}, now in this order" if moved else several


def _variable(view: PipelineView, head: StageView) -> str:
    """What Python calls the dataset of a chain: the side of a zip by its number, what a function makes ``inner``."""
    parts = head.id.split(".")
    for word in ("inputs", "datasets"):
        if word in parts:
            side = parts[len(parts) - parts[::-1].index(word)]
            return f"side_{side}"
    return "inner" if head.owner is not None and head.owner in view.by_id else "dataset"


def _item_yaml(item: _Item, remark: str = "") -> list[str]:
    if item.yaml is not None:
        lines = item.yaml.splitlines()
    else:
        arguments = {**arguments_of(item.stage), **item.new}
        make = source_yaml if item.is_source else stage_yaml
        lines = make(item.stage.op, arguments)
    if remark and lines and "   # " not in lines[0]:
        lines = [f"{lines[0]}   # {remark}", *lines[1:]]
    return lines


def _item_python(item: _Item, name: str, remark: str) -> list[str]:
    if item.python is not None:
        # A rule writes its own lines for the pipeline itself.
        lines = [re.sub(r"\bdataset = dataset\.", f"{name} = {name}.", line) for line in item.python.splitlines()]
    else:
        call = stage_call(item.stage, {**item.stage.arguments, **item.new})
        of = "tf.data.Dataset" if item.is_source else name
        lines = [f"{name} = {of}{call}"]
    if remark and lines and "  # " not in lines[0]:
        lines = [f"{lines[0]}  # {remark}", *lines[1:]]
    return lines


def _with_source(yaml: Sequence[str], new: Sequence[_Item]) -> list[str]:
    """The first lines under ``source:``, the others under ``stages:``."""
    count = len(_item_yaml(new[0]))
    source = [f"  {line}" for line in yaml[:count]]
    return ["source:", *source, "stages:", *(f"  {line}" for line in yaml[count:])]


def _options_python(options: Mapping[str, Any]) -> list[str]:
    lines = [f"options.{path} = {python_text(value)}" for path, value in options.items()]
    return ["options = tf.data.Options()", *lines, "dataset = dataset.with_options(options)"]
