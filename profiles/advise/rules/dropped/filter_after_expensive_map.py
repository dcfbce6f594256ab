"""``filter-after-expensive-map``: a map of elements that the filter after it drops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.changes.edits import HandWritten, MoveFilter, MoveStage, PipelineEdit
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import interval_ms, kept_words, per_batch
from pipeprof.profiles.advise.rule import Rule, Threshold, trying
from pipeprof.profiles.advise.text.in_words import moved_as_written
from pipeprof.profiles.advise.text.snippets import function_text, stage_call
from pipeprof.profiles.propose.proposal import Proposal, Semantics
from pipeprof.profiles.view.view import FunctionView, PipelineView, StageView
from pipeprof.profiles.wording import listed, milliseconds, percent, place_of, stage_name


class FilterAfterExpensiveMap(Rule):
    """A filter that could run before the maps.

    Seen:
        A filter reads only components that pass unchanged through the maps before it, drops a good part of the
        elements, and costs less than it would save.

    Why:
        The map processes elements that the filter then drops. With the filter first, it processes only the elements
        that are kept.

    Fix:
        Move the filter before the maps. The same elements come out in the same order. A map that draws random numbers
        draws fewer of them, and the kept elements get other draws.

    Ignore when:
        A map must process every element, e.g. because it counts them.
    """

    name = "filter-after-expensive-map"
    title = "Filter before the map"
    family = "speed"
    semantics = "same"
    yields_to = ("read-once-per-branch",)
    thresholds = (
        Threshold("kept-share", 0.8, "of the elements", "more kept leaves less than 1.25x to win on the maps", 0.95),
        Threshold("predicted-speedup", 1.05, "times", "the share of the step below which speed is left alone"),
        Threshold("split-share", 0.5, "of the elements", "that a filter keeps which reads what the maps make"),
        Threshold("split-time", 0.3, "of the interval", "that the maps before such a filter take"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the elements before and after the filter, and the time on both sides."""
        for stage in view.stages:
            found = _FilterAfterMaps.below(view, stage) if stage.op == "filter" else None
            if found is not None:
                yield from self._judge(view, found)
            elif stage.op == "filter":
                yield from self._split(view, stage)

    def _judge(self, view: PipelineView, found: _FilterAfterMaps) -> Iterable[Proposal]:
        interval, kept = interval_ms(view), found.kept(view)
        mapped = found.ms
        filtered = found.filter.ms_per_batch
        if interval is None or kept is None or kept >= self.threshold("kept-share"):
            return
        if not mapped or filtered is None:
            return
        from pipeprof.profiles.advise.predict import expected

        lowest = found.maps[-1]
        edits = (_move(view, found),)
        predicted = expected(view, edits)
        if predicted is None or (predicted.speedup or 0.0) < self.threshold("predicted-speedup"):
            return
        what = " and ".join(stage.label for stage in reversed(found.maps))
        yield Proposal(
            stage=found.filter.id,
            sentence=(
                f"{found.filter.label} keeps {percent(kept)} of the elements of {what}, and reads nothing that is "
                f"changed there. Of the {milliseconds(mapped)} per batch spent there, "
                f"{milliseconds((1 - kept) * mapped)} go into dropped elements; a batch takes {milliseconds(interval)}."
            ),
            recommendation=(
                f"Move the filter before {lowest.label}: only kept elements are mapped.{found.warning}"
                f"{_other_arguments(view, found)}"
            ),
            evidence={
                "kept_share": kept,
                "map_ms_per_batch": mapped,
                "filter_ms_per_batch": filtered,
                "wasted_ms_per_batch": (1 - kept) * mapped,
                "interval_ms": interval,
            },
            edits=edits,
            predicted=predicted,
            semantics=found.semantics,
        )

    def _split(self, view: PipelineView, stage: StageView) -> Iterable[Proposal]:
        """A filter that reads what maps make gets the part of them that makes this: only a try shows what it costs."""
        found = _FilterAfterMaps.reading(view, stage, plain=False)
        kept = found.kept(view) if found is not None else None
        interval = interval_ms(view)
        if found is None or kept is None or not found.ms or interval is None:
            return
        first, plain = found.maps[-1], _FilterAfterMaps.reading(view, stage) is not None
        much = kept < self.threshold("split-share") and found.ms >= self.threshold("split-time") * interval
        worth_a_try = trying() and plain and kept < self.threshold("kept-share")
        if not (worth_a_try or (not trying() and much and found.reads_what_is_made)):
            return
        what = listed([one.label for one in reversed(found.maps)])
        names = listed([stage_name(one) for one in reversed(found.maps)])
        calls = "".join(stage_call(one, one.arguments) for one in reversed(found.maps))
        place = place_of(stage.location)
        code = (
            f"def what_it_reads(*element):\n    ...  # the part of {names} that {stage_name(stage)} reads\n"
            f"dataset = dataset.map(what_it_reads).filter({function_text(stage)}){calls}"
        )
        summary = f"make what {stage.label} reads alone, then filter"
        by_hand = HandWritten((stage.id,), "", f"{code}  # {place}" if place else code, summary)
        yield Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} drops {kept_words(kept)} elements that {what} make{'' if found.maps[1:] else 's'}, "
                f"which takes {milliseconds(found.ms)} per batch; a batch takes {milliseconds(interval)}."
            ),
            recommendation=(
                f"Make what the filter reads first, in a map of its own before {stage_name(first)}, filter, and leave "
                f"the rest of {names} to what is kept.{found.warning}"
            ),
            evidence={"kept_share": kept, "map_ms_per_batch": found.ms, "interval_ms": interval},
            edits=(MoveFilter(stage.id, before=first.id),) if plain else (by_hand,),
            semantics=found.semantics,
            by_hand=by_hand,
        )


