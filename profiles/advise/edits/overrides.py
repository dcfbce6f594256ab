"""Edits as ``--set PATH=VALUE`` flags, for the edits that a flag expresses exactly; and edits in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pipeprof.pipelines.changes.in_words import in_words
from pipeprof.pipelines.edits.edits import MoveFilter, PipelineEdit, SetArgument, SetEnvironment, SetOption
from pipeprof.pipelines.spec.edits.apply_data import ListedStage, StageList, plain, plan
from pipeprof.pipelines.spec.edits.items import Final, staying
from pipeprof.pipelines.spec.edits.places import SOURCE, STAGES, EditError, Path, find, same, value_at
from pipeprof.pipelines.spec.overrides import apply_sets
from pipeprof.pipelines.spec.yaml.reader import read
from pipeprof.pipelines.spec.yaml.tree import flatten, grow, operation_key
from pipeprof.pipelines.spec.yaml.writer import flow
from pipeprof.profiles.view.view import PipelineView, StageView

_LABEL = re.compile(r"[A-Za-z_][\w-]*")
_REFERENCE = "${"


def overrides(view: PipelineView, edits: Sequence[PipelineEdit]) -> list[str]:
    """Return the ``--set`` values that apply the edits to the spec, in the order in which they are given.

    Returns:
        Empty where the pipeline has no spec, or where one of the edits needs code or a part that no flag expresses.
    """
    data = written_spec(view)
    return flags_of(data, edits) if data is not None else []


def flags_of(data: Mapping[str, Any], edits: Sequence[PipelineEdit]) -> list[str]:
    """Return the ``--set`` values that apply the edits to a spec's plain data; see `overrides`."""
    data = {key: data[key] for key in (SOURCE, STAGES) if key in data}
    if any(isinstance(edit, SetEnvironment) for edit in edits):
        return []
    try:
        found = plan(data, [edit for edit in edits if not isinstance(edit, SetOption)])
    except EditError:
        return []
    flags = _lists_flags(data, found.lists)
    if not _gives(data, flags, found.data):
        return []
    flags += [f"options.{edit.path}={_value(edit.value)}" for edit in edits if isinstance(edit, SetOption)]
    return [] if any(_REFERENCE in flag for flag in flags) else flags


def written_spec(view: PipelineView) -> dict[str, Any] | None:
    """The source and the stages of the spec that a view shows; ``None`` without one.

    What an edit does not name may be left out: a nested pipeline stands in the arguments of its stage.
    """
    data: dict[str, Any] = {}
    stages: dict[int, Any] = {}
    for stage in view.stages:
        if stage.written is None or stage.injected:
            continue
        value = plain({stage.op: stage.written})
        if stage.id == SOURCE:
            data[SOURCE] = value
        elif re.fullmatch(r"stages\.\d+", stage.id):
            stages[int(stage.id.rpartition(".")[2])] = value
    if not (data or stages) or sorted(stages) != list(range(len(stages))):
        # Indices would not be those of the spec.
        return None
    return {**data, STAGES: [stages[index] for index in range(len(stages))]}


def arguments_of(data: Mapping[str, Any], address: str) -> dict[str, Any] | None:
    """The arguments of a stage of a spec's main line, as they are written; None where they are no mapping."""
    stages = data.get(STAGES) or []
    index = int(address.rpartition(".")[2]) if address.startswith(f"{STAGES}.") else -1
    stage = stages[index] if 0 <= index < len(stages) else None
    key = operation_key(stage) if isinstance(stage, dict) else None
    arguments = stage[key] if isinstance(stage, dict) and key is not None else None
    return dict(arguments) if isinstance(arguments, dict) else None


def moved_as_written(view: PipelineView, edit: MoveFilter) -> bool | None:
    """Whether its function stays word for word; None where the pipeline has no spec, or a map of it is Python."""
    data = written_spec(view)
    if data is None:
        return None
    try:
        place = find(data, edit.stage)
        (found,) = plan(data, [edit]).lists.values()
    except EditError:
        return None
    before = value_at(data, place.path)
    after = next(item.value for item in found.items if item.origin == place.index)
    return bool(after[operation_key(after)] == before[operation_key(before)])


def _lists_flags(data: Any, lists: Mapping[Path, StageList]) -> list[str]:
    """The flags of all lists, the innermost first: the paths of the others are then those of before."""
    finals = {path: [_final(item) for item in found.items] for path, found in lists.items()}
    stay = {path: staying(items) for path, items in finals.items()}
    flags: list[str] = []
    for path in sorted(lists, key=len, reverse=True):
        if any(
            _inside(path, (*outer, STAGES, index)) for outer in lists for index in _moved(finals[outer], stay[outer])
        ):
            # The stage around it is written anew where it moves to.
            continue
        flags += _pipeline_flags(path, value_at(data, path), lists, stay[path])
    return flags


def _final(item: ListedStage) -> Final:
    return Final(item.origin, moved=item.moved)


def _moved(finals: Sequence[Final], stay: frozenset[int]) -> list[int]:
    return [final.origin for final in finals if final.origin is not None and final.origin not in stay]


def _inside(path: Path, outer: Path) -> bool:
    return path[: len(outer)] == outer


