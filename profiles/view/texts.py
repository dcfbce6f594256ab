"""The texts of the user's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeprof.pipelines.host_files import read_regular
from pipeprof.profiles.view.view import PipelineView

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
