"""``drop-after-expensive-map``: elements that are made, and then dropped by their position."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, PipelineEdit, ReplaceStages
from pipeprof.pipelines.graph.read.function_facts import DECODING
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import interval_ms, kept_but_in_flight, kept_share, kept_words, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import stage_call
from pipeprof.profiles.lines import is_outside_functions
from pipeprof.profiles.propose.proposal import SEMANTICS, Prediction, Proposal, Semantics
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, milliseconds, stage_name

_COSTLY = (*DECODING, "Decode", "ReadFile", "ParseExample", "ParseSequence", "ParseSingle", "Resize")
"""Beginnings of ops that take long whatever they get."""


class DropAfterExpensiveMap(Rule):
    """A shard or a skip after work that it does not need.

    Seen:
        shard or skip drops a good part of what the maps before it have made. These make one element of each, so that
        the same ones are dropped before them.

    Why:
        shard and skip go by the position of an element alone. After a map they drop what was read, decoded and resized
        for nothing: with four workers that each shard at the end, three of four calls; for a validation set that is
        the last tenth by skip, nine of ten, in every epoch and before its first batch. A take drops nothing: it ends
        the epoch, and the maps make no more.

    Fix:
        Move it before the maps, right after the names or the records. The same elements come out in the same order.
        Before a batch, skip counts single elements: skip(10) after batch(32) is skip(320) before it. The sides of a
        zip each get it.

    Ignore when:
        A map must process every element, e.g. because it counts them.
    """

    name = "drop-after-expensive-map"
    title = "Drop elements before the map"
    family = "speed"
    semantics = "same"
    yields_to = ("read-once-per-branch",)
    pays_in_restarts = True
    thresholds = (
        Threshold("kept-share", 0.8, "of the elements", "more kept leaves less than 1.25x to win on the maps", 0.95),
        Threshold("predicted-speedup", 1.05, "times", "the share of the step below which speed is left alone"),
        Threshold(
            "filtered-share",
            1.0,
            "of the elements",
            "that a filter before it keeps: where it drops one, others come out",
        ),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by what the functions of the maps contain."""
        if view.kind != "static":
            return
        for stage, places, kept in self._found(view):
            if any(_is_costly(one) for place in places for one in place.crossed):
                yield self._draft(stage, places, kept, "", None)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside the maps."""
        interval = interval_ms(view)
        for stage, places, kept in self._found(view):
            crossed = {one.id: one for place in places for one in place.crossed}
            ms = sum(one.table_ms or 0.0 for one in crossed.values())
            predicted = _predicted(view, stage, crossed, kept)
            if interval is None or predicted is None:
                continue
            if (predicted.speedup or 0.0) >= self.threshold("predicted-speedup"):
                wasted = f" {milliseconds((1 - kept) * ms)} of their {milliseconds(ms)} per batch go into these"
                yield self._draft(stage, places, kept, f"{wasted}; a batch takes {milliseconds(interval)}.", predicted)

    def _found(self, view: PipelineView) -> Iterable[tuple[StageView, list[_Place], float]]:
        for stage in view.stages:
            row, below = traits(stage.op), view.input_of(stage)
            if not (row.drops and row.by_position) or row.ends_early or below is None or stage.injected:
                continue
            kept = kept_share(view, stage)
            if kept is None or kept >= self.threshold("kept-share"):
                continue
            places = list(_places(view, _Place(below, op=stage.op), self.threshold("filtered-share")))
            if any(traits(one.op).maps for place in places for one in place.crossed):
                yield stage, places, kept

    def _draft(
        self, stage: StageView, places: list[_Place], kept: float, wasted: str, predicted: Prediction | None
    ) -> Proposal:
        crossed = list({one.id: one for place in places for one in reversed(place.crossed)}.values())
        maps = [one for one in crossed if traits(one.op).maps]
        names = listed(list(dict.fromkeys(stage_name(one) for one in maps)))
        labels = listed(list(dict.fromkeys(one.label for one in maps)))
        classes = [place.semantics for place in places]
        sides = f" in each of {len(places)} sides" if len(places) > 1 else ""
        calls = dict.fromkeys(
            f"put {stage_call(stage, place.arguments(stage))} after {place.after.label}{sides}" for place in places
        )
        move = f"Move {stage.label} before {names}" if len(places) == 1 else f"Take {stage.label} away"
        filters = [one.label for one in crossed if traits(one.op).predicate]
        effect = max(classes, key=SEMANTICS.index)
        warning = (
            f" {listed(filters)} kept all elements that were seen: one that it drops would shift the others."
            if filters and effect != "values"
            else ""
        )
        return Proposal(
            stage=stage.id,
            title=f"{stage.op.capitalize()} before {names}",
            sentence=(
                f"{stage.op} drops {kept_words(kept)} elements that {labels} make{'' if ' and ' in labels else 's'}."
                f"{wasted}"
            ),
            recommendation=f"{move}: {listed(list(calls))}.{_EFFECTS[effect]}{warning}",
            evidence={"kept_share": kept},
            edits=_edits(stage, places),
            predicted=predicted,
            semantics=effect,
            covers=(stage.id, *(one.id for one in crossed)),
        )


_EFFECTS: dict[Semantics, str] = {
    "same": " The same elements come out in the same order.",
    "randomness": " The random numbers of the map then go to other elements.",
    "values": " Which elements it drops then changes: it counts those that the filter drops as well.",
}


def moved_before_maps(view: PipelineView, stage: StageView) -> tuple[tuple[PipelineEdit, ...], Semantics] | None:
    """The edits that put a stage which drops by position before the maps, and their effect; None where none are."""
    row, below = traits(stage.op), view.input_of(stage)
    if not (row.drops and row.by_position) or below is None:
        return None
    places = list(_places(view, _Place(below, op=stage.op), 1.0))
    if not any(traits(one.op).maps for place in places for one in place.crossed):
        return None
    return _edits(stage, places), max((place.semantics for place in places), key=SEMANTICS.index)


@dataclass(frozen=True)
class _Place:
    """A place before a stage's own.

    Attributes:
        after: The stage that it then comes after.
        crossed: The stages that it then comes before, the nearest to its own place first.
        times: Elements there for one that it counts now.
    """

    after: StageView
    op: str
    crossed: tuple[StageView, ...] = ()
    times: int = 1
    semantics: Semantics = "same"

    def arguments(self, stage: StageView) -> dict[str, object]:
        """What the stage counts at this place."""
        counts = traits(stage.op).counts
        return {
            name: value * self.times if name == counts and isinstance(value, int) and value > 0 else value
            for name, value in stage.arguments.items()
        }


def _places(view: PipelineView, place: _Place, filtered: float) -> Iterable[_Place]:
    """The first places that give the same elements, one for each side of a zip; the costly stages are after them."""
    at = place.after
    sides = [view.by_id[name] for name in at.inputs if name in view.by_id]
    if len(view.readers(at)) != 1 or not sides:
        yield place
    elif len(sides) > 1 and traits(at.op).one_to_one and all(is_outside_functions(side.id) for side in sides):
        for side in sides:
            yield from _places(view, _next(place, side, "same"), filtered)
    elif len(sides) == 1 and (crossing := _crossing(view, place, at, filtered)) is not None:
        times, effect = crossing
        further = list(_places(view, _next(place, sides[0], effect, times), filtered))
        # Whatever passes elements on for nothing is left where it is.
        useful = any(traits(one.op).maps for found in further for one in found.crossed[len(place.crossed) :])
        yield from further if useful else [place]
    else:
        yield place


def _next(place: _Place, below: StageView, effect: Semantics, times: int = 1) -> _Place:
    classes = (place.semantics, effect)
    return _Place(
        below, place.op, (*place.crossed, place.after), place.times * times, max(classes, key=SEMANTICS.index)
    )


def _crossing(view: PipelineView, place: _Place, at: StageView, filtered: float) -> tuple[int, Semantics] | None:
    """What coming before a stage changes: how many elements it counts for one, and the data; None where impossible."""
    row, function = traits(at.op), at.function
    if row.maps:
        draws = function is not None and function.random is True
        return 1, "randomness" if draws else "same"
    if row.prefetches:
        return 1, "same"
    if row.predicate and not row.ends_early:
        kept = kept_but_in_flight(view, at)
        return (1, "same" if kept >= filtered else "values") if kept is not None else None
    size = at.arguments.get(row.batches) if row.batches is not None else None
    if row.stacks and row.same_components and traits(place.op).counts and isinstance(size, int) and size > 0:
        return size, "same"
    return None


def _edits(stage: StageView, places: list[_Place]) -> tuple[PipelineEdit, ...]:
    if len(places) == 1 and places[0].times == 1:
        return (MoveStage(stage.id, stage.op, before=places[0].crossed[-1].id),)
    given = [InsertStage(stage.op, place.arguments(stage), after=place.after.id) for place in places]
    return (*given, ReplaceStages((stage.id,)))


def _predicted(view: PipelineView, stage: StageView, crossed: dict[str, StageView], kept: float) -> Prediction | None:
    """What the crossed stages no longer do; a restart that skips elements is shorter by it as well."""
    spent = sum(one.ms_per_batch or 0.0 for one in crossed.values())
    walls = [(one.ms_per_batch or 0.0) / _threads(view, one) for one in crossed.values()]
    most = max([spent / view.cores, *walls])
    text = f"{kept_words(kept)} elements less in {listed([stage_name(one) for one in crossed.values()])}"
    return saving(view, text, (1 - kept) * most, {stage.id, *crossed}, restarts=False)


def _threads(view: PipelineView, stage: StageView) -> float:
    parallelism = stage.measured.parallelism if stage.measured is not None else None
    return max(1.0, min(parallelism or 1.0, view.cores))


def _is_costly(stage: StageView) -> bool:
    function = stage.function
    if function is None or not traits(stage.op).maps:
        return False
    return bool(function.python) or any(op.startswith(_COSTLY) for op in function.ops or ())
