"""``unused-dataset``: a dataset that is made and never used."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.loops import unused_name
from pipeprof.profiles.advise.text.observed import OfTraining, at, location_of, main_of
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


class UnusedDataset(OfTraining, Rule):
    """A dataset that is made and never used.

    Seen:
        A training script made a dataset, no other dataset reads it, and its name does not occur again in the file.

    Why:
        What it adds, such as a shuffle, an augmentation or a prefetch, has no effect: the training takes its batches
        from another dataset.

    Fix:
        Iterate over it, or remove it.

    Ignore when:
        Another module uses the name.
    """

    name = "unused-dataset"
    title = "Use the dataset, or remove it"
    family = "correctness"
    semantics = "values"

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From datasets that no other one reads, and the text of the file."""
        main = main_of(training)
        where = f" The training takes its batches{at(main, ' in ')}." if main is not None and main.file else ""
        for place in training.unread:
            name = unused_name(view.texts.get(place.file or "", ""), place.line or 0)
            if name is not None:
                yield Proposal(
                    location=location_of(place),
                    sentence=f"The dataset `{name}`{at(place, ', made in ')}, is never iterated.{where}",
                    recommendation=f"Iterate over `{name}`, or remove it.",
                    evidence={"name": name},
                )
