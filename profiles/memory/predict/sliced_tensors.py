"""Slices that keep the tensor alive that they were taken from.

``from_tensor_slices`` inside ``flat_map`` or ``interleave`` gives views of the tensor that it slices, where a slice
begins at an aligned address, and copies elsewhere. A shuffle then holds more than the elements in it: a tensor is freed
only with the last of its views. Each of the ``n`` places of a full shuffle keeps its element for another step with
probability ``1 - 1/n``. Of a tensor with ``m`` views, taken in ``a`` steps ago, one is left with probability
``1 - (1 - exp(-a/n))^m``. Summed over all tensors that is ``n H(m)`` steps, with the harmonic number ``H(m)``: the
shuffle holds ``H(m)`` times the bytes of its elements (6.8 for tensors of 500 rows).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.memory.predict.element_size import element_size
from pipeprof.profiles.memory.predict.shared_tensors import giver, view_share

if TYPE_CHECKING:
    from pipeprof.profiles.view.view import PipelineView, StageView

_EULER = 0.5772156649015329


def bytes_kept_by_slices(view: PipelineView, stage: StageView, count: float) -> float:
    """Return the bytes that a full shuffle of a stage's elements keeps alive in addition to these.

    Args:
        view: The pipeline.
        stage: What gives the elements.
        count: Places in the shuffle.

    Returns:
        Bytes; 0 where the elements are no such slices, or where it is unknown how many rows the tensors have.
    """
    source = _sliced_inside(view, stage)
    opening = view.by_id.get(source.owner or "") if source is not None else None
    if source is None or opening is None:
        return 0.0
    sizes = [component.nbytes or 0 for component in source.element or ()]
    rows = _rows(view, source, opening, sum(sizes))
    if rows is None or rows <= 1:
        return 0.0
    kept = 0.0
    for size in sizes:
        if size and (views := view_share(size)):
            tensors = max(1.0, count / rows * harmonic(max(1.0, rows * views)))
            kept += max(0.0, tensors * rows - count * views) * size
    return kept


def harmonic(count: float) -> float:
    """Return the harmonic number of a count of at least 1.

    Example:
        >>> round(harmonic(1), 2), round(harmonic(2), 2), round(harmonic(500), 2)
        (1.0, 1.5, 6.79)
    """
    return math.log(count) + _EULER + 1 / (2 * count) - 1 / (12 * count**2) + 1 / (120 * count**4)


def _sliced_inside(view: PipelineView, stage: StageView) -> StageView | None:
    """Return the ``from_tensor_slices`` inside a function whose slices a stage passes on, if it is no constant."""
    opening = giver(view, stage)
    if opening is None or not traits(opening.op).opens:
        return None
    inner = [inside for inside in view.inside(opening) if inside.owner == opening.id]
    read = {name for inside in inner for name in inside.inputs}
    last = [inside for inside in inner if inside.id not in read]
    source = giver(view, last[0]) if len(last) == 1 else None
    if source is None or source.op != "from_tensor_slices" or source.constant or source.source_bytes:
        return None
    return source


def _rows(view: PipelineView, source: StageView, opening: StageView, row_bytes: int) -> float | None:
    """Return the rows of the sliced tensors: as TensorFlow knows them, else by the bytes of what is sliced."""
    if source.elements is not None and source.elements > 0:
        return float(source.elements)
    given = view.input_of(opening)
    size = element_size(view, given) if given is not None else None
    return size.bytes / row_bytes if size is not None and not size.partial and row_bytes else None
