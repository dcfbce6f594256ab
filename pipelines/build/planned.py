"""A dataset with the changes of a plan, made in its graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import builder
from pipeprof.pipelines.edits.plan import PlanError, SavedPlan, describe_misfit
from pipeprof.pipelines.graph.edit.apply import apply_steps
from pipeprof.pipelines.graph.edit.elements import components
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.round_trip import editable
from pipeprof.pipelines.graph.observe.light_graph import too_large
from pipeprof.pipelines.graph.read.function_facts import body_of


def planned(dataset: Any, saved: SavedPlan, plan: str) -> Any:
    """Return a dataset with the changes of a plan that has some.

    Raises:
        CannotEditError: The graph of the dataset cannot be changed.
    """
    if (reason := too_large(dataset)) is not None:
        raise CannotEditError(reason)
    graph = editable(dataset, in_memory=0).read()
    written = graph.stages()
    dtypes = _dtypes(dataset)
    functions = {stage.address: graph.nodes[stage.head].function for stage in written}
    bodies = {address: body_of(function) for address, function in functions.items() if function is not None}
    misfit = describe_misfit(saved, {stage.address: stage.op for stage in written}, dtypes, bodies)
    if misfit is not None:
        msg = f"{plan} was made for another pipeline ({saved.target}): {misfit}; measure again with pipeprof fix"
        raise PlanError(msg)
    return apply_steps(dataset, saved.steps, building=builder(BuildContext(Path())))


def _dtypes(dataset: Any) -> list[str]:
    """Of the components of an element; ``variant`` for what is no dense tensor."""
    import tensorflow as tf

    flat = components(dataset.element_spec)
    return [one.dtype.name if isinstance(one, tf.TensorSpec) else "variant" for one in flat]
