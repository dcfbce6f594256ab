"""``read-once-per-branch``: one dataset of the program that several branches read, each from the beginning."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.changes.edits import HandWritten, PipelineEdit
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.written_calls import call_at, call_text
from pipeprof.profiles.advise.batch_savings import alone, interval_ms, kept_words, per_batch, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.rules.dropped.drop_after_expensive_map import moved_before_maps
from pipeprof.profiles.advise.rules.dropped.filter_after_expensive_map import filter_before_maps
from pipeprof.profiles.advise.text.snippets import function_name, stage_call
from pipeprof.profiles.lines import is_outside_functions
from pipeprof.profiles.propose.proposal import SEMANTICS, Proposal, Semantics
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import call_around, listed, milliseconds, of_interval, place_of, stage_name

_RESAMPLES = "rejection_resample"
_LOADS = ("Decode", "Parse", "ReadFile")
"""Beginnings of ops whose result depends on the element alone: of two in one function, TensorFlow runs one."""
_OF_A_PART = frozenset({"DecodeAndCropJpeg"})
"""Such ops that make a part of it, each map another one."""


class ReadOncePerBranch(Rule):
    """One dataset that several branches of the pipeline read.

    Seen:
        A dataset of the program is used in several places: filtered for each class, sharded in a loop, mapped in two
        ways and zipped, or resampled. Its maps take a good part of the time, or the maps that are zipped all read and
        decode the same element.

    Why:
        A dataset is a recipe: each branch that uses it reads the files and runs all maps again, and what a branch then
        drops was made for nothing. rejection_resample is two such branches.

    Fix:
        Branch first: filter, shard or resample the names or the records, and do the costly maps after it, in each
        branch for what it keeps or once for all of them. Where branches are made of the same elements, make all
        results in one map: of equal ops in one function, such as the decoding of one picture for several crops,
        TensorFlow runs one. The same elements come out in the same order.

    Ignore when:
        The branches are read in turn, one after the other, and each needs all of the elements.
    """

    name = "read-once-per-branch"
    title = "Read a dataset once, not in every branch"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("wasted-share", 0.2, "of the interval", "that the other branches' copies take", 0.1),
        Threshold(
            "again-share", 0.08, "of the time in the maps", "that read or decode what another of them does", 0.05
        ),
        Threshold("predicted-speedup", 1.05, "times", "the share of the step below which speed is left alone"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside all copies of what the branches share."""
        interval = interval_ms(view)
        for shared in _shared(view):
            if interval is None:
                continue
            wasted = shared.ms * (1 - shared.needed(view)) if shared.maps else 0.0
            again = shared.again(view)
            work = sum(one.ms_per_batch or 0.0 for one in shared.readers)
            if sum(again.values()) > max(wasted, self.threshold("again-share") * work):
                yield self._in_one_map(view, shared, again, interval)
            elif wasted > 0 and wasted >= self.threshold("wasted-share") * interval:
                yield self._draft(view, shared, wasted, interval)
                joins = _zip_of_shards(view, shared.readers)
                yield from [self._in_one_batch(view, shared, joins, wasted, interval)] if joins is not None else []

    def _in_one_batch(
        self, view: PipelineView, shared: _Shared, joins: StageView, wasted: float, interval: float
    ) -> Proposal:
        """All shards in a zip: elements that follow each other."""
        count, shard = len(shared.readers), shared.readers[0]
        after = "".join(stage_call(one, one.arguments) for one in reversed(shared.maps))
        places = [place for place in (place_of(shard.location), place_of(joins.location)) if place]
        where = "  # in place of the shards and the zip"
        where += f", {' and '.join(places)}" if places else ""
        text = f"Batch {count} elements of one reader, in place of {count} shards of it and their zip"
        by_hand = HandWritten(
            (joins.id,),
            "",
            f"dataset = dataset{after}.batch({count}, drop_remainder=True){where}\n"
            f"# an element has {count} rows then: a map that stacks the parts of the zip is not needed",
            text,
        )
        each = alone(view, wasted) / max(1.0, min(view.cores, float(count)))
        return Proposal(
            stage=joins.id,
            title=f"Batch {count} elements in place of the zip of {count} shards",
            sentence=(
                f"{joins.label} joins all {count} shards of one dataset, whose elements follow each other in it: each "
                f"shard runs it for itself, and {of_interval(wasted, interval)} go into elements that it drops."
            ),
            recommendation=f"{text}: the same elements, stacked.",
            evidence={"branches": count, "wasted_ms_per_batch": wasted},
            edits=(by_hand,),
            by_hand=by_hand,
            predicted=saving(view, "one reader", each, {one.id for one in shared.stages}, restarts=False),
            covers=(joins.id, *(one.id for one in shared.stages)),
        )

    def _in_one_map(self, view: PipelineView, shared: _Shared, again: Mapping[str, float], interval: float) -> Proposal:
        """The maps of a zip that each read or decode the same element, called by one map."""
        readers, wasted = shared.readers, sum(again.values())
        names = listed(list(dict.fromkeys(stage_name(one) for one in readers)))
        ops, zipped = listed(list(again)), _joined(view, readers)
        place = place_of(zipped.location) if zipped is not None else None
        text = (
            f"Call {names} in one map, in place of {len(readers)} branches and their zip: if it is the same field, "
            f"with the same arguments, what they all do to it TensorFlow then does once ({ops})."
        )
        where = f"  # in place of the zip{f', {place}' if place else ''}"
        results = _results(view, readers)
        code = f"dataset = dataset.map(lambda *element: {results}, num_parallel_calls=tf.data.AUTOTUNE){where}"
        by_hand = HandWritten(tuple(one.id for one in readers), "", code, text.rstrip("."))
        each = alone(view, wasted) / max(1.0, min(view.cores, float(len(readers))))
        return Proposal(
            stage=readers[0].id,
            title=f"Call {names} in one map",
            sentence=(
                f"{names} get the same elements, and each does {ops}: if it is the same field, "
                f"{of_interval(wasted, interval)} is done again."
            ),
            recommendation=text,
            evidence={"branches": len(readers), "wasted_ms_per_batch": wasted},
            edits=(by_hand,),
            by_hand=by_hand,
            predicted=saving(view, f"{ops} once", each, {one.id for one in readers}, restarts=False),
            semantics="values",
            covers=tuple(one.id for one in readers),
        )

    def _draft(self, view: PipelineView, shared: _Shared, wasted: float, interval: float) -> Proposal:
        names = listed(list(dict.fromkeys(stage_name(one) for one in shared.maps)))
        count, last = len(shared.copies), shared.maps[0]
        moved = [_moved(view, copy) for copy in shared.copies]
        edits = tuple(edit for move in moved if move is not None for edit in move[0]) if None not in moved else ()
        classes: list[Semantics] = [move[1] for move in moved if move is not None]
        by_hand, advice = shared.by_hand(view)
        each = alone(view, wasted) / max(1.0, min(view.cores, float(count)))
        return Proposal(
            stage=last.id,
            title=shared.title(view, names),
            sentence=(
                f"{count} branches read {last.label}, and each runs it and all before it for itself: "
                f"{of_interval(shared.ms, interval)}, {milliseconds(wasted)} of that for elements that are made twice "
                "or dropped."
            ),
            recommendation=advice,
            evidence={"branches": count, "shared_ms_per_batch": shared.ms, "wasted_ms_per_batch": wasted},
            edits=edits or (by_hand,),
            by_hand=by_hand,
            predicted=saving(view, f"{names} once", each, {one.id for one in shared.stages}, restarts=False),
            semantics=max(classes, key=SEMANTICS.index) if edits else "randomness" if shared.resampled else None,
            covers=tuple(dict.fromkeys(one.id for one in (last, *shared.copies, *shared.readers))),
        )


