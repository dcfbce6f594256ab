"""Measured changes applied to a dataset at run time."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from pipeprof.pipelines.edits.edits import SetEnvironment
from pipeprof.pipelines.edits.plan import (
    PlanError,
    SavedPlan,
    apply_call,
    data_of,
    environment_of,
    load_plan,
    shell_line,
    with_data,
)
from pipeprof.pipelines.errors import escape


def apply(dataset: Any, plan: str | os.PathLike[str], *, data: str | os.PathLike[str] | None = None) -> Any:
    """Return a dataset with the changes that pipeprof has measured; the code that made it stays as it is.

    The changes are made in the dataset's graph. Write the plan with
    ``pipeprof fix train.py:make_dataset --out fast.plan.json``, then add one line to the training script::

        dataset = pipeprof.apply(make_dataset(), "fast.plan.json")

    A plan is data: it runs no Python, calls no function but those of its table, writes no file, and reads none but
    converted data in the folder that you name here.

    Args:
        dataset: The ``tf.data.Dataset`` that was measured.
        data: Folder of ``pipeprof fix --convert-to``, if the plan reads converted data. This folder is read, not the
            one that the plan names; it is not used if the plan reads none.

    Returns:
        A ``tf.data.Dataset``; ``dataset`` itself where the plan has no changes.

    Raises:
        TypeError: ``dataset`` is no dataset, or ``plan`` or ``data`` no path.
        PlanError: The file is no plan, holds what a plan cannot, or was made for another pipeline; or it reads
            converted data, and ``data`` names no folder of them.
        CannotEditError: A function of the dataset changes a resource that it captures (a counter, a queue, another
            iterator), or it holds more in memory than TensorFlow serialises (1 GB; 50 MB as constants of functions);
            the message names stage and resource.
    """
    if not hasattr(dataset, "element_spec") or hasattr(dataset, "__next__"):
        msg = f"pipeprof.apply takes a tf.data.Dataset and the path of a plan, not a {type(dataset).__name__}"
        raise TypeError(msg)
    saved = _at_data(load_plan(_path_of(plan, "a plan")), str(plan), data)
    missing = {name: value for name, value in environment_of(saved).items() if os.environ.get(name) != value}
    if missing:
        words = f"{plan} was measured with different environment variables; start with: {shell_line(saved)}"
        warnings.warn(escape(words), stacklevel=2)
    if all(isinstance(edit, SetEnvironment) for step in saved.steps for edit in step):
        return dataset
    from pipeprof.pipelines.build.planned import planned

    return planned(dataset, saved, str(plan))


def _at_data(saved: SavedPlan, plan: str, data: object) -> SavedPlan:
    """The plan, reading converted data in the caller's folder, never in the one that the plan names."""
    folder = _path_of(data, "a folder as data") if data is not None else None
    written = data_of(saved.steps)
    if written is None:
        return saved
    if folder is None:
        call = apply_call("dataset", plan, written)
        msg = f"{plan} reads converted data, written to {written}: name the folder where you trust them, {call}"
        raise PlanError(msg)
    from pipeprof.profiles.convert.folder import DATA

    path = (folder / DATA).absolute()
    if not _is_folder(path):
        raise PlanError(f"data: {folder} has no converted data: expected the folder of --convert-to, with {DATA} in it")
    for parent, _, names in os.walk(path):
        for file in (Path(parent, name) for name in names):
            if not file.is_file():
                raise PlanError(f"data: {file} is not a file: expected what --convert-to wrote")
    return with_data(saved, str(path))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _path_of(value: object, what: str) -> Path:
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(f"pipeprof.apply takes the path of {what}, not a {type(value).__name__}")
    return Path(path)
