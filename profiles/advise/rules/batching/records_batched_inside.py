"""``records-batched-inside``: small records that an interleave hands over one by one, and a batch puts together."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.written_calls import call_at
from pipeprof.profiles.advise.batch_savings import interval_ms, per_batch, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import in_place, stage_call
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import of_interval, place_of, significant, size


class RecordsBatchedInside(Rule):
    """Small records that pass an interleave one by one.

    Seen:
        An interleave with num_parallel_calls opens readers of files, whose records are small, and a batch comes next.

    Why:
        Each record is handed over between threads, 5 to 10 µs. A batch that is made where the file is read is handed
        over once.

    Fix:
        Batch inside the interleave: interleave(lambda path: reader(path).batch(n)), and no batch after it. A batch
        then holds records of one file, and the last one of each file is smaller.

    Ignore when:
        Each batch must hold records of several files: then interleave fewer files, or shuffle the batches' records
        later.
    """

    name = "records-batched-inside"
    title = "Batch inside the interleave"
    family = "speed"
    semantics = "order"
    thresholds = (
        Threshold("record-bytes", 2048, "bytes", "of a record from which reading it is the work"),
        Threshold("handed-over", 5, "µs", "a record between threads: measured on TensorFlow 2.21, 2 cores"),
        Threshold("time-share", 0.3, "of the interval", "that handing over takes: below it something else first", 0.1),
        Threshold("batch-size", 8, "records", "below it there is little to save"),
        Threshold("blocked", 0.3, "of the reader's time", "in which it waits for the disk: then that is the work"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the records per batch and their size."""
        interval = interval_ms(view)
        for stage in view.stages:
            batch, records = _batch_of_records(view, stage), per_batch(view, stage)
            each = stage.element_bytes
            if interval is None or batch is None or each is None or not records:
                continue
            count = batch.arguments.get("batch_size")
            saved = records * self.threshold("handed-over") / 1000
            waits = (stage.blocked_ms or 0.0) > self.threshold("blocked") * (stage.ms_per_batch or 0.0) > 0
            if not isinstance(count, int) or count < self.threshold("batch-size") or waits:
                continue
            if each > self.threshold("record-bytes") or saved < self.threshold("time-share") * interval:
                continue
            given = f"{significant(records)} records of {size(each)} per batch"
            code = _python(view, stage, batch)
            yield Proposal(
                stage=stage.id,
                sentence=(
                    f"{stage.label} hands over {given} between threads, about {of_interval(saved, interval)}: reading "
                    "them takes less."
                ),
                recommendation=(
                    f"Batch what it opens, `.batch({count})` in its function, in place of {batch.label} after it: a "
                    "batch is handed over once, and holds records of one file."
                ),
                evidence={"records_per_batch": records, "record_bytes": each, "handed_over_ms_per_batch": saved},
                edits=(HandWritten((stage.id, batch.id), "", code, f"batch {count} records inside {{stage}}"),),
                predicted=saving(view, f"{given} without handing over", saved, {stage.id}),
                covers=(stage.id, batch.id),
            )


def _batch_of_records(view: PipelineView, stage: StageView) -> StageView | None:
    """The batch right after a parallel interleave that only reads files; None for other stages."""
    row = traits(stage.op)
    parallel = stage.executed_op is not None and executed(stage.executed_op).asynchronous
    if not row.interleaves or not parallel:
        return None
    inside, readers = view.inside(stage), view.readers(stage)
    files = [traits(one.op) for one in inside]
    only = bool(files) and all(one.wrapped and one.composed and not one.computes for one in files)
    batch = readers[0] if len(readers) == 1 else None
    stacks = batch is not None and traits(batch.op).stacks and not traits(batch.op).pads
    return batch if only and stacks else None


def _python(view: PipelineView, stage: StageView, batch: StageView) -> str:
    """The interleave with the batch inside."""
    place, given = stage.location, stage.given
    text = view.texts.get(place.file, "") if place is not None else ""
    call = call_at(text, place.line, place.column, stage.op) if place is not None else None
    inner = stage_call(batch, batch.arguments)
    where = f"  # {place_of(place)}, without the batch after it" if place is not None else ""
    if call is None or given is None or not call.args:
        return f".interleave(lambda path: …{inner}){where}"
    function = call.args[0]
    parameter, made = "path", f"{ast.unparse(function)}(path)"
    if isinstance(function, ast.Lambda):
        parameter, made = ast.unparse(function.args), ast.unparse(function.body)
    rest = "".join(f", {ast.unparse(one)}" for one in (*call.args[1:], *call.keywords))
    return in_place((stage, batch), f".interleave(lambda {parameter}: {made}{inner}{rest})")