def filter_before_maps(view: PipelineView, stage: StageView) -> tuple[tuple[PipelineEdit, ...], Semantics] | None:
    """The edit that puts a filter before the maps, and its effect; None where none is known."""
    found = _FilterAfterMaps.below(view, stage)
    if found is not None:
        return (_move(view, found),), found.semantics
    found = _FilterAfterMaps.reading(view, stage)
    return ((MoveFilter(stage.id, before=found.maps[-1].id),), found.semantics) if found is not None else None


@dataclass(frozen=True)
class _FilterAfterMaps:
    """A filter, and the maps before it that its predicate does not depend on, nearest first."""

    filter: StageView
    maps: tuple[StageView, ...]

    @classmethod
    def below(cls, view: PipelineView, stage: StageView) -> _FilterAfterMaps | None:
        predicate = stage.function
        if predicate is None or not predicate.reads or predicate.stateful_op is not None:
            return None
        if predicate.random is not False or predicate.python is not False:
            return None
        maps: list[StageView] = []
        at = view.input_of(stage)
        while at is not None and (traits(at.op).maps or traits(at.op).prefetches) and len(view.readers(at)) == 1:
            if at.op == "map":
                writes = at.function.writes if at.function is not None else None
                if writes is None or _touch(predicate.reads, writes):
                    break
                maps.append(at)
            at = view.input_of(at)
        return cls(stage, tuple(maps)) if maps else None

    @classmethod
    def reading(cls, view: PipelineView, stage: StageView, *, plain: bool = True) -> _FilterAfterMaps | None:
        """Find the maps for a predicate that reads their results, so that it needs a part of them.

        Args:
            plain: Whether a tool can take that part out of them.
        """
        predicate = stage.function
        if predicate is None or (plain and not _is_plain(predicate)):
            return None
        maps: list[StageView] = []
        at = view.input_of(stage)
        while at is not None and len(view.readers(at)) == 1:
            if traits(at.op).maps and (not plain or (at.function is not None and _is_plain(at.function, draws=True))):
                maps.append(at)
            elif not traits(at.op).prefetches:
                break
            at = view.input_of(at)
        return cls(stage, tuple(maps)) if maps else None

    @property
    def reads_what_is_made(self) -> bool:
        """Whether the predicate is known to decide by what the last of the maps makes, without random numbers."""
        predicate, made = self.filter.function, self.maps[0].function
        if predicate is None or made is None or not predicate.reads or made.writes is None:
            return False
        return predicate.random is not True and _touch(predicate.reads, made.writes)

    @property
    def ms(self) -> float | None:
        """Time inside the maps per batch."""
        return _sum([stage.ms_per_batch for stage in self.maps])

    def kept(self, view: PipelineView) -> float | None:
        """The share of the mapped elements that the filter keeps."""
        given, left = per_batch(view, self.maps[0]), per_batch(view, self.filter)
        return left / given if given and left is not None else None

    @property
    def semantics(self) -> Semantics:
        """Effect on the data if the maps skip elements."""
        functions = [stage.function for stage in self.maps if stage.function is not None]
        if any(function.python or (function.stateful_op and not function.random) for function in functions):
            return "values"
        return "randomness" if any(function.random is not False for function in functions) else "same"

    @property
    def warning(self) -> str:
        """Effect of the move, for the recommendation."""
        return {
            "values": " A map with state or Python is then called for fewer elements: check whether it counts them.",
            "randomness": " The random numbers of the map then go to other elements.",
        }.get(self.semantics, " The same elements come out in the same order.")


def _move(view: PipelineView, found: _FilterAfterMaps) -> MoveStage | MoveFilter:
    """The edit: a predicate is made for its elements, so before others it takes only what it reads of them."""
    first = found.maps[-1]
    before, after = view.input_of(first), view.input_of(found.filter)
    with_parts = MoveFilter(found.filter.id, before=first.id)
    same = moved_as_written(view, with_parts)
    if same is None:
        same = before is not None and after is not None and before.element == after.element
    if same:
        return MoveStage(found.filter.id, "filter", before=first.id)
    return with_parts


def _is_plain(function: FunctionView, *, draws: bool = False) -> bool:
    """Whether what a function gives depends on its input alone; with `draws`, also on random numbers."""
    if draws and function.random and function.stateful_op is not None:
        return function.python is False
    return function.python is False and function.random is False and function.stateful_op is None


def _other_arguments(view: PipelineView, found: _FilterAfterMaps) -> str:
    """A remark where the filter's function gets another number of tensors before the maps."""
    before, after = view.input_of(found.maps[-1]), view.input_of(found.filter)
    if before is None or after is None or before.element is None or after.element is None:
        return ""
    given, given_before = len(after.element), len(before.element)
    if given == given_before:
        return ""
    now = f"{given} tensor{'' if given == 1 else 's'}"
    return f" Its function is called with {now} now, and with {given_before} there, as {before.label} outputs them."


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _touch(reads: Iterable[str], writes: Iterable[str]) -> bool:
    """Whether one of `reads` is, holds or lies within one of `writes`; the empty key is the whole element."""
    return any(_within(read, other) or _within(other, read) for read in reads for other in writes)


def _within(inner: str, outer: str) -> bool:
    return outer in ("", inner) or inner.startswith(f"{outer}.")
