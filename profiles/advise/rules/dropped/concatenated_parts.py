"""``concatenated-parts``: many small datasets made in a loop and concatenated one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.written_calls import ROWS, parts_of_loop
from pipeprof.profiles.advise.batch_savings import interval_ms
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import stage_call
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, milliseconds, of_interval, place_of, stage_name


class ConcatenatedParts(Rule):
    """Many datasets of the same making, joined by concatenate.

    Seen:
        A loop makes a dataset for each file or group of rows, with the same stages, and concatenates it to those
        before: the pipeline has as many sources as parts.

    Why:
        Each part has iterators, threads and a prefetch of its own that start when it is reached and idle at its end,
        and only one part works at a time. Each concatenate is one more stage: the first part's elements pass all of
        them. A pipeline of hundreds of stages is slow to build, and TensorFlow tunes none of them well.

    Fix:
        One source with what the parts differ by, the names or the rows of all of them, and the stages once after it:
        the same elements in the same order. Or one interleave over the names whose function makes a part.

    Ignore when:
        The parts are few and large.
    """

    name = "concatenated-parts"
    title = "One source in place of concatenated parts"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("parts", 8, "parts", "of the same lines; fewer start and end rarely"),
        Threshold(
            "time-share", 0.3, "of the interval", "that the parts take: below it something else comes first", 0.1
        ),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the number of parts."""
        if view.kind == "static":
            for joins in self._found(view):
                yield _draft(view, joins, "")

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside all parts and what joins them."""
        interval = interval_ms(view)
        for joins in self._found(view) if interval else ():
            ms = sum(stage.table_ms or 0.0 for stage in _parts(view, joins))
            if interval is not None and ms >= self.threshold("time-share") * interval:
                all_of_it = f"They and the {len(joins)} concatenates take {_taken(view, joins, ms, interval)}."
                yield _draft(view, joins, f" {all_of_it}")

    def _found(self, view: PipelineView) -> Iterable[list[StageView]]:
        groups: dict[tuple[str, int], list[StageView]] = {}
        for stage in view.stages:
            place = stage.location
            row = traits(stage.op)
            if row.combines and row.same_components and row.cardinality == "sum" and place is not None:
                groups.setdefault((place.file, place.line), []).append(stage)
        for joins in groups.values():
            # The first one joins two parts.
            if len(joins) + 1 >= self.threshold("parts") and _alike(view, joins):
                yield joins


def _taken(view: PipelineView, joins: list[StageView], ms: float, interval: float) -> str:
    """What the parts take of a batch; their CPU time where it is known: most of them have their time from the trace."""
    seen = [stage.measured.cpu_ms_per_batch for stage in _parts(view, joins) if stage.measured is not None]
    cpu_ms = sum(one for one in seen if one is not None)
    return f"{milliseconds(cpu_ms)} of CPU per batch" if cpu_ms else of_interval(ms, interval)


def _alike(view: PipelineView, joins: list[StageView]) -> bool:
    """Whether the parts that are joined are made by the same lines."""
    made = {tuple((one.op, _line(one.location)) for one in _part(view, join)) for join in joins}
    return len(made) == 1


def _line(place: Location | None) -> tuple[str, int] | None:
    return (place.file, place.line) if place is not None else None


def _part(view: PipelineView, join: StageView) -> list[StageView]:
    """The last part of those that a stage joins, its end first."""
    end = view.by_id.get(join.inputs[-1]) if join.inputs else None
    return [end, *view.below(end)] if end is not None else []


def _parts(view: PipelineView, joins: list[StageView]) -> list[StageView]:
    """All parts, with the stages that join them but the last."""
    found = {one.id: one for join in joins for name in join.inputs if (one := view.by_id.get(name)) is not None}
    return list({one.id: one for end in found.values() for one in (end, *view.below(end))}.values())


def _of_loop(view: PipelineView, source: StageView, join: StageView) -> list[str]:
    """One source of what the parts of a loop are made of, as Python; empty where the text does not show it."""
    made, joined = source.location, join.location
    if made is None or joined is None or made.file != joined.file or made.file not in view.texts:
        return []
    parts = parts_of_loop(
        view.texts[made.file],
        (made.line, made.column, made.call or source.op),
        (joined.line, joined.column, joined.call or join.op),
    )
    if parts is None:
        return []
    names, variable = source.arguments.get("filenames"), parts.variable or "dataset"
    if isinstance(names, list) and len(names) == 1:
        return [f"{ROWS} = {parts.every}", f"{variable} = {parts.source}"]
    if not traits(source.op).slices or not (parts.kind or len(source.element or ()) == 1):
        return []
    return [f"parts = {parts.every}", f"{ROWS} = {_TOGETHER[parts.kind]}", f"{variable} = {parts.source}"]


_TOGETHER = {
    "": "tf.concat(parts, 0)",
    "tuple": "tuple(tf.concat(one, 0) for one in zip(*parts))",
    "dict": "{key: tf.concat([part[key] for part in parts], 0) for key in parts[0]}",
}
"""The rows of all parts as one, by what a part is given."""


def _code(view: PipelineView, joins: list[StageView], part: list[StageView]) -> list[str]:
    """The lines to write."""
    place, first, source = place_of(joins[0].location), place_of(part[0].location), part[0].op
    code = _of_loop(view, part[0], joins[0]) or [
        f"{ROWS} = …  # what all {len(joins) + 1} parts of {place} hold",
        f"dataset = tf.data.Dataset.{source}({ROWS})",
    ]
    # Names of the function that makes a part are none where the loop stands.
    chain = "".join(stage_call(one, one.arguments) for one in (replace(one, own=None) for one in part[1:]))
    return [*code[:-1], f"{code[-1]}{chain}  # {first}, once, without the concatenate of {place}"]


def _draft(view: PipelineView, joins: list[StageView], took: str) -> Proposal:
    count, part = len(joins) + 1, list(reversed(_part(view, joins[-1])))
    stages = listed([stage_name(one) for one in part])
    place, first = place_of(joins[0].location), place_of(part[0].location)
    code = "\n".join(_code(view, joins, part))
    by_hand = HandWritten((joins[0].id,), "", code, f"one source in place of {count} parts")
    return Proposal(
        stage=joins[-1].id,
        sentence=f"{place} joins {count} datasets of the same stages ({stages}), each with iterators of its own.{took}",
        recommendation=(
            f"Give one {part[0].op} ({first}) what all {count} parts hold, and let {stages} follow once: the same "
            "elements in the same order, and the same batches if they divide a part. Or make the parts in one "
            "interleave."
        ),
        evidence={"parts": count},
        edits=(by_hand,),
        by_hand=by_hand,
        covers=tuple(one.id for one in joins),
    )
