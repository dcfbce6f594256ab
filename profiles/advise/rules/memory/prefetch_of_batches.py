"""``prefetch-of-batches``: a prefetch after a batch whose buffer is counted in elements."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import SetArgument
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import MEMORY_GATE, weigh
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import size


class PrefetchOfBatches(Rule):
    """A prefetch after a batch whose buffer is counted in elements.

    Seen:
        After a batch, a prefetch has a buffer as large as the batch, or larger.

    Why:
        After batch(n) an element is a whole batch: prefetch(n) holds n batches, n times n elements. More than a few
        batches only help if the pipeline is slow for a while and then fast.

    Fix:
        Write prefetch(tf.data.AUTOTUNE), or 2.

    Ignore when:
        The time of a batch differs much, and the memory is there.
    """

    name = "prefetch-of-batches"
    title = "Count the prefetch in batches"
    family = "memory"
    semantics = "same"
    thresholds = (Threshold("batches", 16, "batches", "more than smooth out the steps of a pipeline"), *MEMORY_GATE)

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the buffer, the size of the batch and its bytes."""
        for stage in view.stages:
            count = stage.arguments.get("buffer_size")
            if stage.op != "prefetch" or not isinstance(count, int) or count < self.threshold("batches"):
                continue
            if (batch := _batch_before(view, stage)) is None:
                continue
            rows, each = batch.arguments.get("batch_size"), stage.element_bytes or batch.element_bytes
            if not isinstance(rows, int) or each is None or not 1 < rows <= count:
                continue
            # No more than there are in one pass over the data.
            every = stage.elements if stage.elements is not None and 0 <= stage.elements < count else None
            held = count if every is None else every
            weight = weigh(held * each, view)
            if weight.matters and held > _BATCHES:
                yield Proposal(
                    stage=stage.id,
                    sentence=(
                        f"{stage.label} comes after batch({rows}) and holds {'' if every is None else 'all '}{held:,} "
                        f"batches of {size(each)}: up to {size(held * each)}, {weight.words()}."
                    ),
                    recommendation="Count in batches: prefetch(tf.data.AUTOTUNE), or 2.",
                    evidence={"buffer_size": count, "batch_size": rows, "buffer_bytes": held * each}
                    | weight.evidence(),
                    edits=(SetArgument(stage.id, stage.op, "buffer_size", _BATCHES),),
                    predicted=Prediction(
                        f"{_BATCHES} × {size(each)} instead of {held:,}",
                        peak_rss_delta_bytes=-round((held - _BATCHES) * each),
                    ),
                )


_BATCHES = 2
"""What a prefetch at the end of a pipeline needs to hold, where its batches take about the same time."""


def _batch_before(view: PipelineView, stage: StageView) -> StageView | None:
    """The batch whose batches a stage passes on."""
    before = view.input_of(stage)
    while before is not None and not traits(before.op).batches and traits(before.op).passes:
        before = view.input_of(before)
    return before if before is not None and traits(before.op).batches else None
