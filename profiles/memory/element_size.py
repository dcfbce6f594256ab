"""Bytes of a stage's elements, and whose tensors they are.

A stage that passes tensors through holds no memory of its own where these are a source's or a cache's: slices of an
array that begin at aligned addresses are views of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import ALIGNMENT_BYTES, VIEW_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView

SAYS_NOTHING_BELOW = 4096
"""Bytes of the components with a known size, where others have none: labels and lengths say nothing of an element."""
_EULER = 0.5772156649015329


@dataclass(frozen=True)
class Size:
    """Bytes of an element; `partial` if only some of its components have a known size."""

    bytes: float
    partial: bool = False


def element_size(view: PipelineView, stage: StageView) -> Size | None:
    """Return the size of one output element, else None; small components say nothing of those without a size."""
    views = text_views(view, stage)
    if stage.element_bytes is not None and not views:
        return Size(stage.element_bytes)
    sizes = [one.nbytes for one in components(view, stage) if one.dtype != "string" or not views]
    known = sum(size or 0 for size in sizes) + VIEW_BYTES * views
    partial = None in sizes
    return Size(float(known), partial) if known and not (partial and known < SAYS_NOTHING_BELOW) else None


def own_size(view: PipelineView, stage: StageView) -> Size | None:
    """Return the size of one output element without what is only a view of a source's array."""
    size, made_by = element_size(view, stage), giver(view, stage)
    if size is None or not traits(made_by.op).slices:
        return size
    return Size(max(0.0, size.bytes - sum(one.nbytes or 0 for one in made_by.element or () if _is_view(one))))


def components(view: PipelineView, stage: StageView) -> tuple[ComponentView, ...]:
    """Return the components of an element of full batches.

    Without ``drop_remainder`` the last batch may be smaller, and TensorFlow does not say how many rows a batch has.
    """
    found = stage.element or ()
    if not any(one.shape and one.shape[0] is None for one in found):
        return found
    made_by = _first(view, stage, "rows", _keeps_rows)
    given = {one.shape[0] for one in made_by.element or () if one.shape}
    rows = batch_size_of(made_by) if traits(made_by.op).batches else given.pop() if len(given) == 1 else None
    return tuple(
        replace(one, shape=(rows, *one.shape[1:])) if one.shape and one.shape[0] is None else one for one in found
    )


def _keeps_rows(stage: StageView) -> bool:
    row = traits(stage.op)
    if stage.op == "map":
        return stage.function is not None and bool(stage.function.elementwise)
    return row.passes or row.opens


def batch_size_of(stage: StageView) -> int | None:
    """Return the number of elements in a stage's largest batch; ``None`` if not written."""
    size = stage.arguments.get("batch_size")
    sizes = size if isinstance(size, list) else [size]
    known = [size for size in sizes if isinstance(size, int) and size > 0]
    return max(known) if known and len(known) == len(sizes) else None


def giver(view: PipelineView, stage: StageView) -> StageView:
    """Find the stage that makes the tensors that `stage` passes through, or the cache that keeps all of them."""
    return _first(view, stage, "giver", lambda one: traits(one.op).passes and not is_kept(one))


def holder(view: PipelineView, stage: StageView) -> StageView | None:
    """Return the stage that holds all tensors of `stage` anyway: a cache or a source in memory; None if there is none.

    Of a source that slices only aligned rows are views.
    """
    made_by = giver(view, stage)
    row = traits(made_by.op)
    if is_kept(made_by) or (row.in_memory and not row.slices):
        return made_by
    return made_by if row.slices and made_by.element and all(map(_is_view, made_by.element)) else None


def is_kept(stage: StageView) -> bool:
    """Whether a stage keeps all elements in memory."""
    return stage.op == "cache" and not stage.arguments.get("filename")


def cache_above(view: PipelineView, stage: StageView) -> StageView | None:
    """Find a cache in memory that takes over the elements released by `stage`: together they hold each once."""
    found = view.first_after(stage, "cache_above", _takes_or_changes)
    return found if found is not None and is_kept(found) and found.elements not in (None, INFINITE) else None


