"""A map at another place: after stages that pass elements on, or after the filter behind it; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeprof.pipelines.changes.edits import MoveFilter, MoveStage, VectoriseMap
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.verify.guessing.caching import Caches
from pipeprof.profiles.verify.guessing.whole_batches import batch_after, in_words
from pipeprof.profiles.wording import stage_name


def reordered(line: Sequence[Stage], place: int, caches: Caches) -> Iterator[Proposal]:
    """Return places for a deterministic map, and what is possible there that is not where it is."""
    stage, name = line[place], stage_name(line[place])
    after = next((index for index in range(place + 1, len(line)) if not _moves_over(line[index])), len(line))
    crossing = [traits(one.op) for one in line[place + 1 : after]]
    # A rule moves what only drops elements, whatever the maps before it are.
    if crossing and after < len(line) and not all(row.drops for row in crossing):
        over = ", ".join(stage_name(one) for one in line[place + 1 : after])
        yield Proposal(
            f"Move {name} after {over}", f"move {name} after {over}", (MoveStage(stage.id, stage.op, line[after].id),)
        )
    crossed = next((index for index in range(place + 1, len(line)) if not traits(line[index].op).maps), len(line))
    if crossed < len(line) and line[crossed].op == "filter":
        yield from _filter_first(line, place, crossed, caches)


def _filter_first(line: Sequence[Stage], place: int, crossed: int, caches: Caches) -> Iterator[Proposal]:
    """A filter before the map: without it behind the map, the map may take whole batches, and a cache holds less."""
    stage, of = line[place], line[crossed]
    title, move = f"Move {stage_name(of)} before {stage_name(stage)}", MoveFilter(of.id, stage.id)
    change = f"move {stage_name(of)} before {stage_name(stage)}, with what its predicate reads of it"
    moved = [*line[:place], of, *line[place:crossed], *line[crossed + 1 :]]
    for cached in caches(moved, place + 1):
        edits = (move, *cached.edits)
        yield Proposal(f"{title}, then use a cache", f"{change}; {cached.change}", edits, cached.semantics)
    yield Proposal(title, change, (move,))
    batch = batch_after(moved, place + 1)
    if batch is None:
        return
    edits = (move, VectoriseMap(stage.id, batch.id))
    yield Proposal(f"{title}, then use batches", f"{change}; {in_words([stage], batch)}", edits)


def _moves_over(stage: Stage) -> bool:
    """Whether a deterministic map means the same after a stage, which then has smaller or fewer elements to pass on."""
    row = traits(stage.op)
    return row.by_position and row.passes and not (row.prefetches or row.repeats or row.stores)
