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

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.memory.predict.element_size import element_size
from pipeprof.profiles.memory.predict.shared_tensors import giver, view_share
from pipeprof.profiles.view.view import PipelineView, StageView

_EULER = 0.5772156649015329


def bytes_kept_by_slices(view: PipelineView, stage: StageView, count: float) -> float:
    """Return the bytes that a full shuffle of a stage's elements keeps alive in addition to these.

    Args:
        stage: What gives the elements.

    Returns:
        Bytes; 0 where the elements are no such slices, or where it is unknown how many rows the tensors have.
    """
    source = _sliced_inside(view, stage)
    rows = _rows(view, source) if source is not None else None
    if source is None or rows is None or rows <= 1:
        return 0.0
    kept = 0.0
    for size in _row_sizes(source):
        if size and (views := view_share(size)):
            tensors = max(1.0, count / rows * harmonic(max(1.0, rows * views)))
            kept += max(0.0, tensors * rows - count * views) * size
    return kept


def sliced_bytes(view: PipelineView, stage: StageView) -> float:
    """Return the bytes of the tensors that one open copy of a ``from_tensor_slices`` inside a function slices.

    Returns:
        Bytes; 0 for any other stage, and where it is unknown how many rows the tensors have.
    """
    return (_rows(view, stage) or 0.0) * sum(_row_sizes(stage)) if _slices_results(stage) else 0.0


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
    return source if source is not None and _slices_results(source) else None


def _slices_results(stage: StageView) -> bool:
    """Return whether a stage slices tensors that the pipeline makes, not an array of the program."""
    return traits(stage.op).slices and stage.owner is not None and not stage.constant and not stage.source_bytes


def _row_sizes(source: StageView) -> list[int]:
    return [component.nbytes or 0 for component in source.element or ()]


def _rows(view: PipelineView, source: StageView) -> float | None:
    """Return the rows of the sliced tensors: as TensorFlow knows them, else by the bytes of what is sliced."""
    if source.elements is not None and source.elements > 0:
        return float(source.elements)
    opening = view.by_id.get(source.owner or "")
    given = view.input_of(opening) if opening is not None else None
    row_bytes = sum(_row_sizes(source))
    size = element_size(view, given) if given is not None else None
    return size.bytes / row_bytes if size is not None and not size.partial and row_bytes else None
