"""``files-of-few-records``: a reader is made for each file, and reads next to nothing."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import interval_ms, per_batch, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, of_interval, significant, size


class FilesOfFewRecords(Rule):
    """Many small files, each opened by a reader of its own.

    Seen:
        An interleave or flat_map makes a reader for each file and nothing else, the files hold a few records and little
        data, and making the readers takes a good part of the work.

    Why:
        A reader of one file is a dataset with an iterator, which takes some hundred microseconds to make and to end,
        as long as reading a thousand small records. With 2,000 files of one record of 1.5 KB, a batch of 64 took 36 ms
        of CPU time, and 5 ms from one file with the same records.

    Fix:
        Write the records of many files into few of 100 MB each, once, and read these. Shuffle the records as the files
        were shuffled before.

    Ignore when:
        Files come and go between epochs.
    """

    name = "files-of-few-records"
    title = "Put the records of many small files into a few"
    family = "speed"
    semantics = "order"
    thresholds = (
        Threshold("records", 32, "records", "of a file: with more, reading them is a part of the work"),
        Threshold("bytes", 1e6, "bytes", "of a file: more take longer to read than a reader to make"),
        Threshold("reader", 300, "µs", "CPU time of a reader: measured on TensorFlow 2.21, 2 cores"),
        Threshold("time-share", 0.1, "of the interval", "that making the readers takes at least"),
        Threshold(
            "work-share", 0.3, "of the work", "of the stage with its readers: below it something else first", 0.2
        ),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the files per batch, and by the records of one."""
        interval = interval_ms(view)
        for stage in view.stages:
            below, reader = view.input_of(stage), _reader(view, stage)
            if interval is None or below is None or reader is None:
                continue
            files, records, each = per_batch(view, below), per_batch(view, stage), stage.element_bytes
            if not files or not records or each is None:
                continue
            of_file = records / files
            if of_file > self.threshold("records") or of_file * each > self.threshold("bytes"):
                continue
            # On the clock: several readers are made at the same time.
            measured = sum(one.table_ms or 0.0 for one in (stage, reader))
            taken = min(files * self.threshold("reader") / 1e3, measured)
            clock = taken / max(1.0, min(view.cores, (stage.measured and stage.measured.parallelism) or 1.0))
            work = sum(one.measured.share or 0.0 for one in (stage, reader) if one.measured is not None)
            if clock < self.threshold("time-share") * interval or work < self.threshold("work-share"):
                continue
            by_hand = HandWritten((stage.id,), "", "", "write the records of many files into a few, and read these")
            yield Proposal(
                stage=stage.id,
                sentence=(
                    f"{stage.label} opens {files:,.0f} files per batch, each with {significant(of_file)} records of "
                    f"{size(each)}: making their readers takes about {of_interval(taken, interval)}."
                ),
                recommendation=(
                    "Write their records into a few files of 100 MB, once, in the order that training needs, and read "
                    "these; repeat and shuffle stay."
                ),
                evidence={"files_per_batch": files, "records_per_file": of_file, "record_bytes": each},
                edits=(by_hand,),
                by_hand=by_hand,
                predicted=saving(
                    view, f"{significant(files)} readers of {milliseconds(taken / files)}", clock, {stage.id, reader.id}
                ),
            )


def _reader(view: PipelineView, stage: StageView) -> StageView | None:
    """The reader that a stage's function makes for each element, and nothing that computes with it; None without."""
    inside = view.inside(stage) if traits(stage.op).opens else []
    readers = [one for one in inside if traits(one.op).reads_examples]
    if len(readers) != 1:
        return None
    # What is made of the records there would be lost with it.
    parts = {readers[0].id, *(one.id for one in view.inside(readers[0]))}
    return readers[0] if parts == {one.id for one in inside} else None
