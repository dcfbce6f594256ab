"""``group-after-expensive-map``: a map of elements that a group drops, or that it is not made of."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.written_calls import call_at, key_of_inputs, last_call
from pipeprof.profiles.advise.batch_savings import interval_ms, per_batch, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import function_text
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import of_interval, percent, place_of, stage_name

_ARGUMENTS = ("key_func", "reduce_func", "window_size", "window_size_func")


class GroupAfterExpensiveMap(Rule):
    """A map of elements that a group then throws away.

    Seen:
        group_by_window takes the elements of a map that takes a good part of the time, and a take or a filter in its
        reduce_func drops a good part of them.

    Why:
        The map makes elements that no batch has. Keys are mostly known before it: a label or a name of a file.

    Fix:
        Group what the map gets, take the groups apart, map the elements that are left, and put as many into a batch as
        a group gives. Where all elements are wanted, a window_size of what is taken.

    Ignore when:
        The key is made by the map.
    """

    name = "group-after-expensive-map"
    title = "Group before the map"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("kept-share", 0.8, "of the elements", "more kept leaves less than 1.25x to win on the map"),
        Threshold("time-share", 0.3, "of the interval", "that the map takes: below it something else comes first", 0.1),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the elements that the groups take and give, and by the map's time."""
        interval = interval_ms(view)
        for stage in view.stages:
            below, drops = view.input_of(stage), dropping(view, stage)
            if drops is None or below is None or interval is None or not traits(below.op).maps or not stage.element:
                continue
            rows, taken, given = stage.element[0].shape, per_batch(view, below), per_batch(view, stage)
            ms = below.table_ms or 0.0
            if not rows or not rows[0] or not taken or not given or ms < self.threshold("time-share") * interval:
                continue
            kept = given * rows[0] / taken
            if kept < self.threshold("kept-share"):
                yield self._hit(view, (below, stage, drops), kept, ms, interval)

    def _hit(
        self,
        view: PipelineView,
        stages: tuple[StageView, StageView, StageView],
        kept: float,
        ms: float,
        interval: float,
    ) -> Proposal:
        below, stage, drops = stages
        code, name = _python(view, below, stage), stage_name(below)
        return Proposal(
            stage=below.id,
            title=f"Group before {name}",
            sentence=(
                f"{stage.label} gives {percent(kept)} of the elements that {below.label} makes: {drops.op} in it drops "
                f"the others, {of_interval((1 - kept) * ms, interval)}."
            ),
            recommendation=(
                f"Group what {name} gets, and call it on what {drops.op} leaves; a smaller window_size drops less."
                if code
                else f"Give {stage.op} a smaller window_size, of what {drops.op} leaves, or make the key before "
                f"{name}, group, and call the rest of it on what is left."
            ),
            evidence={"kept_share": kept, "map_ms_per_batch": ms},
            edits=(HandWritten((below.id, stage.id), "", code, f"group before {name}"),),
            predicted=saving(view, f"{percent(1 - kept)} fewer calls of {name}", (1 - kept) * ms, {below.id}),
        )


def dropping(view: PipelineView, stage: StageView) -> StageView | None:
    """Return what drops elements in the function of a stage that makes groups; None where nothing does."""
    if stage.op != "group_by_window":
        return None
    return next((one for one in view.inside(stage) if traits(one.op).drops or traits(one.op).predicate), None)


def _python(view: PipelineView, below: StageView, stage: StageView) -> str:
    """The group before the map; empty where the file does not show that the key is known there."""
    place, made = stage.location, below.given
    text = view.texts.get(place.file, "") if place is not None else ""
    call = call_at(text, place.line, place.column, stage.op) if place is not None else None
    if call is None or made is None or place is None:
        return ""
    given = [ast.keyword(name, one) for name, one in zip(_ARGUMENTS, call.args, strict=False)] + call.keywords
    named = {one.arg: one.value for one in given}
    if not named.keys() >= {"key_func", "reduce_func"}:
        return ""
    key = key_of_inputs(made.definition or made.text, named["key_func"], text)
    batch = last_call(named["reduce_func"], "batch", text)
    if key is None or batch is None:
        return ""
    groups = ", ".join(f"{one.arg}={key if one.arg == 'key_func' else ast.unparse(one.value)}" for one in given)
    return (
        f"dataset = dataset.{stage.op}({groups})  # {place_of(place)}, before {stage_name(below)}\n"
        f"dataset = dataset.unbatch().map({function_text(below)}, num_parallel_calls=tf.data.AUTOTUNE){batch}"
    )
