"""``two-iterators``: two iterators of one dataset that take batches in turn."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.observed import SHARE, OfTraining, at, location_of, share_of, share_text, without
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


class TwoIterators(OfTraining, Rule):
    """Two iterators of one dataset that take batches in turn.

    Seen:
        A training script takes batches of one dataset from two iterators at the same time.

    Why:
        Each iterator runs the whole pipeline, with its own threads and buffers: every element is loaded and decoded
        twice.

    Fix:
        Take one batch from one iterator and use it for both. Where two different batches are needed, cache() after the
        expensive stages.

    Ignore when:
        Two passes in different order are the purpose, and the pipeline is cheap or cached.
    """

    name = "two-iterators"
    title = "Use one iterator for both"
    family = "speed"
    semantics = "values"
    thresholds = (SHARE,)

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From iterators that gave batches between the same two looks."""
        del view
        for use in training.datasets:
            share = share_of(use.fetch_seconds, training)
            if use.together < 2 or use.role != "loop" or use.cached or share < self.threshold("share"):
                continue
            saved = share * (1 - 1 / use.together)
            yield Proposal(
                location=location_of(use),
                sentence=(
                    f"{use.together} iterators of one dataset{at(use, ', iterated in ')}, take batches in turn: its "
                    f"work is done {use.together} times. Their fetches took "
                    f"{share_text(use.fetch_seconds or 0.0, training)}."
                ),
                recommendation="Take one batch for both. If they must differ, cache() after the costly stages.",
                evidence={"iterators": use.together, "fetch_s": use.fetch_seconds or 0.0, "share": share},
                predicted=without(saved),
            )
