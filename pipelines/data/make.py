"""The generating process: ``python -m pipeprof.pipelines.data.make`` with a JSON job on standard input.

The job is ``{"entry": {…}, "folder": "…", "parent": 123}``; the files go into the folder, which exists and is empty.
Standard output carries JSON lines only: ``{"done": 3, "total": 10}``, and before a failure
``{"error": "…", "errno": 28}``.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from pathlib import Path

from pipeprof.pipelines.data.models import Csv, DataEntry, ImageFolder, Npy, Recipe, Text, TFRecord
from pipeprof.pipelines.data.progress import Progress, write_progress
from pipeprof.pipelines.processes import die_with_parent


def total_items(recipe: Recipe) -> int:
    """Number of items that a recipe's progress counts to: images, records, elements, rows or lines."""
    if isinstance(recipe, ImageFolder):
        return recipe.count
    if isinstance(recipe, TFRecord):
        return recipe.records
    if isinstance(recipe, Npy):
        return recipe.files * math.prod(recipe.shape)
    if isinstance(recipe, Csv):
        return recipe.rows
    if isinstance(recipe, Text):
        return recipe.lines
    msg = f"got a recipe of type {type(recipe).__name__}, which no maker is known for"
    raise TypeError(msg)


def make(recipe: Recipe, folder: Path, progress: Progress) -> None:
    """Write the files of ``recipe`` into the empty ``folder``. Only images and records import TensorFlow."""
    if isinstance(recipe, ImageFolder):
        from pipeprof.pipelines.data.make_images import make_image_folder

        make_image_folder(recipe, folder, progress)
    elif isinstance(recipe, TFRecord):
        from pipeprof.pipelines.data.make_tfrecord import make_tfrecord

        make_tfrecord(recipe, folder, progress)
    elif isinstance(recipe, Npy):
        from pipeprof.pipelines.data.make_arrays import make_npy

        make_npy(recipe, folder, progress)
    elif isinstance(recipe, Csv):
        from pipeprof.pipelines.data.make_text import make_csv

        make_csv(recipe, folder, progress)
    elif isinstance(recipe, Text):
        from pipeprof.pipelines.data.make_text import make_text

        make_text(recipe, folder, progress)


def _error_number(error: Exception) -> int | None:
    """The operating system's error number, also of a failure that TensorFlow reports in its own words."""
    if isinstance(error, OSError):
        return error.errno
    return errno.ENOSPC if type(error).__name__ == "ResourceExhaustedError" and "space" in str(error) else None


def main() -> int:
    """Do the job on standard input; returns the exit code."""
    job = json.load(sys.stdin)
    die_with_parent(job["parent"])
    # TensorFlow may write to descriptor 1; only the parent's messages belong there.
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # A GPU is of no use here, and taking one would disturb whoever is using it.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    recipe = DataEntry.model_validate(job["entry"]).recipe
    progress = Progress(total_items(recipe), write_progress(messages))
    try:
        make(recipe, Path(job["folder"]), progress)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        messages.write(json.dumps({"error": text, "errno": _error_number(error)}) + "\n")
        messages.flush()
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
