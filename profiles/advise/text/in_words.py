"""Edits in one line, and the written stages that they are about."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from pipeprof.pipelines.changes.edits import PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.changes.in_words import in_words
from pipeprof.profiles.view.view import PipelineView, StageView


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