@dataclass(frozen=True)
class _Shared:
    """A dataset that several branches read.

    Attributes:
        copies: Its last stage in each of them.
        prefixes: The stages of each branch up to there, the last one first.
        readers: What reads it in each of them.
    """

    copies: tuple[StageView, ...]
    prefixes: tuple[tuple[StageView, ...], ...]
    readers: tuple[StageView, ...]

    @property
    def stages(self) -> list[StageView]:
        """All copies of all stages."""
        return [stage for prefix in self.prefixes for stage in prefix]

    @property
    def ms(self) -> float:
        """Time inside all copies per batch."""
        return sum(stage.table_ms or 0.0 for stage in self.stages)

    @property
    def maps(self) -> list[StageView]:
        """The maps of the first branch, the last one first."""
        return [stage for stage in self.prefixes[0] if traits(stage.op).maps]

    @property
    def resampled(self) -> StageView | None:
        """A stage of the call of `rejection_resample` that reads it."""
        return next((one for one in self.readers if one.location is not None and one.location.call == _RESAMPLES), None)

    def drops(self, view: PipelineView) -> bool:
        """Whether each branch drops elements next, or all of them do together."""
        del view
        return self.resampled is not None or all(traits(one.op).drops for one in self.readers)

    def again(self, view: PipelineView) -> dict[str, float]:
        """What every one of the maps that read it does to read or decode an element: ms per batch beyond the first."""
        if not all(traits(one.op).maps for one in self.readers) or not _results(view, self.readers):
            return {}
        fields = [one.function.reads if one.function is not None else None for one in self.readers]
        known = [one for one in fields if one is not None]
        if len(known) == len(fields) and not frozenset.intersection(*known):
            return {}
        costs = [
            {op.op: op.ms_per_batch for op in (one.measured.ops if one.measured is not None else None) or ()}
            for one in self.readers
        ]
        loads = [op for op in costs[0] if op.startswith(_LOADS) and op not in _OF_A_PART]
        common = [op for op in loads if all(op in other for other in costs)]
        # Times of ops have no waiting for a core in them.
        active = sum((one.measured.active_ms if one.measured is not None else None) or 0.0 for one in self.readers)
        scale = max(1.0, sum(one.ms_per_batch or 0.0 for one in self.readers) / active) if active else 1.0
        return {op: scale * (sum(each[op] for each in costs) - max(each[op] for each in costs)) for op in common}

    def title(self, view: PipelineView, names: str) -> str:
        """Name the change."""
        if self.resampled is not None:
            return f"Resample before {names}"
        if not self.drops(view):
            return f"Run {names} once for {len(self.copies)} branches"
        return f"{self.readers[0].op.capitalize()} before {names} in each branch"

    def needed(self, view: PipelineView) -> float:
        """Share of the elements of all copies that are used: one copy's, less what all branches drop."""
        made = sum(per_batch(view, copy) or 0.0 for copy in self.copies)
        ends = self.resampled_end(view) if self.resampled is not None else self.readers
        used = sum(per_batch(view, one) or 0.0 for one in ends) if self.drops(view) else made / len(self.copies)
        return min(1.0, used / made) if made else 1.0

    def resampled_end(self, view: PipelineView) -> Sequence[StageView]:
        """The stage that joins the branches of `rejection_resample`."""
        ids = {one.id for one in self.readers}
        joins = [stage for stage in view.stages if traits(stage.op).combines and not traits(stage.op).one_to_one]
        around = [one for one in joins if any(name.startswith(f"{one.id}.") for name in ids)]
        return around[:1] or self.readers

    def by_hand(self, view: PipelineView) -> tuple[HandWritten, str]:
        """The code to write, and what to do in words."""
        maps = list(reversed(self.maps))
        names = listed(list(dict.fromkeys(stage_name(one) for one in maps)))
        after = "".join(stage_call(one, one.arguments) for one in maps)
        line = place_of(self.maps[0].location)
        where = f"  # {line}" if line else ""
        share = kept_words(self.needed(view))
        ids = tuple(copy.id for copy in self.copies)
        if self.resampled is not None:
            of = place_of(self.resampled.location)
            code = [
                f"{_written(view, self.resampled)}  # {of}, on what {stage_name(maps[0])} gets",
                f".map(lambda _, element: element){after}{where}",
            ]
            makes = "make" if len(maps) > 1 else "makes"
            text = (
                f"Call {_RESAMPLES} ({of}) before {names}: it drops {share} of what {names} {makes}. "
                f"Read the class from what {names} {'get' if len(maps) > 1 else 'gets'}."
            )
        elif all(traits(one.op).drops for one in self.readers):
            one = self.readers[0]
            each = f"for each of {len(self.readers)} branches, {place_of(one.location)}"
            code = [f"branch = dataset{_written(view, one)}{after}  # {each}"]
            text = (
                f"Put {one.op} ({place_of(one.location)}) before {names} in each branch: together they drop {share} of "
                "what their copies make. Where it reads what only a map makes, make that alone first."
            )
        elif all(traits(one.op).maps for one in self.readers) and (results := _results(view, self.readers)):
            place = place_of(self.readers[0].location)
            code = [f"dataset = dataset{after}.map(lambda *element: {results})  # in place of the zip, {place}"]
            text = f"Make all results of {names} in one map, in place of {len(self.readers)} branches and their zip."
        else:
            code = [f"# one branch after {stage_name(self.maps[0])}{where}: let each element pass it once"]
            text = f"Let each element pass {names} once, and branch after it; or branch the names of the files before."
        return HandWritten(ids, "", "\n".join(code), text.rstrip(".")), text


