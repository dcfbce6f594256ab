"""What comes out of a stage, where TensorFlow's own spec leaves open how large a batch is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.profiles.advise.aliases import PASSING

if TYPE_CHECKING:
    from pipeprof.profiles.advise.view import Component, PipelineView, StageView


def components(view: PipelineView, stage: StageView) -> tuple[Component, ...]:
    """The components of an element, batches taken to be full.

    Without ``drop_remainder`` the last batch may be smaller than the others, so that TensorFlow does not say how large
    a batch is.
    """
    seen: set[str] = set()
    sizes: list[int] = []
    one, found = stage, stage.element
    while one.id not in seen:
        seen.add(one.id)
        found = one.element
        below, size = view.input_of(one), one.arguments.get("batch_size")
        known = found is not None and all(component.nbytes is not None for component in found)
        if known or below is None:
            break
        if one.op == "batch" and isinstance(size, int) and size > 0:
            sizes.append(size)
        elif one.op not in PASSING:
            break
        one = below
    if found is None or any(component.shape is None for component in found):
        return stage.element or ()
    return tuple(replace(component, shape=(*sizes, *(component.shape or ()))) for component in found)
