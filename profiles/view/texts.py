"""The texts of the user's files, and the functions of stages as they are written there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.written_calls import WrittenFunction, call_text, function_given
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.view.view import PipelineView, StageView

_LARGEST = 5_000_000


def with_texts(view: PipelineView) -> PipelineView:
    """Return a view with the texts of its files, and with its functions as they are written; no spec has any."""
    files = {stage.location.file for stage in view.stages if stage.location is not None and stage.written is None}
    training = view.profile.training if view.profile is not None else None
    if training is not None:
        files |= {one.file for one in training.datasets if one.file is not None}
        files |= {one.file for one in training.unread if one.file is not None}
        files |= {one.file for one in training.functions if one.file is not None}
    return with_functions(view, {file: file_text(file) for file in files})


def with_functions(view: PipelineView, texts: Mapping[str, str]) -> PipelineView:
    """Return a view with texts of files, by their names, and with its functions as they are written there."""
    stages = tuple(_with_function(stage, texts) for stage in view.stages)
    return replace(view, stages=stages, texts=texts)


def file_text(file: str) -> str:
    """Return the text of a file; empty where it cannot be read."""
    try:
        path = Path(file).expanduser()
        return path.read_text(encoding="utf-8") if path.stat().st_size <= _LARGEST else ""
    except (OSError, ValueError):
        return ""


def written_function(stage: Stage) -> WrittenFunction | None:
    """Return the function of a stage of a run, as the user's file has it; None where that does not show it."""
    place = stage.location
    return function_given(file_text(place.file), place.line, place.column, place.call or stage.op) if place else None


def written_call(stage: Stage) -> str:
    """Return the call that made a stage, as the user's file has it; with an ellipsis where that does not show it."""
    place, name = stage.location, stage.op
    text = call_text(file_text(place.file), place.line, place.column, place.call or name) if place else None
    return text or f".{name}(…)"


def _with_function(stage: StageView, texts: Mapping[str, str]) -> StageView:
    place = stage.location
    if place is None or place.file not in texts or not traits(stage.op).written_with_function:
        return stage
    return replace(stage, given=function_given(texts[place.file], place.line, place.column, place.call or stage.op))
