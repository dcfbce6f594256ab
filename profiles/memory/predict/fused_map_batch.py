"""Parallel calls of a stage, and the batch fused with a map.

Both are as TensorFlow rewrites the pipeline, unless its default optimizations are off.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import MOST_FUSED_BATCHES

if TYPE_CHECKING:
    from pipeprof.profiles.view.view import PipelineView, StageView

_OPTIMIZATION = "experimental_optimization"


def parallel_calls(view: PipelineView, stage: StageView) -> int | None:
    """Return the number of parallel calls; ``None`` for a serial stage."""
    calls = stage.arguments.get("num_parallel_calls")
    if isinstance(calls, int) and calls > 0:
        return calls if calls > 1 else None
    if calls is None and not stage.made_parallel:
        return None
    seen = stage.measured.parallelism if stage.measured is not None else None
    return max(1, math.ceil(seen if seen is not None else view.cores))


def fused_batch(view: PipelineView, stage: StageView) -> StageView | None:
    """Return the batch fused with a map, by the executed graph or the optimizer's rule.

    TensorFlow fuses a map, also one with a single call at a time, with the batch that alone reads it, unless that has
    calls of its own or default optimizations are off.
    """
    readers = [reader for reader in view.readers(stage) if not reader.injected]
    if len(readers) != 1 or (stage.op, readers[0].op) != traits("MapAndBatch").parts:
        return None
    if stage.executed_op:
        return readers[0] if "MapAndBatch" in stage.executed_op else None
    off = not rewritten(view) or view.options.get(f"{_OPTIMIZATION}.map_and_batch_fusion") is False
    return None if off or readers[0].arguments.get("num_parallel_calls") is not None else readers[0]


def rewritten(view: PipelineView) -> bool:
    """Return whether TensorFlow rewrites the pipeline's graph."""
    return view.options.get(f"{_OPTIMIZATION}.apply_default_optimizations") is not False


def fused_batches(calls: int, batch: StageView) -> int:
    """Return the number of batches that a fused map holds, complete or being filled.

    It begins with as many as its calls fill, and takes one more whenever a call is free while the next batch is waited
    for: with calls of even length that happens once.
    """
    each = batch.arguments.get("batch_size")
    each = each if isinstance(each, int) and each > 0 else 1
    return min(math.ceil(calls / each) + (calls > 1), MOST_FUSED_BATCHES)
