"""Spec text attached to each stage of a view, so that a proposed change can be pasted into the spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.profiles.view.view import PipelineView


def with_written(view: PipelineView, loaded: LoadedSpec) -> PipelineView:
    """Return the view with what the spec says of each stage: its arguments as written."""
    found = {placed.address: _arguments_at(loaded.data, placed.place) for placed in loaded.spec.placed()}
    stages = tuple(
        stage if found.get(stage.id) is None or stage.injected else replace(stage, written=found[stage.id])
        for stage in view.stages
    )
    return replace(view, stages=stages, loaded=loaded)


def _arguments_at(data: Any, place: tuple[str | int, ...]) -> Mapping[str, Any] | None:
    """Return the mapping of arguments at a place; an empty one where none were written."""
    for key in place:
        numbered = isinstance(data, list) and isinstance(key, int) and key < len(data)
        if not numbered and not (isinstance(data, Mapping) and key in data):
            return None
        data = data[key]
    return {} if data is None else data if isinstance(data, Mapping) else None