def _takes_or_changes(stage: StageView) -> bool:
    op = traits(stage.op)
    return op.stores or not op.passes or op.restarts


def text_views(view: PipelineView, stage: StageView) -> int:
    """Return how many components of an element are strings in a tensor of the source.

    A slice of a tensor of strings is a view at any address: it has neither the string nor its letters.
    """
    made_by = giver(view, stage)
    if traits(made_by.op).names_files:
        return len(stage.element or ()) or 1
    of_an_array = traits(made_by.op).in_memory and made_by.owner is None and not made_by.constant
    return sum(one.dtype == "string" for one in stage.element or ()) if of_an_array else 0


def own_components(view: PipelineView, stage: StageView) -> int:
    """Return how many tensors of its own an element has: all but views of strings."""
    return (len(stage.element or ()) or 1) - text_views(view, stage)


def bytes_kept_by_slices(view: PipelineView, stage: StageView, count: float) -> float:
    """Return the bytes that a full shuffle of a stage's elements keeps alive in addition to these; 0 where unknown.

    ``from_tensor_slices`` inside ``flat_map`` or ``interleave`` gives views of the tensor that it slices, freed
    only with the last of them. Each of the ``n`` places of a full shuffle keeps its element for another step with
    probability ``1 - 1/n``: of a tensor with ``m`` views, taken in ``a`` steps ago, one is left with probability
    ``1 - (1 - exp(-a/n))^m``. Summed over all tensors that is ``n H(m)`` steps, with the harmonic number ``H(m)``: the
    shuffle holds ``H(m)`` times the bytes of its elements (6.8 for tensors of 500 rows).
    """
    opening = giver(view, stage)
    last = ends_inside(view, opening) if traits(opening.op).opens else []
    source = giver(view, last[0]) if len(last) == 1 else None
    if source is None or not traits(source.op).slices or source.constant or source.source_bytes:
        return 0.0
    given = view.input_of(opening)
    row_bytes = sum(one.nbytes or 0 for one in source.element or () if _is_view(one))
    size = element_size(view, given) if given is not None else None
    rows: float = source.elements or 0
    if rows <= 0 and size is not None and row_bytes:
        rows = size.bytes / sum(one.nbytes or 0 for one in source.element or ())
    if rows <= 1:
        return 0.0
    tensors = max(1.0, count / rows * (math.log(rows) + _EULER + 1 / (2 * rows)))
    return max(0.0, tensors * rows - count) * row_bytes


def ends_inside(view: PipelineView, stage: StageView) -> list[StageView]:
    """Find the last stages of the pipelines that the functions of `stage` make."""
    inner = [member for member in view.inside(stage) if member.owner == stage.id]
    read = {name for member in inner for name in member.inputs}
    return [member for member in inner if member.id not in read]


def _made_by(view: PipelineView, stage: StageView) -> StageView | None:
    """The stage whose elements another one passes on: its input, or the last stage inside it."""
    if not traits(stage.op).opens:
        return view.input_of(stage)
    last = ends_inside(view, stage)
    return last[0] if len(last) == 1 else None


def _is_view(component: ComponentView) -> bool:
    return bool(component.nbytes) and component.nbytes is not None and component.nbytes % ALIGNMENT_BYTES == 0


def _first(view: PipelineView, stage: StageView, question: str, passes: Callable[[StageView], bool]) -> StageView:
    """Return the first of the stage and those before it that does not pass something on; kept under `question`."""
    kept: dict[str, StageView] = view.kept(question)
    passed: dict[str, None] = {}
    one = stage
    while one.id not in kept and one.id not in passed:
        passed[one.id] = None
        before = _made_by(view, one) if passes(one) else None
        if before is None:
            break
        one = before
    found = kept.get(one.id, one)
    kept.update(dict.fromkeys(passed, found))
    return found
