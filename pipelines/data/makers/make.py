"""The generating process: a JSON job ``{"entry": {…}, "folder": "…", "parent": 123}`` on standard input.

Standard output carries JSON lines only: ``{"done": 3, "total": 10}``, and before a failure
``{"error": "…", "errno": 28}``.
"""

from __future__ import annotations

import errno
import importlib
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pipeprof.pipelines.data.makers.progress import DataProgress, write_progress
from pipeprof.pipelines.data.processes import die_with_parent
from pipeprof.pipelines.data.recipes.models import Csv, DataEntry, ImageFolder, Npy, Text, TFRecord
from pipeprof.pipelines.data.recipes.recipe import Recipe
from pipeprof.pipelines.data.temporary import settle_temporary_folder


def total_items(recipe: Recipe) -> int:
    """Number of items that a recipe's progress counts to: images, files, records, elements, rows, lines or words."""
    return _known(recipe).items(recipe)


def make(recipe: Recipe, folder: Path, progress: DataProgress) -> None:
    """Write the files of ``recipe`` into the empty ``folder``. Only images and records import TensorFlow."""
    known = _known(recipe)
    module = importlib.import_module(f"pipeprof.pipelines.data.makers.{known.module}")
    getattr(module, known.function)(recipe, folder, progress)


class _Maker(NamedTuple):
    """Function that makes a recipe, and its number of items; its module is imported on demand."""

    module: str
    function: str
    items: Callable[[Any], int]


def _count(recipe: Any) -> int:
    return int(recipe.count)


_MAKERS: dict[type[Recipe], _Maker] = {
    Csv: _Maker("make_text", "make_csv", lambda recipe: recipe.rows),
    ImageFolder: _Maker("make_images", "make_image_folder", _count),
    Npy: _Maker("make_arrays", "make_npy", lambda recipe: recipe.files * math.prod(recipe.shape)),
    Text: _Maker("make_text", "make_text", lambda recipe: recipe.lines),
    TFRecord: _Maker("make_tfrecord", "make_tfrecord", lambda recipe: recipe.records),
}


def _known(recipe: Recipe) -> _Maker:
    maker = _MAKERS.get(type(recipe))
    if maker is None:
        raise TypeError(f"no maker for a recipe of type {type(recipe).__name__}")
    return maker


def _error_number(error: Exception) -> int | None:
    """The operating system's error number, also of a failure that TensorFlow reports in its own words."""
    if isinstance(error, OSError):
        return error.errno
    return errno.ENOSPC if type(error).__name__ == "ResourceExhaustedError" and "space" in str(error) else None


def main() -> int:
    """Do the job on standard input; returns the exit code."""
    job = json.load(sys.stdin)
    die_with_parent(job["parent"])
    settle_temporary_folder()
    # TensorFlow may write to descriptor 1; only the parent's messages belong there.
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # A GPU is of no use here, and taking one would disturb whoever is using it.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    recipe = DataEntry.model_validate(job["entry"]).recipe
    progress = DataProgress(total_items(recipe), write_progress(messages))
    try:
        make(recipe, Path(job["folder"]), progress)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        messages.write(json.dumps({"error": text, "errno": _error_number(error)}) + "\n")
        messages.flush()
        raise
    return 0
