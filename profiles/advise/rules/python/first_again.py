"""``first-again``: a loop that starts the dataset anew for each step."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.observed import begins_each_step
from pipeprof.profiles.advise.text.slips import OfText
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView


class FirstAgain(OfText, Rule):
    """A loop that starts the dataset anew for each step.

    Seen:
        next(iter(dataset)) stands in a loop that does not make the dataset.

    Why:
        iter(dataset) starts the pipeline: files are opened, buffers are filled, threads begin. Each turn of the loop
        pays for that, and takes the first element: without a shuffle always the same one.

    Fix:
        Make one iterator before the loop, or loop over the dataset: for batch in dataset.

    Ignore when:
        The loop runs a few times and the first element is what you want.
    """

    name = "first-again"
    title = "Make the iterator once, before the loop"
    family = "correctness"
    semantics = "values"
    kind = "first-again"

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Leave out what a training script was seen to do: `iterator-each-step` reports it with its cost."""
        training = view.profile.training if view.profile is not None else None
        seen = {use.line for use in training.datasets if begins_each_step(use)} if training is not None else set()
        return [hit for hit in super().check(view) if hit.location is None or hit.location.line not in seen]

    def words(self, slip: Slip) -> tuple[str, str]:
        """Name the dataset that is started again."""
        sentence = f"`{slip.text}` starts the pipeline anew in each turn of the loop and takes its first element."
        return sentence, f"Write `iterator = iter({slip.variable})` before the loop, and `next(iterator)` in it"
