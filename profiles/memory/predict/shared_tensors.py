"""Sharing of tensors between stages: a stage that passes tensors through holds no memory of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import ALIGNMENT_BYTES
from pipeprof.profiles.view.view import INFINITE, PipelineView, StageView


def holder(view: PipelineView, stage: StageView) -> StageView | None:
    """Return the other stage that owns the memory of all output tensors of `stage`; None if there is none.

    Stages that only pass tensors through lead to a cache in memory, which keeps all of them anyway, or to a source
    whose slices are views, or to a map that gives the same tensor in every call.
    """
    for one in _pass_through_stages(view, stage):
        if one.op == "cache" and not one.arguments.get("filename"):
            return one
        if one.op == "from_tensors":
            return one
        if one.op == "map":
            fixed = _fixed_components(one)
            return one if fixed and all(fixed) else None
        if one.op == "from_tensor_slices":
            return one if one.element and all(_view_share(component.nbytes) == 1 for component in one.element) else None
    return None


def _pass_through_stages(view: PipelineView, stage: StageView) -> Iterator[StageView]:
    """Yield the stage and those before it, as long as they only pass tensors through; the last one does not."""
    seen: set[str] = set()
    one: StageView | None = stage
    while one is not None and one.id not in seen:
        seen.add(one.id)
        yield one
        one = view.input_of(one) if traits(one.op).passes else None


def giver(view: PipelineView, stage: StageView) -> StageView | None:
    """Find the stage that produces the tensors that `stage` passes through; ``None`` if none does."""
    *_, last = _pass_through_stages(view, stage)
    return None if traits(last.op).passes else last


def shared_bytes(view: PipelineView, stage: StageView) -> float:
    """Return mean bytes of an output element of `stage` that are views of the source, or equal in all elements."""
    one = giver(view, stage)
    if one is not None and one.op == "map":
        return sum(
            (component.nbytes or 0) * kept
            for component, kept in zip(one.element or (), _fixed_components(one), strict=False)
        )
    if one is None or one.op != "from_tensor_slices":
        return 0
    return sum((component.nbytes or 0) * _view_share(component.nbytes) for component in one.element or ())


def _fixed_components(stage: StageView) -> tuple[bool, ...]:
    """Return for each output component of a map whether it is the same tensor in every call."""
    return (stage.function.fixed if stage.function is not None else None) or ()


def _view_share(nbytes: int | None) -> float:
    """Return the share of a component's slices that are aligned for a view.

    Example:
        >>> _view_share(65_536), _view_share(65_568), _view_share(65_537)
        (1.0, 0.5, 0.015625)
    """
    return math.gcd(nbytes, ALIGNMENT_BYTES) / ALIGNMENT_BYTES if nbytes else 0.0


def cache_above(view: PipelineView, stage: StageView) -> StageView | None:
    """Find a cache in memory that takes over the elements released by `stage`: together they hold each once."""
    for above in view.above(stage):
        if above.op == "cache":
            return above if not above.arguments.get("filename") and above.elements not in (None, INFINITE) else None
        if not traits(above.op).passes or above.op == "repeat":
            return None
    return None
