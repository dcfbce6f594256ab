"""Sharing of tensors between stages: a stage that passes tensors through holds no memory of its own."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import ALIGNMENT_BYTES
from pipeprof.profiles.view.view import PipelineView, StageView


def holder(view: PipelineView, stage: StageView) -> StageView | None:
    """Return the other stage that owns the memory of all output tensors of `stage`; None if there is none.

    Stages that only pass tensors through lead to a cache in memory, which keeps all of them anyway, or to a source
    whose slices are views, or to a map that gives the same tensor in every call.
    """
    one = _first(view, stage, "holder", _caches)
    row = traits(one.op)
    if _caches(one) or (row.in_memory and not row.slices):
        return one
    if one.op == "map":
        fixed = _fixed_components(one)
        return one if fixed and all(fixed) else None
    if row.slices:
        return one if one.element and all(view_share(component.nbytes) == 1 for component in one.element) else None
    return None


def _caches(stage: StageView) -> bool:
    return stage.op == "cache" and not stage.arguments.get("filename")


def _first(view: PipelineView, stage: StageView, name: str, ends: Callable[[StageView], bool]) -> StageView:
    """Return the first of the stage and those before it that ends the search or does more than pass tensors through.

    Every stage on the way has the same answer: kept under `name`, so that a chain is followed once for all its stages.
    """
    kept: dict[str, StageView] = view.kept(name)
    passed: dict[str, None] = {}
    one = stage
    while one.id not in kept and one.id not in passed:
        passed[one.id] = None
        before = view.input_of(one) if traits(one.op).passes and not ends(one) else None
        if before is None:
            break
        one = before
    found = kept.get(one.id, one)
    kept.update(dict.fromkeys(passed, found))
    return found


def giver(view: PipelineView, stage: StageView) -> StageView | None:
    """Find the stage that produces the tensors that `stage` passes through; ``None`` if none does."""
    last = _first(view, stage, "giver", lambda _: False)
    return None if traits(last.op).passes else last


def ends_inside(view: PipelineView, stage: StageView) -> list[StageView]:
    """Find the last stages of the pipelines that the functions of `stage` make."""
    inner = [member for member in view.inside(stage) if member.owner == stage.id]
    read = {name for member in inner for name in member.inputs}
    return [member for member in inner if member.id not in read]


def shared_bytes(view: PipelineView, stage: StageView) -> float:
    """Return mean bytes of an output element of `stage` that are views of the source, or equal in all elements."""
    one = giver(view, stage)
    if one is not None and one.op == "map":
        return sum(
            (component.nbytes or 0) * kept
            for component, kept in zip(one.element or (), _fixed_components(one), strict=False)
        )
    if one is None or not traits(one.op).slices:
        return 0
    return sum((component.nbytes or 0) * view_share(component.nbytes) for component in one.element or ())


def text_views(view: PipelineView, stage: StageView) -> int:
    """Return how many components of an element are strings in a tensor of the source.

    A slice of a tensor of strings is a view at any address: it has neither the string nor its letters.
    """
    one = giver(view, stage)
    if one is None:
        return 0
    if traits(one.op).names_files:
        return len(stage.element or ()) or 1
    of_an_array = traits(one.op).in_memory and one.owner is None and not one.constant
    return sum(component.dtype == "string" for component in stage.element or ()) if of_an_array else 0


def own_components(view: PipelineView, stage: StageView) -> int:
    """Return how many tensors of its own an element has: all but views of strings."""
    return (len(stage.element or ()) or 1) - text_views(view, stage)


def _fixed_components(stage: StageView) -> tuple[bool, ...]:
    """Return for each output component of a map whether it is the same tensor in every call."""
    return (stage.function.fixed if stage.function is not None else None) or ()


def view_share(nbytes: int | None) -> float:
    """Return the share of a component's slices that are aligned for a view.

    Example:
        >>> view_share(65_536), view_share(65_568), view_share(65_537)
        (1.0, 0.5, 0.015625)
    """
    return math.gcd(nbytes, ALIGNMENT_BYTES) / ALIGNMENT_BYTES if nbytes else 0.0


def cache_above(view: PipelineView, stage: StageView) -> StageView | None:
    """Find a cache in memory that takes over the elements released by `stage`: together they hold each once."""
    found = view.first_after(stage, "cache_above", _takes_or_changes)
    return found if found is not None and _caches(found) and found.elements not in (None, INFINITE) else None


def _takes_or_changes(stage: StageView) -> bool:
    op = traits(stage.op)
    return op.stores or not op.passes or op.restarts
