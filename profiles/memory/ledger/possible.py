"""Upper bounds on the bytes that stages held at a look: those of their elements, and those of the process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.profiles.memory.ledger.held import given_to
from pipeprof.profiles.memory.predict.element_size import components

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Owner
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.memory.ledger.buffers import Buffered, Look
    from pipeprof.profiles.view.view import PipelineView

_UNCOUNTED = frozenset({"string", "variant"})


def possible_looks(view: PipelineView, looks: Sequence[Look], most: int | None) -> list[Look]:
    """The looks without impossible counts.

    TensorFlow's model counts what goes into a buffer and what comes out of it. It counts a slice as the tensor that it
    is a part of, and a fused stage may take out what it never put in. Where the shapes say how large an element is,
    a buffer holds no more than that; where they do not, and the count is negative or more than the process had, how
    much it holds is unknown.

    Args:
        most: The most that the process ever had, in bytes.
    """
    return [
        replace(
            look,
            by_stage={stage: _possible(view, stage, one, look.rss or most) for stage, one in look.by_stage.items()},
        )
        for look in looks
    ]


def _possible(view: PipelineView, stage: str, one: Buffered, most: int | None) -> Buffered:
    each = _element_bytes(view, stage, one.owner)
    nbytes = one.bytes if each is None or one.elements < 0 else min(one.bytes, round(one.elements * each))
    if nbytes < 0 or (most is not None and nbytes > most):
        return replace(one, bytes=0, counted=False)
    return replace(one, bytes=nbytes)


def _element_bytes(view: PipelineView, stage_id: str, owner: Owner) -> int | None:
    """Bytes of one element in a stage's buffer by its shapes; None where they leave that open."""
    stage = view.by_id.get(stage_id)
    if stage is None:
        return None
    element = components(view, given_to(view, stage, owner))
    sizes = [component.nbytes for component in element if component.dtype not in _UNCOUNTED]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(element) > 0 else None


def forget_impossible(profile: Profile) -> None:
    """Bytes of a stage that are more than the process ever had are unknown."""
    most = profile.memory.peak_bytes
    if most is None:
        return
    for stage in profile.stages or ():
        if stage.buffered_bytes is not None and not 0 <= stage.buffered_bytes <= most:
            stage.buffered_bytes = None
        if stage.bytes_per_element is not None and stage.bytes_per_element > most:
            stage.bytes_per_element = None
