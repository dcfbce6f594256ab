"""Shards of a pipeline's own: what they divide, and in which order."""

from __future__ import annotations

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.view.view import PipelineView, StageView


def own_shards(view: PipelineView) -> list[StageView]:
    """The shards that the pipeline has written itself, outside of functions, the last one first."""
    root = view.root
    line = [root, *view.below(root)] if root is not None else []
    return [one for one in line if one.owner is None and parts_of(one) > 1]


def parts_of(stage: StageView) -> int:
    """Number of parts that a shard divides its elements into; 0 of any other stage."""
    parts = stage.arguments.get("num_shards")
    return parts if traits(stage.op).cardinality == "share" and isinstance(parts, int) else 0


def below_in_line(view: PipelineView, stage: StageView) -> list[StageView]:
    """The stages that a stage gets its elements from, nearest first, down to a source or to where lines meet."""
    found: dict[str, StageView] = {}
    at = view.input_of(stage)
    while at is not None and at.id not in found:
        found[at.id] = at
        at = view.input_of(at)
    return list(found.values())


def reading_stage(view: PipelineView, below: list[StageView]) -> StageView | None:
    """The first of the stages of a line, from its source on, that reads files; None without one that is known to."""
    for stage in reversed(below):
        row = traits(stage.op)
        opens = row.opens and any(traits(one.op).reads_files for one in view.inside(stage))
        reads = row.maps and stage.function is not None and "ReadFile" in (stage.function.ops or ())
        if opens or reads or row.reads_files:
            return stage
    return None


def draws_order(stage: StageView) -> bool:
    """Whether a stage puts its elements in an order that every process draws anew, because it has no seed."""
    if stage.injected or stage.arguments.get("seed") is not None:
        return False
    if traits(stage.op).names_files:
        return stage.arguments.get("shuffle") is not False
    buffer = stage.arguments.get("buffer_size")
    return traits(stage.op).shuffles and isinstance(buffer, int) and (buffer > 1 or buffer < 0)