def _joined(view: PipelineView, readers: Sequence[StageView]) -> StageView | None:
    """The stage that makes one element of one of each of these and of nothing more; None where another kind does."""
    ends = [[one for one in view.readers(reader) if not one.injected] for reader in readers]
    joins = ends[0][0] if ends and ends[0] else None
    if joins is None or not traits(joins.op).combines or not traits(joins.op).one_to_one:
        return None
    alone = all([one.id for one in end] == [joins.id] for end in ends)
    return joins if alone and sorted(joins.inputs) == sorted(one.id for one in readers) else None


def _zip_of_shards(view: PipelineView, readers: Sequence[StageView]) -> StageView | None:
    """The zip of all shards of a dataset in their order; None where these are others."""
    joins = _joined(view, readers) if all(one.op == "shard" for one in readers) else None
    if joins is None:
        return None
    by_id = {one.id: (one.arguments.get("num_shards"), one.arguments.get("index")) for one in readers}
    every = [(len(readers), index) for index in range(len(readers))]
    return joins if [by_id[one] for one in joins.inputs] == every else None


def _results(view: PipelineView, readers: Sequence[StageView]) -> str:
    """The results of the maps that a zip joins, in its structure; empty where no zip joins them, or in an unknown one.

    Example:
        ``(left(*element), right(*element))``
    """
    joins = _joined(view, readers)
    names = _names(view, joins) if joins is not None else None
    if joins is None or names is None or len(names) != len(joins.inputs):
        return ""
    called = {one.id: f"{_called(one)}(*element)" for one in readers}
    calls = [called[name] for name in joins.inputs]
    if all(isinstance(name, int) for name in names):
        return f"({', '.join(calls)})"
    return f"{{{', '.join(f'{name!r}: {call}' for name, call in zip(names, calls, strict=True))}}}"


