"""``first-again``: a loop that starts the dataset anew for each step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.observed import begins_each_step
from pipeprof.profiles.advise.text.slips import OfText
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import listed


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
        """Join what stands in one function; what a training script does, `iterator-each-step` reports with its cost."""
        training = view.profile.training if view.profile is not None else None
        seen = {use.line for use in training.datasets if begins_each_step(use)} if training is not None else set()
        slips = [slip for slip in view.slips if slip.kind == self.kind]
        found: dict[tuple[str | None, int | None], list[tuple[Slip, Proposal]]] = {}
        for slip, hit in zip(slips, super().check(view), strict=True):
            if slip.line not in seen:
                found.setdefault((slip.function, None if slip.function else slip.line), []).append((slip, hit))
        return [_joined([slip for slip, _ in each], each[0][1]) for each in found.values()]

    def words(self, slip: Slip) -> tuple[str, str]:
        """Name the dataset that is started again."""
        return _words([slip])


def _words(slips: Sequence[Slip]) -> tuple[str, str]:
    names = list(dict.fromkeys(slip.variable or "dataset" for slip in slips))
    texts = listed(list(dict.fromkeys(f"`{slip.text}`" for slip in slips)))
    many = len(names) > 1
    sentence = (
        f"{texts} {'start their pipelines' if many else 'starts the pipeline'} anew in each turn of the loop and "
        f"{'take their first elements' if many else 'takes its first element'}."
    )
    made = listed([f"`{_iterator(name, names)} = iter({name})`" for name in names])
    used = listed([f"`next({_iterator(name, names)})`" for name in names])
    return sentence, f"Write {made} before the loop, and {used} in it"


def _joined(slips: Sequence[Slip], hit: Proposal) -> Proposal:
    """One finding for the datasets of one function, with the lines to write."""
    sentence, recommendation = _words(slips)
    names = list(dict.fromkeys(slip.variable or "dataset" for slip in slips))
    line, (loop, _) = slips[0].line, slips[0].around
    place = f", line {loop}" if loop else ""
    # A loop that takes more than there is goes on with the next epoch.
    lines = [f"{_iterator(name, names)} = iter({name}.repeat())  # before the loop{place}" for name in names]
    used = ", ".join(f"next({_iterator(name, names)})" for name in names)
    return replace(
        hit,
        sentence=sentence,
        recommendation=f"{recommendation}.",
        python="\n".join([*lines, f"# line {line}: {used}"]),
    )


def _iterator(name: str, names: Sequence[str]) -> str:
    return f"{name.rpartition('.')[2]}_iterator" if len(names) > 1 else "iterator"
