"""Rules about the text of a pipeline's file: ``discarded-transformation``, ``random-at-tracing``, ``first-again``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pipeprof.pipelines.static.slips import Slip, SlipKind
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import as_typed


class _OfText:
    """What the rules about slips have in common."""

    kind: ClassVar[SlipKind]

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the text of the file."""
        for slip in view.slips:
            if slip.kind == self.kind:
                sentence, recommendation = self.words(slip)
                place = Location(file=as_typed(str(slip.path)), line=slip.line, column=slip.column)
                yield Proposal(sentence=sentence, recommendation=f"{recommendation}.", location=place)

    def words(self, slip: Slip) -> tuple[str, str]:
        """What is wrong, and what to do."""
        raise NotImplementedError


class DiscardedTransformation(_OfText, Rule):
    """A transformation whose result is thrown away.

    Seen:
        A line of the file calls a method of a dataset, such as dataset.map(f), as a statement: nothing takes the
        result.

    Why:
        Each method of tf.data.Dataset returns a new dataset and leaves its own as it is. The pipeline runs without that
        stage, and nothing fails: a prefetch that is not there, a shuffle that does not shuffle.

    Fix:
        Assign the result: dataset = dataset.map(f).

    Ignore when:
        The line is there to see whether the call fails.
    """

    name = "discarded-transformation"
    title = "Assign the result of the transformation"
    family = "correctness"
    semantics = "values"
    kind = "discarded"

    def words(self, slip: Slip) -> tuple[str, str]:
        """Name the variable that lacks the stage."""
        target = slip.variable or "dataset"
        sentence = f"`{slip.text}` returns a new dataset, which nothing takes: the pipeline has no such {slip.stage}."
        return sentence, f"Write `{target} = {slip.text}`"


class RandomAtTracing(_OfText, Rule):
    """Random numbers of NumPy or Python that are drawn once.

    Seen:
        A function that is given to map or to another transformation calls NumPy's or Python's random functions outside
        of py_function and numpy_function.

    Why:
        TensorFlow calls the function once, to trace a graph. The number that it draws there is a constant of the graph:
        all elements of all epochs get the same one, and no augmentation takes place.

    Fix:
        Draw with TensorFlow: tf.random.uniform([], low, high), or tf.random.stateless_uniform with a seed of the
        element's own.

    Ignore when:
        One number for the whole run is what you want.
    """

    name = "random-at-tracing"
    title = "Draw random numbers with TensorFlow"
    family = "correctness"
    semantics = "values"
    kind = "drawn-once"

    def words(self, slip: Slip) -> tuple[str, str]:
        """Name the call that draws."""
        sentence = (
            f"`{slip.text}` runs once, when TensorFlow traces the function that {slip.stage} was given: every element "
            "gets the same number."
        )
        return sentence, f"Write `tf.random.uniform([], low, high)` in the place of `{slip.text}`"


class FirstAgain(_OfText, Rule):
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

    def words(self, slip: Slip) -> tuple[str, str]:
        """Name the dataset that is started again."""
        sentence = f"`{slip.text}` starts the pipeline anew in each turn of the loop and takes its first element."
        return sentence, f"Write `iterator = iter({slip.variable})` before the loop, and `next(iterator)` in it"
