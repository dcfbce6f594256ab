"""Stages that drop or hold elements, before the maps that make these: where they give the same there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, ReplaceStages
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.batch_savings import kept_but_in_flight, kept_share, per_batch
from pipeprof.profiles.advise.facts.work import MUCH_WORK, before, is_plain, is_random, line_of, share_of
from pipeprof.profiles.advise.proposal import Semantics, strongest
from pipeprof.profiles.lines import is_outside_functions
from pipeprof.profiles.view.view import FunctionView, PipelineView, StageView


@dataclass(frozen=True)
class Moved:
    """A stage at an earlier place, before maps in the order of the data; it lets a share of the elements through."""

    edits: tuple[PipelineEdit, ...]
    semantics: Semantics
    kept: float
    crossed: tuple[StageView, ...]


@dataclass(frozen=True)
class _Place:
    """A place before a stage's own, past others (nearest first), with `times` elements for one that it counts now."""

    after: StageView
    op: str
    crossed: tuple[StageView, ...] = ()
    times: int = 1
    semantics: Semantics = "same"

    def arguments(self, stage: StageView) -> dict[str, object]:
        """What the stage counts at this place: `skip(10)` after `batch(32)` is `skip(320)` before it."""
        counts = traits(stage.op).counts
        return {
            name: value * self.times if name == counts and isinstance(value, int) and value > 0 else value
            for name, value in stage.arguments.items()
        }


def position_earlier(view: PipelineView, stage: StageView) -> Moved | None:
    """Return a shard or a skip before maps, whose results it drops by their position; None where it cannot be there.

    A take drops nothing: it ends the epoch, and the maps make no more.
    """
    row, below = traits(stage.op), view.input_of(stage)
    kept = kept_share(view, stage)
    if not (row.drops and row.by_position) or row.ends_early or below is None or kept is None:
        return None
    places = list(_places(view, _Place(below, op=stage.op)))
    crossed = {one.id: one for place in places for one in reversed(place.crossed) if traits(one.op).maps}
    if not crossed:
        return None
    if len(places) == 1 and places[0].times == 1:
        edits: tuple[PipelineEdit, ...] = (MoveStage(stage.id, stage.op, before=places[0].crossed[-1].id),)
    else:
        given = [InsertStage(stage.op, place.arguments(stage), after=place.after.id) for place in places]
        edits = (*given, ReplaceStages((stage.id,)))
    return Moved(edits, strongest(place.semantics for place in places), kept, tuple(crossed.values()))


def _places(view: PipelineView, place: _Place) -> Iterable[_Place]:
    """The first places that give the same elements, one for each side of a zip; the maps are after them."""
    at = place.after
    sides = [view.by_id[name] for name in at.inputs if name in view.by_id]
    if len(view.readers(at)) != 1 or not sides:
        yield place
    elif len(sides) > 1 and traits(at.op).one_to_one and all(is_outside_functions(side.id) for side in sides):
        for side in sides:
            yield from _places(view, _next(place, side, "same"))
    elif len(sides) == 1 and (crossing := _crossing(view, place, at)) is not None:
        times, effect = crossing
        further = list(_places(view, _next(place, sides[0], effect, times)))
        # Whatever passes elements on for nothing is left where it is.
        useful = any(traits(one.op).maps for found in further for one in found.crossed[len(place.crossed) :])
        yield from further if useful else [place]
    else:
        yield place


def _next(place: _Place, below: StageView, effect: Semantics, times: int = 1) -> _Place:
    crossed = (*place.crossed, place.after)
    return _Place(below, place.op, crossed, place.times * times, strongest((place.semantics, effect)))


def _crossing(view: PipelineView, place: _Place, at: StageView) -> tuple[int, Semantics] | None:
    """What coming before a stage changes: how many elements it counts for one, and the data; None where impossible."""
    row = traits(at.op)
    if row.maps:
        return 1, "randomness" if is_random(at) else "same"
    if row.prefetches:
        return 1, "same"
    if row.predicate and not row.ends_early:
        kept = kept_but_in_flight(view, at)
        # Where the filter drops one, others come out.
        return (1, "same" if kept >= 1 else "values") if kept is not None else None
    size = at.arguments.get(row.batches) if row.batches is not None else None
    if row.stacks and row.same_components and traits(place.op).counts and isinstance(size, int) and size > 0:
        return size, "same"
    return None


def filter_earlier(view: PipelineView, stage: StageView) -> Moved | None:
    """Return a filter before the maps that change nothing of what its predicate reads; None without such maps."""
    predicate = stage.function
    if stage.op != "filter" or predicate is None or not predicate.reads or not _is_pure(predicate):
        return None
    maps = list(takewhile(lambda one: not _changes(one, predicate), _maps_before(view, stage)))
    given, left = per_batch(view, maps[0]) if maps else None, per_batch(view, stage)
    first, here = view.input_of(maps[-1]) if maps else None, view.input_of(stage)
    if not given or left is None or first is None or here is None:
        return None
    if len(first.element or ()) != len(here.element or ()):
        # Its function takes other components there.
        return None
    edit = MoveStage(stage.id, stage.op, before=maps[-1].id)
    return Moved((edit,), _of_fewer(maps), min(1.0, left / given), tuple(reversed(maps)))


def _of_fewer(maps: Sequence[StageView]) -> Semantics:
    """Effect on the data where maps are called for fewer elements."""
    functions = [stage.function for stage in maps if stage.function is not None]
    if any(function.python or (function.stateful_op and not function.random) for function in functions):
        return "values"
    return "same" if all(is_random(stage) is False for stage in maps) else "randomness"


def _maps_before(view: PipelineView, stage: StageView) -> Iterator[StageView]:
    at = view.input_of(stage)
    while at is not None and len(view.readers(at)) == 1 and (traits(at.op).maps or traits(at.op).prefetches):
        if traits(at.op).maps:
            yield at
        at = view.input_of(at)


def _is_pure(function: FunctionView) -> bool:
    return function.python is False and function.random is False and function.stateful_op is None


def _changes(stage: StageView, predicate: FunctionView) -> bool:
    """Whether a map may change what a predicate reads."""
    writes = stage.function.writes if stage.function is not None else None
    return writes is None or predicate.reads is None or not writes.isdisjoint(predicate.reads)


def shuffle_earlier(view: PipelineView, stage: StageView) -> Moved | None:
    """Return a shuffle before the maps right before it, where its buffer is full sooner: the order is the same."""
    if not traits(stage.op).shuffles or stage.op != "shuffle":
        return None
    line = line_of(view, stage)
    crossed: list[StageView] = []
    for one in reversed(before(line, stage)):
        if not (traits(one.op).maps and is_plain(one)):
            break
        crossed.append(one)
    if not crossed or share_of(*crossed) < MUCH_WORK:
        return None
    edit = MoveStage(stage.id, stage.op, before=crossed[-1].id)
    return Moved((edit,), "same", 1.0, tuple(reversed(crossed)))
