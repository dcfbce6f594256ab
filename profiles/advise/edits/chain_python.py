"""A finding's edits as Python: the calls that change, whole and in their new order."""

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
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.edits.line import EditedLines, LineError, LineItem, Path
from pipeprof.profiles.advise.edits.in_place import in_place, on_own_name, own_statement
from pipeprof.profiles.advise.edits.render import as_python, python_text
from pipeprof.profiles.advise.edits.snippets import function_name, new_stage_python, on_rows, source_call, stage_call
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import place_of, stage_name


@dataclass(eq=False)
class _Item(LineItem):
    """One stage of a chain that is being edited; ``python`` where a rule wrote it itself."""

    stage: StageView = field(kw_only=True)
    new: Mapping[str, Any] = field(default_factory=dict)
    python: str | None = None
    inserted: bool = False
    last: bool = False
    gone: bool = False

    @property
    def is_source(self) -> bool:
        """Whether it is one, and not a stage whose input is not known."""
        return not self.inserted and not self.stage.inputs and self.stage.id.split(".")[-2:-1] != ["stages"]

    def same(self, other: _Item) -> bool:
        """Whether both are written alike."""
        return all(getattr(self, name) == getattr(other, name) for name in ("stage", "new", "python", "inserted"))


class _Chain(EditedLines[_Item]):
    """Stages that read each other, whatever their addresses are; the first may be one whose input is not known."""

    def __init__(self, stages: Sequence[StageView]) -> None:
        items = [_Item(stage.op, self.path(stage.id), stage=stage) for stage in stages]
        unknown = [] if items[0].is_source else [_Item("", stage=StageView(id="", op=""))]
        super().__init__({(): [*unknown, *items]})
        self.head = stages[0]
        self.before = [changed(item) for item in self.lines[()]]

    def path(self, address: str) -> Path:
        return (address,)

    def new(self, stage: NewStage, edit: PipelineEdit) -> _Item:
        view = StageView(id="", op=stage.op, arguments=stage.arguments)
        return _Item(stage.op, stage=view, inserted=True, last=isinstance(edit, InsertStage) and edit.after is None)

    def apply(self, edit: PipelineEdit) -> None:
        if isinstance(edit, HandWritten):
            at, index = self.find(edit.stages[0])
            item = self.lines[at][index]
            item.python = edit.python
        else:
            super().apply(edit)

    def set_argument(self, item: _Item, edit: SetArgument) -> None:
        item.new = {**item.new, edit.argument: edit.value}

    def swap(self, at: Path, first: int, count: int, new: list[_Item]) -> None:
        """Write new stages; without any, a remark for each stage that goes."""
        old = self.lines[at][first : first + count]
        for item in old if not new else ():
            item.python = f"# remove .{item.stage.op}(…) ({place_of(item.stage.location) or item.stage.id})"
            item.gone = True
        for index, item in enumerate(new):
            replaced, stage = old[min(index, len(old) - 1)], NewStage(item.op, item.stage.arguments)
            source = replaced.is_source and index == 0
            python = new_stage_python(function_name(replaced.stage), stage, "tf.data.Dataset" if source else "dataset")
            item.stage, item.inserted = replaced.stage, replaced.inserted
            item.python = "\n".join(python)
        super().swap(at, first, count, new or old)


_OWN_LINES = (SetEnvironment, VectoriseMap, MoveFilter)
"""Edits that are no change of stages next to each other as they are written."""


def python_of(view: PipelineView, edits: Sequence[PipelineEdit]) -> str | None:
    """The edits as Python; ``None`` for none.

    Stages next to each other that change are written out as they stand afterwards, with everything that was written in
    them; stages between two of them are included.
    """
    python: list[str] = []
    chains: dict[str, _Chain] = {}
    options: dict[str, Any] = {}
    for edit in edits:
        if isinstance(edit, SetOption):
            options[edit.path] = edit.value
        elif isinstance(edit, VectoriseMap) and (lines := _on_batches(view, edit)):
            python.append(lines)
        elif isinstance(edit, _OWN_LINES) or _has_source(edit) or not _joins(chains, view, edit):
            python.append(as_python(edit))
    python += _of_all(view, list(chains.values()))
    if options:
        python = _with_options(view, options, python)
    return "\n".join(python) or None


