"""The texts of the user's files, and the functions of stages as they are written there."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.regular_files import read_regular
from pipeprof.pipelines.static.written_calls import arguments_given, call_at, function_given
from pipeprof.profiles.view.view import PipelineView, StageView

_LARGEST = 5_000_000


def with_texts(view: PipelineView) -> PipelineView:
    """Return a view with the texts of its files, and with its functions as they are written; no spec has any."""
    files = {stage.location.file for stage in view.stages if stage.location is not None and stage.written is None}
    training = view.profile.training if view.profile is not None else None
    if training is not None:
        files |= {one.file for one in training.datasets if one.file is not None}
        files |= {one.file for one in (*training.unread, *training.eager) if one.file is not None}
        files |= {one.file for one in training.functions if one.file is not None}
    return with_functions(view, {file: file_text(file) for file in files})


def with_functions(view: PipelineView, texts: Mapping[str, str]) -> PipelineView:
    """Return a view with texts of files, by their names, and with its functions as they are written there."""
    stages = tuple(_with_function(stage, texts) for stage in view.stages)
    return replace(view, stages=stages, texts=texts)


def file_text(file: str) -> str:
    """Return the text of a file; empty where it cannot be read."""
    try:
        return read_regular(Path(file).expanduser(), _LARGEST).decode().replace("\r\n", "\n")
    except (OSError, ValueError):
        return ""


def call_of(stage: StageView, function: str) -> ast.Call | None:
    """Return the call of a function at a stage's line; None where the file does not show it."""
    place = stage.location
    return call_at(file_text(place.file), place.line, None, function) if place is not None else None


def first_argument(stage: StageView, function: str) -> str:
    """Return the first argument of the call that makes a stage, as the file has it; empty where it is unknown."""
    call = call_of(stage, function)
    return ast.unparse(call.args[0]) if call is not None and call.args else ""


def call_without(stage: StageView, argument: str) -> str:
    """Return the call that makes a stage, as the file has it, without one argument; empty where it has no such word."""
    call = call_of(stage, stage.op)
    if call is None or all(one.arg != argument for one in call.keywords):
        return ""
    given = [*call.args, *(one for one in call.keywords if one.arg != argument)]
    chained = any(isinstance(one, ast.Call) for one in ast.walk(call.func))
    called = f".{stage.op}" if chained else ast.unparse(call.func)
    return f"{called}({', '.join(map(ast.unparse, given))})"


def _with_function(stage: StageView, texts: Mapping[str, str]) -> StageView:
    place = stage.location
    if place is None or place.file not in texts:
        return stage
    at, name = (texts[place.file], place.line, place.column), place.call or stage.op
    given = function_given(*at, name) if traits(stage.op).written_with_function else None
    return replace(stage, given=given, own=arguments_given(*at, name) if name == stage.op else None)
