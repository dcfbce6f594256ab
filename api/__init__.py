"""pipeprof: why a tf.data input pipeline is slow or memory-hungry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

__version__ = "0.1.0"


def apply(dataset: Any, plan: str | os.PathLike[str]) -> Any:
    """Return a dataset with the changes that pipeprof has measured; the code that made it stays as it is.

    The changes are made in the dataset's graph. Write the plan with
    ``pipeprof run train.py:make_dataset --out fast.plan.json``, then add one line to the training script::

        dataset = pipeprof.apply(make_dataset(), "fast.plan.json")

    Args:
        dataset: The ``tf.data.Dataset`` that was measured.
        plan: Path of the plan.

    Returns:
        A ``tf.data.Dataset``; ``dataset`` itself where the plan has no changes.

    Raises:
        pipeprof.pipelines.edits.plan.PlanError: The file is no plan, or was made for another pipeline.
        pipeprof.pipelines.graph.edit.errors.CannotEditError: The dataset captures state that a copy would freeze (a
            ``tf.Variable``, a mutable table), or holds 50 MB or more in memory; the message names stage and resource.
    """
    from pathlib import Path

    from pipeprof.rewriting import rewrite

    return rewrite(dataset, Path(plan))
