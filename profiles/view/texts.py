"""What the user has written: the stages' arguments in a spec, and the texts of files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.pipelines.host_files import read_regular
from pipeprof.profiles.view.view import PipelineView

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec

_LARGEST = 5_000_000


def with_texts(view: PipelineView) -> PipelineView:
    """Return a view with the texts of the files of a training."""
    training = view.profile.training if view.profile is not None else None
    if training is None:
        return view
    files = {*(use.file for use in training.datasets), *(place.file for place in training.unread)}
    return replace(view, texts={file: file_text(file) for file in files if file is not None})


def file_text(file: str) -> str:
    """Return the text of a file; empty where it cannot be read."""
    try:
        return read_regular(Path(file).expanduser(), _LARGEST).decode().replace("\r\n", "\n")
    except (OSError, ValueError):
        return ""


def with_written(view: PipelineView, loaded: LoadedSpec) -> PipelineView:
    """Return the view with what the spec says of each stage: its arguments as written."""
    found = {placed.address: placed.arguments for placed in loaded.spec.placed()}
    stages = tuple(
        stage if stage.id not in found or stage.injected else replace(stage, written=found[stage.id])
        for stage in view.stages
    )
    return replace(view, stages=stages, loaded=loaded)
