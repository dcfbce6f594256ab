"""``map-before-batch-scalar``: a cheap function called per element instead of per batch."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import MoveStage
from pipeprof.profiles.advise.batch_savings import BatchSavings, alone, batching, interval_ms, microseconds, on_batches
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.constants import MAP_CALL_US
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, significant


class MapBeforeBatchScalar(Rule):
    """An element-wise map directly before a batch.

    Seen:
        A map of element-wise operations (casts, arithmetic) on small elements, or one that splits a line of CSV, feeds
        a batch, and no stage between reads the elements. Measured, a call costs little more than the call overhead.

    Why:
        Calling a map's function costs about 12 µs whatever it computes. On a few bytes that is nearly all of the time,
        and parallelism does not remove it; one call per batch pays it once.

    Fix:
        Put the batch before the map. Element-wise operations give the same for a batch, and so does tf.io.decode_csv,
        with its columns stacked along the last axis (tf.stack with axis=-1). The rule ignores functions that draw
        random numbers (one draw for the whole batch), have state, run Python or combine tensors of different shapes.

    Ignore when:
        The function should stay per element, because it will need single elements soon.
    """

    name = "map-before-batch-scalar"
    title = "Batch before the map"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("batch-size", 8, "elements", "below it there are few calls to save", to_try=4),
        Threshold(
            "element-bytes", 65536, "bytes", "beyond it the work outweighs the call (64x64x3 floats: still 7x)", 1e6
        ),
        Threshold("call-cost", MAP_CALL_US, "µs", "measured on TensorFlow 2.21: a map of one op over range"),
        Threshold(
            "cost-over-call", 3, "times", "a call that costs more does real work; batching gains less than 1.5x", 30
        ),
        Threshold("static-cost", 1.0, "ms per batch", "calls alone, without a run: 5 % of a step of 20 ms"),
        Threshold("predicted-speedup", 1.05, "times", "the share of the step below which speed is left alone"),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge the written pipeline: calls alone cost a millisecond per batch."""
        for stage, batch in self._found(view):
            calls_ms = batch.size * self.threshold("call-cost") / 1000
            if calls_ms < self.threshold("static-cost"):
                continue
            sentence = (
                f"{stage.label} calls a function {_what(stage)} for each of the {batch.size} elements of a batch. "
                f"A call costs about {self.threshold('call-cost'):g} µs whatever it computes: "
                f"{milliseconds(calls_ms)} per batch."
            )
            evidence = {"batch_size": batch.size, "element_bytes": _bytes(view, stage), "call_ms_per_batch": calls_ms}
            yield self._draft(view, stage, batch, sentence, evidence=evidence, predicted=None)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the measured cost: little more than the call overhead, and a part of the step."""
        for stage, batch in self._found(view):
            cost, interval = microseconds(view, stage), interval_ms(view)
            call = self.threshold("call-cost")
            if cost is None or interval is None:
                continue
            if alone(view, cost) > call * self.threshold("cost-over-call"):
                continue
            saved = (batch.size - 1) * call / 1000
            predicted = on_batches(view, stage, batch)
            if predicted is None or (predicted.speedup or 0.0) < self.threshold("predicted-speedup"):
                continue
            sentence = (
                f"{stage.label} calls a function {_what(stage)} for each of the {batch.size} elements of a batch: "
                f"{_costs(cost, call, stage.ms_per_batch or 0.0)}. That is {_share(saved, interval)} per batch."
            )
            evidence = {
                "batch_size": batch.size,
                "element_bytes": _bytes(view, stage),
                "us_per_element": cost,
                "call_ms_per_batch": saved,
                "interval_ms": interval,
            }
            yield self._draft(view, stage, batch, sentence, evidence=evidence, predicted=predicted)

    def _found(self, view: PipelineView) -> Iterable[tuple[StageView, BatchSavings]]:
        for stage in view.stages:
            batch = batching(view, stage) if stage.op == "map" else None
            if batch is None or batch.size < self.threshold("batch-size") or not _same_on_a_batch(view, stage):
                continue
            size = _bytes(view, stage)
            if 0 < size < self.threshold("element-bytes"):
                yield stage, batch

    def _draft(
        self,
        view: PipelineView,
        stage: StageView,
        batch: BatchSavings,
        sentence: str,
        *,
        evidence: dict[str, float | int],
        predicted: Prediction | None,
    ) -> Proposal:
        between = "".join(f"{stage.op}, " for stage in batch.between)
        return Proposal(
            stage=stage.id,
            sentence=sentence,
            evidence=evidence,
            recommendation=(
                f"Put {between}batch before the map, so that one call processes the whole batch. {_why_same(stage)}: "
                "the values stay the same."
            ),
            edits=self._moves(view, stage, batch),
            predicted=predicted,
        )

    def _moves(self, view: PipelineView, stage: StageView, batch: BatchSavings) -> tuple[MoveStage, ...]:
        """Return the moves of the batch, and of batches of its batches: for each of those the map would be called."""
        found, nbytes = list(batch.moves(stage)), _bytes(view, stage) * batch.size
        later = batching(view, batch.stage)
        while later is not None and later.size >= self.threshold("batch-size"):
            if nbytes >= self.threshold("element-bytes"):
                break
            found += later.moves(stage)
            nbytes *= later.size
            later = batching(view, later.stage)
        return tuple(found)


def _lines(stage: StageView) -> bool:
    """Whether the function splits a line into columns; its facts say whether it does more."""
    return stage.function is not None and "DecodeCSV" in (stage.function.ops or ())


def _what(stage: StageView) -> str:
    return "that splits one line" if _lines(stage) else "of element-wise ops"


def _why_same(stage: StageView) -> str:
    if _lines(stage):
        return "Splitting accepts a batch of lines, and keeps the order of the columns"
    return "Every op of the function works element by element"


def _costs(cost: float, call: float, per_batch_ms: float) -> str:
    if cost < call:
        # The model counts the function's ops, not the transfer of the call to a thread and back.
        return (
            f"{significant(cost)} µs each in tf.data's counters, {milliseconds(per_batch_ms)} per batch, which omit "
            f"most of the call overhead; a call takes about {call:g} µs"
        )
    return f"{significant(cost)} µs each, and the call alone costs about {call:g} µs"


def _share(saved: float, interval: float) -> str:
    if saved >= interval:
        return f"about all of the {milliseconds(interval)}"
    return f"up to {milliseconds(saved)} of the {milliseconds(interval)}"


def _same_on_a_batch(view: PipelineView, stage: StageView) -> bool:
    """Whether the function is known to give for a batch what it gives for its elements, batched."""
    function, below = stage.function, view.input_of(stage)
    if function is None or not function.elementwise or function.stateful_op is not None or below is None:
        return False
    if function.python is not False or function.random is not False:
        return False
    before, after = _shapes(below.element), _shapes(stage.element)
    if before is None or after is None or None in before or None in after:
        return False
    if _lines(stage):
        # A line that cannot be split would take its whole batch with it.
        return before == [()] and not any(stage.op == "ignore_errors" for stage in view.stages)
    if len({*before, *after}) == 1:
        return True
    # Tensors of different shapes: an op on two of them may broadcast, and a batch's first dimension would break that.
    alone = function.reads is not None and len(function.reads) == 1
    return alone and sorted(map(str, before)) == sorted(map(str, after))


def _shapes(element: tuple[ComponentView, ...] | None) -> list[tuple[int | None, ...] | None] | None:
    return [component.shape for component in element] if element else None


def _bytes(view: PipelineView, stage: StageView) -> int:
    """The larger of an element that goes in and one that comes out; 0 where that is not known."""
    # The length of a line may be unknown: it is about as long as its numbers.
    below = None if _lines(stage) else view.input_of(stage)
    sizes = [end.element_bytes for end in (below, stage) if end is not None]
    return int(max(size for size in sizes if size is not None)) if sizes and None not in sizes else 0