def _on_batches(view: PipelineView, edit: VectoriseMap) -> str:
    """A map on whole batches with the stages that it follows; empty where the pipeline does not show them."""
    stage = view.by_id.get(edit.stage)
    chain = _chain(view, stage) if stage is not None else []
    names = [one.id for one in chain]
    if stage is None or stage.written is not None or edit.batch not in names:
        return ""
    moved = chain[names.index(edit.stage) + 1 : names.index(edit.batch) + 1]
    calls = "".join(stage_call(one, one.arguments) for one in moved)
    calls += f".map({on_rows(stage)}, num_parallel_calls=tf.data.AUTOTUNE)"
    return in_place(view.texts, [stage, *moved], calls, variable=_variable(view, chain[0]))


def _at(edit: PipelineEdit, view: PipelineView) -> str:
    if isinstance(edit, InsertStage):
        return edit.after or (view.root.id if view.root is not None else "")
    if isinstance(edit, ReplaceStages | HandWritten):
        return edit.stages[0]
    return getattr(edit, "stage", "")


def _has_source(edit: PipelineEdit) -> bool:
    """Whether a text of a user's part begins with a source of its own, so that it goes before the stages."""
    return isinstance(edit, HandWritten) and (len(edit.stages) > 1 or edit.yaml.startswith("source:"))


def _joins(chains: dict[str, _Chain], view: PipelineView, edit: PipelineEdit) -> bool:
    """Make an edit in the chain that it is about; false where that does not have its stages."""
    stage = view.by_id.get(_at(edit, view))
    if stage is None:
        return False
    stages = _chain(view, stage)
    chain = chains.setdefault(stages[0].id, _Chain(stages))
    try:
        chain.apply(edit)
    except LineError:
        return False
    return True


def _head(view: PipelineView, stage: StageView) -> StageView:
    """The stage with which the chain begins that ``stage`` stands in."""
    seen = {stage.id}
    below = view.input_of(stage)
    while below is not None and below.id not in seen:
        seen.add(below.id)
        stage, below = below, view.input_of(below)
    return stage


def _chain(view: PipelineView, stage: StageView) -> list[StageView]:
    """The stages of one pipeline in the order of the data, up to its end or to where another one joins it."""
    at = _head(view, stage)
    found, seen = [at], {at.id}
    while True:
        readers = [stage for stage in view.readers(at) if not stage.injected and len(stage.inputs) == 1]
        if len(readers) != 1 or readers[0].id in seen:
            return found
        at = readers[0]
        seen.add(at.id)
        found.append(at)


def _of_all(view: PipelineView, chains: Sequence[_Chain]) -> list[str]:
    """Return the lines of all chains; those that one line of the user's code makes, and that change alike, once."""
    found: dict[tuple[str, ...], list[list[str]]] = {}
    changed_lines = [_changed(view, chain) for chain in chains]
    ends = {lines[-1].rpartition("  # ")[2]: lines[-1] for lines in changed_lines if lines}
    # Two changes of one statement have no common form.
    if any(lines and ends[lines[-1].rpartition("  # ")[2]] != lines[-1] for lines in changed_lines):
        changed_lines = [_changed(view, chain, own=False) for chain in chains]
    for chain, lines in zip(chains, changed_lines, strict=True):
        name = _variable(view, chain.head)
        alike = [re.sub(rf"\b{name}\b", "dataset", line) for line in lines]
        found.setdefault((place_of(chain.head.location) or chain.head.id, *alike), []).append(lines)
    return [line for (_, *alike), each in found.items() for line in (alike if len(each) > 1 else each[0])]


def _changed(view: PipelineView, chain: _Chain, *, own: bool = True) -> list[str]:
    """Return the lines between the unchanged beginning and the unchanged end."""
    before, after = chain.before, chain.lines[()]
    most = min(len(before), len(after))
    start = next((index for index in range(most) if not before[index].same(after[index])), most)
    end = next((index for index in range(most - start) if not before[-1 - index].same(after[-1 - index])), most - start)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    written = _own_lines(view, before[:start], old, new) if own else None
    if written is not None:
        return written
    where = _where(before, old, new, start)
    name = _variable(view, chain.head)
    return [
        line
        for index, item in enumerate(new)
        for line in _item_python(item, name, where if index == 0 and not item.gone else "")
    ]


