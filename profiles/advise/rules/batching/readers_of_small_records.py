"""``readers-of-small-records``: several files read at a time whose records cost less than handing them over."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import HandWritten, SetArgument
from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import interval_ms, per_batch, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.texts import call_without
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, place_of, significant, size

_READS = "num_parallel_reads"
_CALLS = "num_parallel_calls"


class ReadersOfSmallRecords(Rule):
    """Parallel readers of small records.

    Seen:
        A reader with num_parallel_reads, or an interleave of readers with num_parallel_calls, gives small records that
        do not wait for the disk, and many of them for each batch.

    Why:
        Each record of a parallel reader is handed over between threads, which takes 5 to 10 µs with the waking of a
        thread; reading 100 bytes of a file that is in memory takes 1 to 3 µs. One thread that reads file after file is
        then several times as fast, and leaves the cores to the rest.

    Fix:
        Leave out num_parallel_reads: the files are read one after the other, so that a shuffle after it needs a larger
        buffer. Of an interleave leave out num_parallel_calls: the order stays.

    Ignore when:
        The files are on a remote disk, which answers late: there many readers wait at the same time.
    """

    name = "readers-of-small-records"
    title = "Read small records on one thread"
    family = "speed"
    semantics = "order"
    thresholds = (
        Threshold("record-bytes", 2048, "bytes", "of a record from which reading it is the work", 8192),
        Threshold("handed-over", 5, "µs", "a record between threads: measured on TensorFlow 2.21, 2 cores"),
        Threshold("time-share", 0.3, "of the interval", "that handing over takes: below it something else first", 0.1),
        Threshold("blocked", 0.3, "of the reader's time", "in which it waits for the disk: then several at a time pay"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the records per batch and their size."""
        interval = interval_ms(view)
        for stage in view.stages:
            each, records = stage.element_bytes, per_batch(view, stage)
            if stage.measured is not None and each is None:
                each = stage.measured.bytes_per_element
            edit = _edit(view, stage)
            if interval is None or edit is None or each is None or not records or self._waits(stage):
                continue
            saved = records * self.threshold("handed-over") / 1000
            if each > self.threshold("record-bytes") or saved < self.threshold("time-share") * interval:
                continue
            argument, given = edit.argument, f"{significant(records)} records of {size(each)} per batch"
            place = place_of(stage.location)
            call = (
                call_without(stage, argument) or f"{f'tf.data.{stage.op}' if argument == _READS else '.interleave'}(…)"
            )
            yield Proposal(
                stage=stage.id,
                sentence=(
                    f"{stage.label} hands over {given} between threads, about "
                    f"{milliseconds(saved)} of the {milliseconds(interval)} per batch: reading them takes less."
                ),
                recommendation=(
                    f"Leave out {argument}: one thread reads them"
                    + (", file after file, in another order." if argument == _READS else ", in the same order.")
                ),
                evidence={"records_per_batch": records, "record_bytes": each, "handed_over_ms_per_batch": saved},
                edits=(edit,),
                change_detail="one thread reads",
                by_hand=HandWritten((stage.id,), "", f"{call}  # without {argument}" + (f", {place}" if place else "")),
                predicted=saving(view, f"{given} without handing over", saved, {stage.id}),
                semantics="order" if argument == _READS else "same",
            )

    def _waits(self, stage: StageView) -> bool:
        return (stage.blocked_ms or 0.0) > self.threshold("blocked") * (stage.ms_per_batch or 0.0) > 0


def _edit(view: PipelineView, stage: StageView) -> SetArgument | None:
    """The edit that makes a parallel reader serial; None for other stages."""
    if stage.executed_op is None or not executed(stage.executed_op).asynchronous:
        return None
    if any(stage.arguments.get(name, 0) is None for name in (_READS, _CALLS)):
        return None
    row = traits(stage.op)
    if row.reads_examples and row.wrapped:
        return SetArgument(stage.id, stage.op, _READS, None)
    inside = view.inside(stage)
    reads = any(traits(one.op).reads_examples for one in inside)
    only = all(traits(one.op).function is None for one in inside)
    return SetArgument(stage.id, stage.op, _CALLS, None) if row.interleaves and reads and only else None
