"""Components and bytes of a stage's elements, also where TensorFlow's element spec leaves the batch size open."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import VIEW_BYTES
from pipeprof.profiles.memory.predict.shared_tensors import ends_inside, giver, text_views, view_share
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import size as in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView

    Shape = tuple[int | None, ...]


SAYS_NOTHING_BELOW = 4096
"""Bytes of the components with a known size, where others have none: labels and lengths say nothing of an element."""


@dataclass(frozen=True)
class Size:
    """Bytes of an element; `partial` if only some of its components have a known size."""

    bytes: float
    partial: bool = False

    @property
    def words(self) -> str:
        """Format the bytes for a sentence."""
        return f"at least {in_words(self.bytes)}" if self.partial else in_words(self.bytes)

    def less(self, shared: float) -> Size:
        """Subtract the bytes that belong to another stage."""
        return Size(max(0.0, self.bytes - shared), self.partial)


def element_size(view: PipelineView, stage: StageView) -> Size | None:
    """Return the size of one output element of a stage; a string of the source's own tensor counts as a view.

    ``None`` where it is unknown, or known only of components so small that they say nothing of the others.
    """
    views = text_views(view, stage)
    if stage.element_bytes is not None and not views:
        return Size(stage.element_bytes)
    sizes = [component.nbytes for component in components(view, stage) if component.dtype != "string" or not views]
    known = sum(size or 0 for size in sizes) + VIEW_BYTES * views
    partial = None in sizes
    return Size(float(known), partial) if known and not (partial and known < SAYS_NOTHING_BELOW) else None


def components(view: PipelineView, stage: StageView) -> tuple[ComponentView, ...]:
    """Return the components of an element, assuming full batches.

    Without ``drop_remainder`` the last batch may be smaller than the others, so that TensorFlow does not say how large
    a batch is.
    """
    kept: dict[str, tuple[ComponentView, ...]] = view.kept("components")
    # Towards the source, up to a stage whose components are known, and back.
    way: dict[str, StageView] = {}
    one: StageView | None = stage
    while one is not None and one.id not in kept and one.id not in way:
        way[one.id] = one
        whole = all(component.nbytes is not None for component in one.element or ())
        one = None if whole else _made_by(view, one)
    given = None if one is None else kept.get(one.id, one.element or ())
    for member in reversed(way.values()):
        given = kept[member.id] = _complete(member, given)
    return kept[stage.id]


def rows_of(view: PipelineView, stage: StageView) -> int | None:
    """Return the first dimension of a stage's batches; ``None`` where unknown."""
    rows = {component.shape[0] for component in components(view, stage) if component.shape}
    return rows.pop() if len(rows) == 1 else None


def batch_size_of(stage: StageView) -> int | None:
    """Return the number of elements in a stage's largest batch; ``None`` if not written."""
    size = stage.arguments.get("batch_size")
    sizes = size if isinstance(size, list) else [size]
    known = [size for size in sizes if isinstance(size, int) and size > 0]
    return max(known) if known and len(known) == len(sizes) else None


def _complete(stage: StageView, given: tuple[ComponentView, ...] | None) -> tuple[ComponentView, ...]:
    """Return a stage's components, with what those that it is given say about their sizes."""
    found = stage.element or ()
    if given is None or all(component.nbytes is not None for component in found):
        return found
    if stage.op == "map":
        return _map_components(stage, found, given)
    shapes = [_shape(stage, component.shape) for component in given]
    if len(shapes) != len(found):
        return found
    return tuple(
        replace(one, shape=_combine_shapes(one.shape, shape)) if shape is not None else one
        for one, shape in zip(found, shapes, strict=True)
    )


def _map_components(
    stage: StageView, found: tuple[ComponentView, ...], given: Sequence[ComponentView]
) -> tuple[ComponentView, ...]:
    """Return a map's components: as many rows as its input, if its function works element by element."""
    rows = {component.shape[0] for component in given if component.shape}
    if stage.function is None or not stage.function.elementwise or len(rows) != 1:
        return found
    (count,) = rows
    return tuple(
        replace(component, shape=(count, *component.shape[1:]))
        if component.shape and component.shape[0] is None
        else component
        for component in found
    )


def _made_by(view: PipelineView, stage: StageView) -> StageView | None:
    """Find the stage whose elements another one passes through or batches: its input, or the last stage inside it."""
    if not traits(stage.op).opens:
        return view.input_of(stage)
    last = ends_inside(view, stage)
    return last[0] if len(last) == 1 else None


def _shape(stage: StageView, given: Shape | None) -> Shape | None:
    """Return a stage's output shape where it depends only on the input shape."""
    if given is None:
        return None
    size, row = batch_size_of(stage), traits(stage.op)
    if row.passes or row.opens:
        return given
    if stage.op == "batch":
        return (size, *given)
    if row.pads:
        # The length of padded rows depends on the function or the data.
        return (size, *(None for _ in given))
    if row.rebatches and given:
        return (size, *given[1:])
    return given[1:] if row.unbatches and given else None


def _combine_shapes(own: Shape | None, other: Sequence[int | None]) -> Shape:
    if own is None or len(own) != len(other):
        return tuple(other) if own is None else own
    return tuple(mine if mine is not None else theirs for mine, theirs in zip(own, other, strict=True))


_EULER = 0.5772156649015329


def bytes_kept_by_slices(view: PipelineView, stage: StageView, count: float) -> float:
    """Return the bytes that a full shuffle of a stage's elements keeps alive in addition to these.

    ``from_tensor_slices`` inside ``flat_map`` or ``interleave`` gives views of the tensor that it slices, where a slice
    begins at an aligned address, and copies elsewhere. A shuffle then holds more than the elements in it: a tensor is
    freed only with the last of its views. Each of the ``n`` places of a full shuffle keeps its element for another step
    with probability ``1 - 1/n``. Of a tensor with ``m`` views, taken in ``a`` steps ago, one is left with probability
    ``1 - (1 - exp(-a/n))^m``. Summed over all tensors that is ``n H(m)`` steps, with the harmonic number ``H(m)``: the
    shuffle holds ``H(m)`` times the bytes of its elements (6.8 for tensors of 500 rows).

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
    """Return the bytes of the tensors that an open ``from_tensor_slices`` in a function slices; 0 where unknown."""
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
    last = ends_inside(view, opening)
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
