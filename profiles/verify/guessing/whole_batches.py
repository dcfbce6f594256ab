"""A map's function on the batches that its elements go into, by TensorFlow's own vectorisation: pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pipeprof.pipelines.graph.read.function_facts import DECODING, ELEMENTWISE, SPLITTING
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.wording import listed, stage_name

_NO_FORM: Final = SPLITTING | DECODING | {"ParseSequenceExampleV2", "SparseToDense"}
"""Ops that it does not convert: the rows that they make differ in length."""
_OF_TEXTS: Final = re.compile(r"Lookup\w+|\w*String\w*|\w*Regex\w+|Unicode\w+|Substr")
"""Nor these; a function that treats each text alone is called on the batch as it is."""


def batch_after(line: Sequence[Stage], place: int) -> Stage | None:
    """Return the batch that the elements of a map go into, with nothing before it that looks at them; None without."""
    stage = line[place]
    if stage.op != "map" or runs_python(stage) or (stage.random and not stage.draws_by_number):
        return None
    ops = {op.op for op in stage.ops or ()}
    if ops & _NO_FORM or any(map(_OF_TEXTS.fullmatch, ops - ELEMENTWISE)):
        return None
    for other in line[place + 1 :]:
        row = traits(other.op)
        if row.stacks and row.same_components and row.keeps_shapes:
            return other
        if not row.by_position or row.stores:
            return None
    return None


def maps_in_a_row(line: Sequence[Stage], place: int, least_share: float) -> tuple[Stage, ...]:
    """Return the maps in a row whose elements go into the same batch; none where one of them cannot move after it.

    The first one does a good part of the pipeline's work. What is between them goes by the position of elements.

    Args:
        least_share: Of the pipeline's work that the first one does at least.
    """
    last = place
    for number in range(place + 1, len(line)):
        if line[number].op == "map":
            last = number
        elif not _goes_by_position(line[number]):
            break
    maps: list[Stage] = []
    for stage in reversed(line[: last + 1]):
        if stage.op == "map" and stage.random is False and not runs_python(stage):
            maps.append(stage)
        elif not _goes_by_position(stage):
            break
    while maps and (maps[-1].share or 0.0) < least_share:
        maps.pop()
    return tuple(reversed(maps)) if line[place] in maps and batch_after(line, last) is not None else ()


def _goes_by_position(stage: Stage) -> bool:
    row = traits(stage.op)
    return row.by_position and not row.stores and not row.stacks


def in_words(stages: Sequence[Stage], batch: Stage) -> str:
    """State the change of a map, or of several in a row."""
    name = listed([stage_name(stage) for stage in stages])
    if any(map(_OF_TEXTS.fullmatch, {op.op for stage in stages for op in stage.ops or ()})):
        return f"move {name} after {stage_name(batch)}, to whole batches"
    return f"move {name} after {stage_name(batch)}, with tf.vectorized_map"
