"""``unused-dataset``: a dataset that is made and never used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.loops import unused_name
from pipeprof.profiles.advise.text.observed import OfTraining, at, location_of, main_of
from pipeprof.profiles.document.shared import CodePlace, Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import as_typed


class UnusedDataset(OfTraining, Rule):
    """A dataset that is made and never used.

    Seen:
        A training script made a dataset, no other dataset reads it, no loop and no `fit` iterates over it, and its
        name does not occur again in the file. Of a module that it imports only names inside of functions count.

    Why:
        What it adds, such as a shuffle, an augmentation or a prefetch, has no effect: the training takes its batches
        from another dataset.

    Fix:
        Iterate over it, or remove it.

    Ignore when:
        Something outside of the script uses it, such as a debugger.
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
            text = view.texts.get(place.file or "", "")
            name = unused_name(text, place.line or 0, in_module=_is_script(place, view))
            if name is not None:
                yield Proposal(
                    location=location_of(place),
                    sentence=f"The dataset `{name}`{at(place, ', made in ')}, is never iterated.{where}",
                    recommendation=f"Iterate over `{name}`, or remove it.",
                    evidence={"name": name},
                )


def _is_script(place: CodePlace, view: PipelineView) -> bool:
    """Whether a line is in the script itself, whose names no other module has."""
    script = view.profile.target.text if view.profile is not None else None
    return None not in (place.file, script) and PurePath(as_typed(place.file or "")) == PurePath(as_typed(script or ""))
