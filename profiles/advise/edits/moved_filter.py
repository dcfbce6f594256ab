"""A filter before maps as a spec has it: with the calls that it reads of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.edits.edits import MoveFilter
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


def moved_filter_yaml(data: Mapping[str, Any] | None, edit: MoveFilter) -> str | None:
    """The filter as it stands in the spec then; None where the pipeline has no spec, or a map of it is Python."""
    found = _arguments(data, edit) if data is not None else None
    if found is None:
        return None
    first, *others = stage_yaml("filter", found)
    return "\n".join([f"{first}   # {edit.stage}, before {edit.before}", *others])


def _arguments(data: Mapping[str, Any], edit: MoveFilter) -> Mapping[str, Any] | None:
    """The arguments of the filter after the edit."""
    try:
        place = find(data, edit.stage)
        (found,) = plan(data, [edit]).lists.values()
    except EditError:
        return None
    stage = next(item.value for item in found.items if item.origin == place.index)
    arguments = stage[operation_key(stage)]
    return arguments if isinstance(arguments, Mapping) else None
