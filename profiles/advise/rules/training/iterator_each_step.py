"""``iterator-each-step``: a new iterator for every step."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.loops import iterated_at
from pipeprof.profiles.advise.text.observed import (
    SHARE,
    OfTraining,
    at,
    begins_each_step,
    location_of,
    share_of,
    share_text,
    without,
)
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds


class IteratorEachStep(OfTraining, Rule):
    """A new iterator for every step.

    Seen:
        A training script makes about as many iterators of a dataset as it takes batches: next(iter(dataset)) in a loop.

    Why:
        A new iterator begins at the first element: it starts threads, fills the shuffle buffer and drops both after one
        batch. Without a shuffle every step trains on the same batch.

    Fix:
        Make one iterator before the loop, iterator = iter(dataset.repeat()), and call next(iterator) in it.

    Ignore when:
        Never in a training loop.
    """

    name = "iterator-each-step"
    title = "Make one iterator for all steps"
    family = "speed"
    semantics = "values"
    thresholds = (Threshold("iterators", 10.0, "", "a look at a batch, also at several, is no training"), SHARE)

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the numbers of iterators and batches."""
        for use in training.datasets:
            # An epoch of `fit` has an iterator of its own, however few batches it has.
            if use.role != "loop" or not begins_each_step(use) or use.first_seconds is None:
                continue
            seconds = use.first_seconds * use.iterators
            share = share_of(seconds, training)
            if share < self.threshold("share"):
                continue
            batches = {"batches": use.batches} if use.batches is not None else {}
            name = iterated_at(view.texts.get(use.file or "", ""), use.line or 0)
            given = f"{name}.repeat()" if name else "..."
            yield Proposal(
                location=location_of(use),
                sentence=(
                    f"{use.iterators:,} iterators were made{at(use, ' in ')} for "
                    f"{use.batches or use.iterators:,} batches: each step starts the dataset again, "
                    f"{milliseconds(1e3 * use.first_seconds)} until its batch, {share_text(seconds, training)}."
                ),
                recommendation=f"Make one iterator of {name or 'the dataset'} before the loop and call next() on it.",
                evidence={"iterators": use.iterators, **batches, "first_s": use.first_seconds},
                python=f"iterator = iter({given})  # before the loop\nbatch = next(iterator)  # in each step",
                predicted=without(share),
            )
