"""Components and bytes of a stage's elements, also where TensorFlow's element spec leaves the batch size open."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import PATH_BYTES
from pipeprof.profiles.memory.predict.shared_tensors import giver
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
    """Return the size of one output element of a stage; file names count with a usual length.

    ``None`` where it is unknown, or known only of components so small that they say nothing of the others.
    """
    if stage.element_bytes is not None:
        return Size(stage.element_bytes)
    one = giver(view, stage)
    if one is not None and traits(one.op).names_files:
        return Size(float(PATH_BYTES))
    sizes = [component.nbytes for component in components(view, stage)]
    known = sum(size or 0 for size in sizes)
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
    inner = [member for member in view.inside(stage) if member.owner == stage.id]
    read = {name for member in inner for name in member.inputs}
    last = [member for member in inner if member.id not in read]
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
