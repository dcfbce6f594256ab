"""A stage as a spec has it after an edit of its function: a filter before maps, a function of whole batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.edits.edits import MoveFilter, PipelineEdit, VectoriseFilter, VectoriseMap
from pipeprof.pipelines.spec.edits.apply_data import plan
from pipeprof.pipelines.spec.edits.places import EditError, find, value_at
from pipeprof.pipelines.spec.yaml.tree import operation_key
from pipeprof.profiles.advise.edits.overrides import written_spec
from pipeprof.profiles.advise.edits.snippets import stage_yaml
from pipeprof.profiles.view.view import PipelineView


def moved_as_written(view: PipelineView, edit: MoveFilter) -> bool | None:
    """Whether its function stays word for word; None where the pipeline has no spec, or a map of it is Python."""
    data = written_spec(view)
    found = _arguments(data, edit) if data is not None else None
    if data is None or found is None:
        return None
    stage = value_at(data, find(data, edit.stage).path)
    return bool(found == stage[operation_key(stage)])


def changed_yaml(data: Mapping[str, Any] | None, edit: PipelineEdit) -> str | None:
    """The stage, or what takes its place, as it stands in the spec then.

    Returns:
        None for other edits, where the pipeline has no spec, and where the edit is not possible in it.
    """
    if data is None:
        return None
    if isinstance(edit, VectoriseFilter):
        return _masked(data, edit)
    found = _arguments(data, edit) if isinstance(edit, MoveFilter | VectoriseMap) else None
    if found is None:
        return None
    if isinstance(edit, MoveFilter):
        return _lines("filter", found, f"{edit.stage}, before {edit.before}")
    return _lines("map", found, f"{edit.stage}, moved after {edit.batch}") if isinstance(edit, VectoriseMap) else None


def _masked(data: Mapping[str, Any], edit: VectoriseFilter) -> str | None:
    try:
        (found,) = plan(data, [edit]).lists.values()
    except EditError:
        return None
    stages = [(str(operation_key(one.value)), one.value) for one in found.items if one.replaces]
    remarks = (f"instead of {edit.stage} and {edit.batch}", *("" for _ in stages))
    return "\n".join(_lines(op, value[op], remark) for (op, value), remark in zip(stages, remarks, strict=False))


def _lines(op: str, arguments: Mapping[str, Any], remark: str) -> str:
    first, *others = stage_yaml(op, arguments)
    return "\n".join([f"{first}   # {remark}" if remark else first, *others])


def _arguments(data: Mapping[str, Any], edit: MoveFilter | VectoriseMap) -> Mapping[str, Any] | None:
    """The arguments of the stage after the edit."""
    try:
        place = find(data, edit.stage)
        (found,) = plan(data, [edit]).lists.values()
    except EditError:
        return None
    stage = next(item.value for item in found.items if item.origin == place.index)
    arguments = stage[operation_key(stage)]
    return arguments if isinstance(arguments, Mapping) else None