def _names(view: PipelineView, joins: StageView) -> Sequence[str | int] | None:
    """Names or indices of a zip's inputs, in their order: by its call, else by its elements; None if not known."""
    given = (joins.written or {}).get("datasets")
    if isinstance(given, Mapping):
        return sorted(given)
    if isinstance(given, Sequence):
        return range(len(given))
    place = joins.location
    call = call_at(view.texts.get(place.file, ""), place.line, place.column, joins.op) if place is not None else None
    only = call.args[0] if call is not None and len(call.args) == 1 and not call.keywords else None
    if isinstance(only, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in only.keys]
        names = sorted(key for key in keys if isinstance(key, str))
        # Of a dict, TensorFlow sorts the names.
        return names if len(names) == len(keys) and not any(map(_is_nested, only.values)) else None
    sides = only.elts if isinstance(only, ast.Tuple | ast.List) else call.args if call is not None else ()
    if len(sides) > 1 and not any(map(_is_nested, sides)):
        return range(len(sides))
    first = list(dict.fromkeys(key.split(".")[0] for key in joins.keys or ()))
    return range(len(first)) if all(key.isdigit() for key in first) else first


def _is_nested(given: ast.expr) -> bool:
    return isinstance(given, ast.Dict | ast.Tuple | ast.List | ast.Starred)


def _called(stage: StageView) -> str:
    """The function of a map as it stands before its arguments."""
    return stage.given.called if stage.given is not None else function_name(stage)


def _written(view: PipelineView, stage: StageView) -> str:
    """The call of a stage, or of what it is in, as the user's file has it; else as the graph shows it."""
    place, name = stage.location, call_around(stage.op, stage.location) or stage.op
    text = view.texts.get(place.file, "") if place is not None else ""
    written = call_text(text, place.line, place.column, name) if place is not None and text else None
    if written is not None:
        return written
    return f".{name}(…)" if name != stage.op else stage_call(stage, stage.arguments)


def _shared(view: PipelineView) -> Iterable[_Shared]:
    """The longest datasets that branches share."""
    copies: dict[str, list[StageView]] = {}
    for stage in view.stages:
        if stage.measured is not None and is_outside_functions(stage.id):
            copies.setdefault(stage.measured.same_as or stage.id, []).append(stage)
    many = {stage.id: len(group) for group in copies.values() if len(group) > 1 for stage in group}
    for group in copies.values():
        readers = [reader for stage in group for reader in view.readers(stage) if not reader.injected]
        if len(group) < 2 or len(readers) != len(group) or any(many.get(one.id) == len(group) for one in readers):
            continue
        prefixes = [(stage, *view.below(stage)) for stage in group]
        yield _Shared(tuple(group), tuple(prefixes), tuple(readers))


def _moved(view: PipelineView, copy: StageView) -> tuple[tuple[PipelineEdit, ...], Semantics] | None:
    """The edits that drop elements of one branch before its maps; None where no tool makes them."""
    (reader,) = view.readers(copy)
    return filter_before_maps(view, reader) if traits(reader.op).predicate else moved_before_maps(view, reader)