_RETURN = re.compile(r"(?P<calls>return [\w.]+\(.*\))(?P<remark>  # .*)?")
"""A statement that returns what calls give."""
_WITH_OPTIONS = "dataset = dataset.with_options(options)"
_CALLS = re.compile(r"dataset = (?P<calls>\S.*)")


def _own_lines(
    view: PipelineView, before: Sequence[_Item], old: Sequence[_Item], new: Sequence[_Item]
) -> list[str] | None:
    """The same in the statement of the user's file; None where that does not show it."""
    stages = [item.stage for item in old or before[-1:]]
    written: list[str] = []
    calls = ""
    for item in new:
        *lines, last = _item_python(item, "dataset", "") or [""]
        found = _CALLS.fullmatch(last)
        if found is not None:
            written += lines
            calls += found["calls"].removeprefix("dataset") if calls or not item.is_source else found["calls"]
        elif not item.gone:
            return None
    source = bool(old) and old[0].is_source
    if "  # " in calls or (calls.startswith(".") if calls else not source) == source:
        return None
    statement = own_statement(view.texts, stages, calls, source=source, after=not old)
    return [*written, statement] if statement is not None else None


def _where(before: Sequence[_Item], old: Sequence[_Item], new: Sequence[_Item], start: int) -> str:
    if not old:
        return "at the end" if all(item.last for item in new) else f"after {_place(before[start - 1].stage)}"
    ids = [item.stage.id for item in old]
    if len(ids) == 1:
        return _place(old[0].stage)
    several = _stretch(old[0].stage, old[-1].stage)
    moved = [item.stage.id for item in new if not item.inserted] != ids
    return f"{several}, now in this order" if moved else several


def _place(stage: StageView) -> str:
    """Where a stage is written; its address where that is not known."""
    place = place_of(stage.location)
    return f"{stage_name(stage)}, {place}" if place else stage.id


def _stretch(first: StageView, last: StageView) -> str:
    """Where several stages are written."""
    begin, end = first.location, last.location
    if begin is None or end is None or begin.file != end.file:
        return f"{_place(first)} to {_place(last)}"
    return f"lines {begin.line} to {end.line}" if begin.line < end.line else str(place_of(begin))


def _variable(view: PipelineView, head: StageView) -> str:
    """Name the dataset of a chain: the side of a zip by its number, ``inner`` for one that a function makes."""
    parts = head.id.split(".")
    for word in ("inputs", "datasets"):
        if word in parts:
            side = parts[len(parts) - parts[::-1].index(word)]
            return f"side_{side}"
    return "inner" if head.owner is not None and head.owner in view.by_id else "dataset"


def _item_python(item: _Item, name: str, remark: str) -> list[str]:
    if item.python is not None:
        # A rule writes its own lines for the pipeline itself.
        lines = [re.sub(r"\bdataset = dataset\.", f"{name} = {name}.", line) for line in item.python.splitlines()]
    else:
        given = {**item.stage.arguments, **item.new}
        new = source_call(item.stage, given) if item.is_source else f"{name}{stage_call(item.stage, given)}"
        lines = [f"{name} = {new}"]
    if remark and lines and "  # " not in lines[0]:
        lines = [f"{lines[0]}  # {remark}", *lines[1:]]
    return lines


def _with_options(view: PipelineView, options: Mapping[str, Any], python: Sequence[str]) -> list[str]:
    """Lines, none or those of other edits, and those that give the pipeline options."""
    lines = ["options = tf.data.Options()"]
    lines += [f"options.{path} = {python_text(value)}" for path, value in options.items()]
    end = [view.root] if view.root is not None else []
    if not python:
        own = own_statement(view.texts, end, ".with_options(options)", after=True)
        return [*lines, own or _on_own_name(view, end)]
    *before, last = python
    returned = _RETURN.fullmatch(last)
    if returned is not None:
        # What stands after it never runs.
        return [*before, *lines, f"{returned['calls']}.with_options(options){returned['remark'] or ''}"]
    return [*python, *lines, _on_own_name(view, end)]


def _on_own_name(view: PipelineView, end: Sequence[StageView]) -> str:
    place = end[0].location if end else None
    if place is None or not view.texts.get(place.file):
        return _WITH_OPTIONS
    # The lines before it are on the user's name as well.
    return f"{on_own_name(_WITH_OPTIONS, view.texts[place.file], place, end[0].op)}  # at the end, {place_of(place)}"
