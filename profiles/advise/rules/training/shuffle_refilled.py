"""``shuffle-refilled``: a shuffle buffer of expensive elements that is filled again at the start of each epoch."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.observed import (
    SHARE,
    OfTraining,
    begins_each_step,
    location_of,
    main_of,
    seconds_text,
    share_of,
    share_text,
    without,
)
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView


class ShuffleRefilled(OfTraining, Rule):
    """A shuffle buffer of expensive elements that is filled again at the start of each epoch.

    Seen:
        The first batch of each epoch comes much later than the others, and most of the pipeline's time is spent before
        a shuffle.

    Why:
        shuffle gives its first element when its buffer is full, and an epoch begins with an empty one. With loaded
        elements in it, each epoch loads the whole buffer while the step waits.

    Fix:
        Shuffle what is cheap, before it is loaded: indices, paths or records. Then the buffer fills at once, may be as
        large as the data set, and takes less memory. If the elements cannot be shuffled before, repeat() before the
        shuffle fills the buffer once for the whole training; epochs then mix at their borders.

    Ignore when:
        An epoch is so long that its start does not count: below the threshold it is not reported.
    """

    name = "shuffle-refilled"
    title = "Fill the shuffle buffer sooner, so that an epoch starts at once"
    family = "speed"
    semantics = "order"
    thresholds = (
        SHARE,
        Threshold("late", 5.0, "times the usual fetch", "a first batch that comes late for no reason is within that"),
        Threshold(
            "before", 0.5, "of the time inside the pipeline", "the stages before it fill most of the buffer's time"
        ),
    )

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the first batches of epochs and the costs of stages."""
        use, stage = main_of(training), self._filled(view)
        if use is None or stage is None or use.first_seconds is None or not use.batches or begins_each_step(use):
            return
        if use.cached_in_memory and use.caches_again:
            # Built once, its cache fills the buffer; and before a cache, one order would be kept for all epochs.
            return
        usual = (use.fetch_seconds or 0.0) / use.batches
        late, epochs = use.first_seconds - usual, use.epochs - 1
        share = share_of(late * epochs, training)
        if share < self.threshold("share") or use.first_seconds < self.threshold("late") * usual:
            return
        before = [one for one in view.below(stage) if one.function is not None and not one.injected]
        loads = next(iter(sorted(before, key=lambda one: -(one.table_ms or 0.0))), None)
        what = loads.label if loads is not None else "the stages before it"
        size = _buffer(stage)
        if loads is not None and not any(view.below(loads)):
            # A source loads by itself: nothing of the pipeline stands before it.
            recommendation = (
                f"Repeat before {stage.label}, so that its buffer is filled once, and end each epoch after its number "
                f"of steps, as the data then have no end; or shuffle in {what}."
            )
            python = f"dataset = dataset.repeat().shuffle({size})  # and a number of steps for each epoch"
        else:
            recommendation = f"Shuffle before {what}."
            python = f"dataset = dataset.shuffle({size}).map(...)  # the shuffle before {what}"
        yield Proposal(
            stage=stage.id,
            location=location_of(use),
            sentence=(
                f"The first batch of each epoch takes {seconds_text(use.first_seconds)}, the others "
                f"{seconds_text(usual)}: {stage.label} fills its buffer again with the results of {what}, "
                f"{share_text(late * epochs, training)}."
            ),
            recommendation=recommendation,
            evidence={"first_s": use.first_seconds, "fetch_s": usual, "epochs": use.epochs, "share": share},
            python=python,
            predicted=without(share),
        )

    def _filled(self, view: PipelineView) -> StageView | None:
        """The shuffle that most of the time is spent before."""
        costs = {stage.id: stage.table_ms or 0.0 for stage in view.stages if stage.depth == 0}
        whole = sum(costs.values())
        for stage in view.stages:
            if traits(stage.op).shuffles and stage.depth == 0 and whole:
                before = sum(costs.get(one.id, 0.0) for one in view.below(stage))
                if before >= self.threshold("before") * whole:
                    return stage
        return None


def _buffer(stage: StageView) -> str:
    size = stage.arguments.get("buffer_size")
    return str(size) if isinstance(size, int) else "buffer_size"
