"""``batch-before-shuffle``: a shuffle of whole batches."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import MoveStage, SetArgument
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import held, regrouped, upstream
from pipeprof.profiles.advise.caches import frozen_by
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.memory.predict.element_size import element_size
from pipeprof.profiles.memory.predict.model import shuffle_overhead_bytes
from pipeprof.profiles.memory.predict.predict import small_bytes
from pipeprof.profiles.memory.predict.shared_tensors import own_components
from pipeprof.profiles.propose.disorder import describe_order
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import size


class BatchBeforeShuffle(Rule):
    """A shuffle after a batch: every epoch has the same batches.

    Seen:
        A shuffle comes after a batch. Nothing before the batch is random, nothing after the shuffle splits the batches,
        and no cache after it keeps their order: that is cache-after-shuffle.

    Why:
        Each batch holds the same neighbouring elements in every epoch; only the order of the batches changes. On data
        sorted by class, a batch of 64 held 1.05 of 10 classes, against 9.99 with the shuffle before the batch. The
        buffer counts batches, not elements, so it takes batch_size times the memory.

    Fix:
        Shuffle before the batch. buffer_size then counts elements: use at least ten batches of them.

    Ignore when:
        The data is stored in random order and fixed groups are intended, or one batch is one example, such as a
        sequence of letters.
    """

    name = "batch-before-shuffle"
    title = "Shuffle elements, not batches"
    family = "correctness"
    semantics = "values"
    thresholds = (
        Threshold("batches-in-buffer", 10, "batches", "fewer: less than half of the classes in a batch of sorted data"),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the order of the stages."""
        for stage in view.stages:
            below = view.input_of(stage)
            buffer = stage.arguments.get("buffer_size")
            if (
                not traits(stage.op).shuffles
                or stage.injected
                or below is None
                or not isinstance(buffer, int)
                or buffer < 2
            ):
                continue
            batches = _batches(view, below)
            if not batches or below.elements == 1 or regrouped(view, stage) or frozen_by(view, stage) is not None:
                continue
            sizes = [batch.arguments.get("batch_size") for batch in batches]
            each = sizes[0]
            if not isinstance(each, int) or each < 2 or any(_mixed(view, batch) for batch in batches):
                continue
            yield self._draft(view, stage, batches, each, buffer)

    def _draft(
        self, view: PipelineView, stage: StageView, batches: list[StageView], each: int, buffer: int
    ) -> Proposal:
        batch = batches[0]
        single = view.input_of(batch)
        wanted = max(buffer, round(self.threshold("batches-in-buffer") * each))
        if single is not None and single.elements is not None and single.elements > 0:
            wanted = min(wanted, single.elements)
        count = single.elements if single is not None and (single.elements or 0) > 0 else None
        entry = held(view, stage, "shuffle")
        nbytes = entry.bytes if entry is not None and entry.how != "alias" else None
        takes = f", {size(nbytes)}" if nbytes else ""
        between = _between(view, stage, batch) if len(batches) == 1 else None
        movable = between is not None and not any(stage.op == "cache" for stage in between) and stage.op == "shuffle"
        edits = (
            (SetArgument(stage.id, stage.op, "buffer_size", wanted), MoveStage(stage.id, stage.op, before=batch.id))
            if movable
            else ()
        )
        return Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} shuffles the batches of {batch.label}: the same {each:,} neighbours stay together "
                f"in every epoch. Its buffer of {buffer:,} batches is {buffer * each:,} elements{takes}."
            ),
            recommendation=(
                f"Shuffle before the batch, with a buffer of {wanted:,} elements: "
                f"{describe_order(wanted, count)}; now {describe_order(buffer, count, each)}."
                if movable
                else f"Shuffle the elements before they are batched, with a buffer of {wanted:,}, after any cache."
            ),
            evidence={
                "batch_size": each,
                "buffer_size": buffer,
                "buffered_elements": buffer * each,
                "proposed_buffer_size": wanted,
                **({"buffer_bytes": nbytes} if nbytes else {}),
            },
            edits=edits,
            predicted=_predicted(view, single, wanted, nbytes) if movable else None,
        )


def _predicted(view: PipelineView, single: StageView | None, wanted: int, nbytes: int | None) -> Prediction | None:
    element = element_size(view, single) if single is not None else None
    if single is None or element is None or element.partial or not nbytes:
        return None
    own = element.bytes + shuffle_overhead_bytes(own_components(view, single), small_bytes(view, single))
    return Prediction(
        f"{wanted:,} elements × {size(own)} instead of {size(nbytes)}",
        peak_rss_delta_bytes=round(wanted * own - nbytes),
    )


def _batches(view: PipelineView, stage: StageView | None) -> list[StageView]:
    """The batches that come out of a stage unchanged, one for each side of a zip; empty if they are not batches."""
    while stage is not None and _keeps_batches(stage):
        stage = view.input_of(stage)
    if stage is None:
        return []
    if traits(stage.op).stacks:
        return [stage]
    if stage.op != "zip":
        return []
    sides = [_batches(view, view.by_id.get(side)) for side in stage.inputs]
    return [batch for side in sides for batch in side] if sides and all(sides) else []


def _between(view: PipelineView, stage: StageView, batch: StageView) -> list[StageView]:
    found: list[StageView] = []
    one = view.input_of(stage)
    while one is not None and one.id != batch.id:
        found.append(one)
        one = view.input_of(one)
    return found


def _mixed(view: PipelineView, batch: StageView) -> bool:
    """Whether a batch may hold other elements each time, or their order is unknown."""
    return any(
        traits(stage.op).reorders or (stage.op == "list_files" and stage.arguments.get("shuffle", True) is not False)
        for stage in upstream(view, batch)
    )


def _keeps_batches(stage: StageView) -> bool:
    """Whether a batch is still the same batch after the stage."""
    row = traits(stage.op)
    return (row.passes or row.one_to_one) and not row.reorders and not row.combines
