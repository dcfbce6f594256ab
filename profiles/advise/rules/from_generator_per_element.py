"""``from-generator-per-element``: a Python generator that hands over one element at a time."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.edits import Edit, InsertStage, ReplaceStage
from pipeprof.profiles.advise.perelement import alone, count, interval_ms, microseconds, per_batch, saving
from pipeprof.profiles.advise.rule import Draft, Rule, Threshold
from pipeprof.profiles.advise.view import PipelineView, StageView
from pipeprof.profiles.explain.words import milliseconds, percent, significant

_BATCHES = frozenset({"batch", "padded_batch", "ragged_batch"})


class FromGeneratorPerElement(Rule):
    """A generator's elements are batched one by one."""

    name = "from-generator-per-element"
    title = "A generator hands its elements over one by one"
    family = "speed"
    semantics = "values"
    seen = (
        "from_generator feeds a batch, most of the pipeline's time is spent in it, and an element costs about what "
        "handing it over costs: the generator itself does little."
    )
    why = (
        "Every element goes from Python to TensorFlow in a call of its own, about 57 µs under Python's lock. No "
        "num_parallel_calls and no prefetch makes that faster; fewer hand-overs do: 36 times as many rows per second "
        "when the generator yields 64 rows at a time, 40 to 60 times without a generator."
    )
    fix = (
        "If the rows lie in an array or a file that can be indexed, replace the generator by from_tensor_slices, or by "
        "range with a map that reads a slice per batch. Otherwise yield whole batches. Whether the generator only "
        "reads rows in order, nobody but you knows: what comes out must be compared."
    )
    ignore_when = "The generator's elements come one by one from outside, e.g. from a socket."
    thresholds = (
        Threshold("hand-over", 57, "µs", "measured on TensorFlow 2.21: rows of 256 floats"),
        Threshold("cost-over-hand-over", 3, "times", "an element that costs more is work in the generator"),
        Threshold("chunk-cost", 100, "µs", "the hand-over of a whole batch, measured with rows of 256 floats"),
        Threshold("time-share", 0.5, "of the time inside the stages", "below it something else comes first"),
        Threshold("elements-per-batch", 8, "elements", "below it there are few hand-overs to save"),
        Threshold("predicted-speedup", 1.05, "times", "the share of the step below which speed is left alone"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Draft]:
        """From the cost of an element and the generator's part of the time."""
        for stage in view.stages:
            batch = next((one for one in view.above(stage) if one.op in _BATCHES), None)
            if stage.op == "from_generator" and batch is not None:
                yield from self._judge(view, stage, batch)

    def _judge(self, view: PipelineView, stage: StageView, batch: StageView) -> Iterable[Draft]:
        cost, given, interval = microseconds(view, stage), per_batch(view, stage), interval_ms(view)
        share = stage.measured.share if stage.measured is not None else None
        floor = self.threshold("hand-over")
        if cost is None or given is None or interval is None or share is None:
            return
        if given < self.threshold("elements-per-batch") or share < self.threshold("time-share"):
            return
        if alone(view, cost) > floor * self.threshold("cost-over-hand-over"):
            return
        saved = max(0.0, (given * min(cost, floor) - self.threshold("chunk-cost")) / 1000)
        chunk = self.threshold("chunk-cost")
        text = f"{count(given)} hand-overs of {significant(min(cost, floor))} µs less one of {chunk:g} µs"
        predicted = saving(view, text, saved, {stage.id})
        if predicted is None or (predicted.speedup or 0.0) < self.threshold("predicted-speedup"):
            return
        yield Draft(
            stage=stage.id,
            sentence=(
                f"{stage.words} hands over {count(given)} elements per batch one by one, {significant(cost)} µs "
                f"each; a hand-over alone costs about {floor:g} µs. That is {percent(share)} of the time "
                f"inside the pipeline, {milliseconds(given * cost / 1000)} for a batch that comes every "
                f"{milliseconds(interval)}."
            ),
            recommendation=(
                "If the rows can be indexed (an array, a memory map), read them without a generator: "
                "from_tensor_slices if a copy fits into memory, else range with a map that reads a slice. Otherwise "
                f"let the generator yield {_size(batch)} rows at a time."
            ),
            evidence={
                "elements_per_batch": given,
                "us_per_element": cost,
                "hand_over_us": floor,
                "time_share": share,
                "interval_ms": interval,
            },
            edits=_edits(view, stage, batch),
            predicted=predicted,
        )


def _size(batch: StageView) -> int | str:
    size = batch.arguments.get("batch_size")
    return size if isinstance(size, int) else "many"


def _edits(view: PipelineView, stage: StageView, batch: StageView) -> tuple[Edit, ...]:
    """The generator yields chunks; they are taken apart again unless nothing but the batch follows."""
    size = _size(batch)
    yaml = [
        f"from_generator:   # {stage.id}",
        f'  python: "file.py:chunks"   # yields arrays of {size} rows; output_signature gets a first dimension',
    ]
    python = f"dataset = tf.data.Dataset.from_generator(chunks, output_signature=…)  # yields {size} rows at a time"
    chunks = ReplaceStage(stage.id, yaml="\n".join(yaml), python=python)
    if batch.op == "batch" and [one.id for one in view.readers(stage)] == [batch.id]:
        gone = ReplaceStage(
            batch.id,
            yaml=f"# {batch.id} (batch) goes: what the generator yields is a batch already",
            python="# without .batch(…): what the generator yields is a batch already",
        )
        return chunks, gone
    return chunks, InsertStage("unbatch", after=stage.id)