def _pipeline_flags(
    path: Path, before: Mapping[Any, Any], lists: Mapping[Path, StageList], stay: frozenset[int]
) -> list[str]:
    """The flags of one pipeline: its source, arguments of stages that stay, stages that go, those that come."""
    found = lists[path]
    inner = tuple(lists)
    flags: list[str] = []
    if SOURCE in before:
        here = (*path, SOURCE)
        flags += _value_flags(here, _flag_path(here), before[SOURCE], found.pipeline[SOURCE], inner)
    stages = list(before.get(STAGES) or [])
    now: list[tuple[int | None, Any]] = list(enumerate(stages))
    listed_at = _flag_path((*path, STAGES))
    for item in found.items:
        if item.origin is not None and item.origin in stay:
            label = f"{listed_at}.{_label(now, item.origin)}"
            here = (*path, STAGES, item.origin)
            flags += _value_flags(here, label, stages[item.origin], item.value, inner)
            now[item.origin] = (item.origin, item.value)
    kept = {item.origin for item in found.items}
    for index in range(len(stages)):
        if index not in kept:
            place = next(place for place, (origin, _) in enumerate(now) if origin == index)
            flags.append(f"{listed_at}.{_label(now, place)}=null")
            del now[place]
    for number, item in enumerate(found.items):
        if item.origin is not None and item.origin in stay:
            continue
        if item.origin is not None:
            place = next(place for place, (origin, _) in enumerate(now) if origin == item.origin)
            flags.append(f"{listed_at}.{_label(now, place)}=null")
            del now[place]
        after = next(
            (other for other in found.items[number + 1 :] if other.origin is not None and other.origin in stay), None
        )
        place = len(now)
        if after is not None:
            place = next(place for place, (origin, _) in enumerate(now) if origin == after.origin)
        before_it = "" if place == len(now) else _label(now, place)
        flags.append(f"{listed_at}.+{before_it}={_value(item.value)}")
        now.insert(place, (None, item.value))
    return flags


def _value_flags(path: Path, label: str, before: Any, after: Any, inner: Sequence[Path]) -> list[str]:
    """The arguments of a source or stage that differ; those with a changed pipeline in them have flags of their own."""
    key, new = operation_key(before), operation_key(after)
    if key is None or key != new:
        return [f"{label}={_value(after)}"]
    here = (*path, key)
    old, given = before[key] or {}, after[key] or {}
    flags = []
    # The label may be the name that changes.
    for name in sorted([*given, *(name for name in old if name not in given)], key="name".__eq__):
        if name in old and name in given and same(old[name], given[name]):
            continue
        if any(_inside(other, (*here, name)) or (other == here and name in (SOURCE, STAGES)) for other in inner):
            continue
        flags.append(f"{label}.{name}={_value(given.get(name))}")
    return flags


def _flag_path(path: Path) -> str:
    """The path that a flag has for a place: the name of an operation is left out."""
    parts: list[str] = []
    place = 0
    while place < len(path):
        parts.append(str(path[place]))
        if path[place] == STAGES and place + 1 < len(path):
            parts.append(str(path[place + 1]))
            place += 1
        place += 2 if path[place] == SOURCE or (isinstance(path[place], int) and path[place - 1] == STAGES) else 1
    return ".".join(parts)


def _label(stages: Sequence[tuple[int | None, Any]], place: int) -> str:
    """The name of a stage, else its operation where that is unique, else its index."""
    names = [_stage_name(value) for _, value in stages]
    ops = [str(operation_key(value)) for _, value in stages]
    name, op = names[place], ops[place]
    if name is not None and _LABEL.fullmatch(name) and names.count(name) == 1:
        return name
    return op if op not in names and ops.count(op) == 1 else str(place)


def _stage_name(value: Any) -> str | None:
    arguments = value[operation_key(value)]
    name = arguments.get("name") if isinstance(arguments, dict) else None
    return name if isinstance(name, str) else None


def _gives(data: Any, flags: Sequence[str], wanted: Any) -> bool:
    """Whether flags make of data what edits make of it."""
    document = read(flow(data))
    root = grow(document)
    return not apply_sets(root, flags, document.references) and same(flatten(root)[0], wanted)


def _value(value: Any) -> str:
    return flow(plain(value))


def describe_change(view: PipelineView, edits: Sequence[PipelineEdit], detail: str | None = None) -> str | None:
    """Return the edits in one line.

    Args:
        detail: What the change means in numbers, e.g. ``200 × 0.3 KiB instead of 200 × 588 KiB``.

    Returns:
        ``None`` where one of the edits is a rewrite that no line describes.

    Example:
        ``"num_parallel_calls: 1 → 8"``, ``"insert prefetch(buffer_size=AUTOTUNE) after decode"``
    """
    several = len({edit.stage for edit in edits if isinstance(edit, SetArgument)}) > 1
    parts = [in_words(edit, partial(_stage_words, view), _now(view, edit), named=several) for edit in edits]
    if not parts or None in parts:
        return None
    line = ", ".join(dict.fromkeys(filter(None, parts)))
    return f"{line}: {detail}" if detail else line


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
