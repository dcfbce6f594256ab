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
        Each new dataset lists its files, copies its arrays and traces its functions again, and a cache() in memory
        starts empty. TensorFlow also learns again how many calls to run at once. A shuffle buffer is filled in each
        epoch, whether its dataset is new or not: that is no reason to build it once.

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
        """From equal graphs, and what was seen of the time in which they were built."""
        del view
        for use in training.datasets:
            if not use.equal or use.datasets < 2 or use.role not in ("training", "loop"):
                continue
            seconds = (use.build_seconds or 0.0) * (use.datasets - 1)
            share = share_of(seconds, training)
            if share < self.threshold("share") and not (use.cached_in_memory and use.caches_again):
                continue
            known, cache = use.build_seconds, ""
            if use.cached_in_memory and use.caches_again:
                cache = " Its cache starts empty each time."
                # What it kept would be fetched once.
                share = min(1.0, share + share_of(use.fetch_seconds, training) * (use.datasets - 1) / use.datasets)
            took = f", in {seconds_text(known)} each time: {share_text(seconds, training)}" if known else ""
            yield Proposal(
                location=location_of(use),
                sentence=(
                    f"The dataset iterated{at(use, ' in ')} was built {use.datasets:,} times with the same graph"
                    f"{took}.{cache}"
                ),
                recommendation="Build it once, before the loop over the epochs, and iterate over it in each of them.",
                evidence={"datasets": use.datasets, "build_s": known or 0.0, "share": share},
                python="dataset = ...  # once\nfor epoch in range(epochs):\n    for batch in dataset:\n        ...",
                predicted=without(share),
                # A new object begins with the same order, one that is kept has another one in each pass.
                semantics="order" if use.seeded else None,
            )
