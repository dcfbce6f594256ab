"""Measured changes applied to a dataset at run time."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from pipeprof.pipelines.edits.edits import SetEnvironment
from pipeprof.pipelines.edits.plan import environment_of, load_plan, shell_line
from pipeprof.pipelines.errors import escape


def apply(dataset: Any, plan: str | os.PathLike[str]) -> Any:
    """Return a dataset with the changes that pipeprof has measured; the code that made it stays as it is.

    The changes are made in the dataset's graph. Write the plan with
    ``pipeprof fix train.py:make_dataset --out fast.plan.json``, then add one line to the training script::

        dataset = pipeprof.apply(make_dataset(), "fast.plan.json")

    A plan is data: it runs no Python, calls no function but those of its table, and reads and writes no file.

    Args:
        dataset: The ``tf.data.Dataset`` that was measured.

    Returns:
        A ``tf.data.Dataset``; ``dataset`` itself where the plan has no changes.

    Raises:
        TypeError: ``dataset`` is no dataset, or ``plan`` no path.
        PlanError: The file is no plan, holds what a plan cannot, or was made for another pipeline.
        CannotEditError: A function of the dataset changes a resource that it captures (a counter, a queue, another
            iterator), or it holds more in memory than TensorFlow serialises (1 GB; 50 MB as constants of functions);
            the message names stage and resource.
    """
    if not hasattr(dataset, "element_spec") or hasattr(dataset, "__next__"):
        msg = f"pipeprof.apply takes a tf.data.Dataset and the path of a plan, not a {type(dataset).__name__}"
        raise TypeError(msg)
    saved = load_plan(_path_of(plan, "a plan"))
    missing = {name: value for name, value in environment_of(saved).items() if os.environ.get(name) != value}
    if missing:
        words = f"{plan} was measured with different environment variables; start with: {shell_line(saved)}"
        warnings.warn(escape(words), stacklevel=2)
    if all(isinstance(edit, SetEnvironment) for step in saved.steps for edit in step):
        return dataset
    from pipeprof.pipelines.build.planned import planned

    return planned(dataset, saved, str(plan))


def _path_of(value: object, what: str) -> Path:
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(path, str):
        raise TypeError(f"pipeprof.apply takes the path of {what}, not a {type(value).__name__}")
    return Path(path)
