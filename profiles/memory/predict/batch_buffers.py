"""Buffers of stages that batch elements or split batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import ALIGNMENT_BYTES
from pipeprof.profiles.memory.predict.element_size import Size, batch_size_of, components, element_size, rows_of
from pipeprof.profiles.memory.predict.fused_map_batch import fused_batch, parallel_calls
from pipeprof.profiles.memory.predict.shared_tensors import holder

if TYPE_CHECKING:
    from pipeprof.profiles.view.view import PipelineView, StageView


@dataclass(frozen=True)
class Portion:
    """Tensors of one size that a stage holds.

    Attributes:
        size: Bytes of each; ``None`` where that is not known.
    """

    count: int
    what: str
    size: Size | None


def portions(view: PipelineView, stage: StageView) -> Iterator[Portion]:
    """Yield the buffers of a stage that makes or splits batches; nothing for any other."""
    below = view.input_of(stage)
    row = traits(stage.op)
    if row.unbatches and not row.rebatches:
        if below is not None and holder(view, below) is None:
            yield Portion(1, "batch that it splits", element_size(view, below))
    elif row.rebatches:
        yield from _rebatch_portions(view, stage, below)
    elif isinstance(stage.arguments.get("bucket_batch_sizes"), list) and below is not None:
        sizes = stage.arguments["bucket_batch_sizes"]
        # A window of elements for each bucket, all but full.
        yield Portion(sum(sizes), "elements in buckets", element_size(view, below))
    elif row.batches:
        yield from _batch_portions(view, stage, below)


def _batch_portions(view: PipelineView, stage: StageView, below: StageView | None) -> Iterator[Portion]:
    size = element_size(view, stage)
    count = parallel_calls(view, stage) or 1
    fused = below is not None and fused_batch(view, below) is not None
    if fused and size is not None:
        # The map holds them.
        return
    if below is None or fused or holder(view, below) is not None:
        yield Portion(count, "in flight", size)
    else:
        yield Portion(2 * count, "in flight, the elements and their copy", size)


def _rebatch_portions(view: PipelineView, stage: StageView, below: StageView | None) -> Iterator[Portion]:
    """Yield the buffers of a rebatch: a part of one batch is a view if aligned, parts of several are copied.

    A view keeps its whole batch alive until the next one is complete.
    """
    size, whole = element_size(view, stage), element_size(view, below) if below is not None else None
    rows, given = batch_size_of(stage), rows_of(view, below) if below is not None else None
    if below is None or size is None or whole is None:
        yield Portion(1, "in flight", size)
    elif not rows or not given:
        # Their sizes were measured.
        if holder(view, below) is None and size.bytes < whole.bytes:
            yield Portion(1, "rest of the batch that it outputs in parts", whole.less(size.bytes))
        elif size.bytes > whole.bytes:
            yield Portion(2, "in flight, the parts and their copy", size)
    elif given % rows:
        parts = Size(max(size.bytes, 2 * whole.bytes) if given > rows else size.bytes, whole.partial)
        yield Portion(1, "of batches that it joins", parts)
        yield Portion(1, "in flight", size)
    elif all((component.nbytes or 0) % ALIGNMENT_BYTES == 0 for component in components(view, stage)):
        if holder(view, below) is None:
            yield Portion(1, "rest of the batch that it outputs in parts", whole.less(size.bytes))
    else:
        yield Portion(1, "batch that it splits", whole)
        yield Portion(1, "in flight", size)
