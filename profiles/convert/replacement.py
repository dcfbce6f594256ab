"""Files in place of the stages that made their elements, as edits: pure functions, but for the headers of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.edits.edits import NewStage, PipelineEdit, ReplaceStages
from pipeprof.pipelines.inference.saved_rows import saved_rows
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.edits.file_rows import records_instead
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Component, Stage
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.protocol.store import StoredForm
from pipeprof.profiles.verify.file_points import Point
from pipeprof.profiles.view.view import SavedComponent, StageView

_DECODED = frozenset(
    {"float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "uint16", "bool"}
    | {"complex64", "complex128"}
)
"""Types of rows that TensorFlow decodes from bytes, and that a ``.npy`` file names."""


@dataclass(frozen=True)
class Files:
    """Files with elements of stages; `stages` are op and name of each that they replace, the source first."""

    point: Point
    path: str
    form: StoredForm
    stages: tuple[tuple[str, str | None], ...]


def form_for(profile: Profile, point: Point) -> StoredForm:
    """Return the form of the files: rows where a source slices arrays of plain numbers, else elements."""
    line = main_line(profile)
    if len(point.stages) > 1 or not traits(line[0].op).slices:
        return "elements"
    components = line[0].element_spec
    if not components or _keys(components) is None or not all(map(_is_row, components)):
        return "elements"
    return "rows"


def _is_row(component: Component) -> bool:
    known = component.shape is not None and all(component.shape) and None not in component.shape
    return component.dtype in _DECODED - {"bfloat16"} and known


def _keys(components: Sequence[Component]) -> list[str | int | None] | None:
    """Names of the components in their structure: none of a single one, indices, or names; None for nested ones."""
    names = [component.name for component in components]
    if len(names) == 1 and (names[0].isdigit() or not names[0]):
        return [None]
    if all(name.isdigit() for name in names):
        return list(map(int, names))
    return list(names) if all(name.isidentifier() for name in names) else None


def edits_for(files: Files, profile: Profile, near: Path | None) -> tuple[PipelineEdit, ...] | None:
    """Return the edits that put files in place of stages; None where the pipeline has other stages by now.

    Args:
        profile: Present pipeline: earlier changes may have added stages that only pass elements on.
        near: Folder of a spec, relative to which it names files below it; None for a Python target.
    """
    line = main_line(profile)
    replaced = _replaced(files, line)
    if replaced is None:
        return None
    path = path_from(files.path, near)
    name = files.point.name
    if files.form == "elements":
        summary = f"read {name}'s output from {path}"
        return (ReplaceStages(tuple(stage.id for stage in replaced), (NewStage("load", {"path": path}),), summary),)
    return _rows(files, replaced[0], line[1:], path)


def _replaced(files: Files, line: Sequence[Stage]) -> list[Stage] | None:
    """The stages that files replace now: those of the conversion, and others between them that change no element."""
    wanted = list(files.stages)
    found: list[Stage] = []
    for stage in line:
        if not wanted:
            break
        if (stage.op, stage.name) == wanted[0]:
            wanted.pop(0)
        elif not traits(stage.op).prefetches:
            return None
        found.append(stage)
    return found if not wanted else None


def path_from(path: str, near: Path | None) -> str:
    """Return a path as a spec names it: relative where it is below the spec's folder, else absolute.

    Example:
        >>> path_from("/a/b/elements", Path("/a")), path_from("/b", Path("/a")), path_from("/b", None)
        ('b/elements', '/b', '/b')
    """
    if near is None or not Path(path).is_relative_to(near.resolve()):
        return path
    return os.path.relpath(path, near.resolve())


def _rows(files: Files, source: Stage, after: Sequence[Stage], path: str) -> tuple[PipelineEdit, ...] | None:
    """Edits that read rows as records, decoded after the batch where only the position decides until there."""
    keys = _keys(source.element_spec or ())
    if keys is None:
        return None
    saved = []
    for index, key in enumerate(keys):
        name = f"rows-{index}.npy"
        rows = saved_rows(Path(files.path) / name)
        if rows is None:
            return None
        saved.append(SavedComponent(key, f"{path}/{name}", rows))
    view = StageView(source.id, source.op, source.name, saved=tuple(saved))
    return records_instead(view, [_view(stage) for stage in _indexed(after)])


def _indexed(after: Sequence[Stage]) -> list[Stage]:
    """The stages that get records in place of rows: up to the batch, else none."""
    for place, stage in enumerate(after):
        if stage.op == "batch":
            return list(after[: place + 1])
        if not traits(stage.op).by_position or traits(stage.op).stores:
            break
    return []


def _view(stage: Stage) -> StageView:
    """A stage as the edit reads it: a batch whose size is fixed in its elements drops a smaller last one."""
    sizes = {component.shape[0] if component.shape else None for component in stage.element_spec or ()}
    fixed = next(iter(sizes)) if len(sizes) == 1 else None
    arguments = {"batch_size": fixed, "drop_remainder": True} if fixed is not None else {}
    return StageView(stage.id, stage.op, stage.name, arguments=arguments)
