"""TensorFlow's default rewrites of a pipeline known only from its spec: parallel maps, a prefetch at the end.

Both are its default optimizations (map_parallelization, inject_prefetch), which need AUTOTUNE.
"""

from __future__ import annotations

from dataclasses import replace

from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.memory.predict.fused_map_batch import fused_batch, rewritten
from pipeprof.profiles.view.view import PipelineView, StageView

_OPTIMIZATION = "experimental_optimization"
ADDED = "injected.0"
"""Name of the prefetch that TensorFlow adds, as in a run."""


def foreseen(view: PipelineView) -> PipelineView:
    """Apply TensorFlow's default rewrites to the view."""
    if not rewritten(view) or view.options.get("autotune.enabled") is False:
        return view
    found = view
    if view.options.get(f"{_OPTIMIZATION}.map_parallelization") is not False:
        stages = [replace(stage, made_parallel=True) if _is_made_parallel(stage) else stage for stage in view.stages]
        found = replace(view, stages=tuple(stages))
    root = found.root
    off = view.options.get(f"{_OPTIMIZATION}.inject_prefetch") is False
    if root is None or off or runs_ahead(found, root):
        return found
    added = StageView(
        id=ADDED,
        op="prefetch",
        inputs=(root.id,),
        arguments={"buffer_size": AUTOTUNE},
        element=root.element,
        elements=root.elements,
        injected=True,
    )
    return replace(found, stages=(*found.stages, added))


def _is_made_parallel(stage: StageView) -> bool:
    """Return whether TensorFlow makes the stage parallel: a serial map known to be stateless.

    Within a function TensorFlow makes nothing parallel.
    """
    function = stage.function
    if (
        stage.op != "map"
        or stage.owner is not None
        or stage.arguments.get("num_parallel_calls") is not None
        or function is None
    ):
        return False
    tables = any(op.startswith(("HashTable", "LookupTable")) for op in function.ops or ())
    return function.ops is not None and function.stateful_op is None and not function.python and not tables


def runs_ahead(view: PipelineView, root: StageView) -> bool:
    """Return whether the last stage produces elements ahead of demand."""
    below = view.input_of(root)
    if root.op == "prefetch" or root.made_parallel:
        return True
    if traits(root.op).parallel and root.arguments.get("num_parallel_calls") is not None:
        return True
    return below is not None and fused_batch(view, below) is root
