"""The fields of the elements that a filter gets, as a spec shows them: its edit for whole batches names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeprof.pipelines.edits.edits import PipelineEdit, VectoriseFilter
from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.tensor.shapes import Structure, Tensor
from pipeprof.pipelines.spec.edits.apply_data import plan
from pipeprof.pipelines.spec.edits.places import SOURCE, STAGES, EditError, find
from pipeprof.pipelines.spec.models import Spec


def with_fields(data: Mapping[str, Any], edits: Sequence[PipelineEdit], base_dir: Path) -> tuple[PipelineEdit, ...]:
    """Return edits of a spec, with the fields of the elements in those that need them, where they are known.

    Args:
        edits: The edits, in order.
    """
    found: list[PipelineEdit] = []
    for edit in edits:
        filled = (
            replace(edit, fields=_fields(data, found, edit, base_dir)) if isinstance(edit, VectoriseFilter) else edit
        )
        found.append(filled)
    return tuple(found)


def _fields(
    data: Mapping[str, Any], before: Sequence[PipelineEdit], edit: VectoriseFilter, base_dir: Path
) -> tuple[str | int, ...] | None:
    try:
        place = find(data, edit.stage)
        if place.pipeline or place.index is None:
            return None
        changed = plan(data, before)
        items = changed.lists[()].items if () in changed.lists else None
        index = place.index if items is None else next(at for at, one in enumerate(items) if one.origin == place.index)
        stages = list(changed.data[STAGES])[:index]
        written = {**{key: data[key] for key in ("version", "data") if key in data}, SOURCE: changed.data[SOURCE]}
        spec = Spec.model_validate({**written, STAGES: stages})
        elements = element_specs(spec, base_dir, strict=True)
        return _named(elements[f"{STAGES}.{index - 1}" if index else SOURCE].structure)
    except (EditError, ValidationError, KeyError):
        return None


def _named(structure: Structure) -> tuple[str | int, ...] | None:
    """The keys or indices of plain tensors; None where there are others, or where they are not known."""
    if isinstance(structure, Tensor):
        return () if structure.kind == "dense" else None
    if not isinstance(structure, Mapping | tuple) or not structure:
        return None
    parts = structure.values() if isinstance(structure, Mapping) else structure
    if not all(part is None or (isinstance(part, Tensor) and part.kind == "dense") for part in parts):
        return None
    return tuple(structure) if isinstance(structure, Mapping) else tuple(range(len(structure)))
