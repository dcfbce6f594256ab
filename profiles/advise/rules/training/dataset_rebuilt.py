"""``dataset-rebuilt``: a dataset that is built again in every epoch."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.observed import (
    SHARE,
    OfTraining,
    at,
    location_of,
    seconds_text,
    share_of,
    share_text,
    without,
)
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


class DatasetRebuilt(OfTraining, Rule):
    """A dataset that is built again in every epoch.

    Seen:
        A training script iterates over new datasets at the same line, one after the other, and their graphs are equal.

    Why:
        Each new dataset lists its files, traces its functions and fills its buffers again before its first batch, and
        a cache() in memory starts empty. TensorFlow also learns again how many calls to run at once.

    Fix:
        Build the dataset once, before the loop over the epochs. A dataset can be iterated any number of times, and
        shuffle draws another order each time, with a seed as well, where a new dataset repeats it.

    Ignore when:
        Something that the graph does not show differs each time, such as files that another program writes meanwhile.
    """

    name = "dataset-rebuilt"
    title = "Build the dataset once, before the loop over the epochs"
    family = "speed"
    semantics = "same"
    thresholds = (SHARE,)

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From equal graphs and the time to the first batch."""
        del view
        for use in training.datasets:
            if not use.equal or use.datasets < 2 or use.role not in ("training", "loop") or use.first_seconds is None:
                continue
            seconds = use.first_seconds * (use.datasets - 1)
            share = share_of(seconds, training)
            if share < self.threshold("share") and not use.cached_in_memory:
                continue
            cache = " Its cache starts empty each time." if use.cached_in_memory else ""
            yield Proposal(
                location=location_of(use),
                sentence=(
                    f"The dataset iterated{at(use, ' in ')} was built {use.datasets:,} times with the same graph. "
                    f"Its first batch took {seconds_text(use.first_seconds)} each time: "
                    f"{share_text(seconds, training)}.{cache}"
                ),
                recommendation="Build it once, before the loop over the epochs, and iterate over it in each of them.",
                evidence={"datasets": use.datasets, "first_s": use.first_seconds, "share": share},
                python="dataset = ...  # once\nfor epoch in range(epochs):\n    for batch in dataset:\n        ...",
                predicted=without(share),
                # A new object begins with the same order, one that is kept has another one in each pass.
                semantics="order" if use.seeded else None,
            )
