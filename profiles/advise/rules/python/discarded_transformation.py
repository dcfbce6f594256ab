"""``discarded-transformation``: a transformation whose result is thrown away."""

from __future__ import annotations

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.slips import OfText
from pipeprof.profiles.propose.proposal import Semantics


class DiscardedTransformation(OfText, Rule):
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

    def effect(self, slip: Slip) -> Semantics | None:
        """Return what the stage that is lacking changes."""
        row = traits(slip.stage)
        if row.shuffles:
            return "order"
        # A cache would repeat what is random before it.
        return "same" if row.passes and row.one_to_one and not row.stores else None

    def words(self, slip: Slip) -> tuple[str, str]:
        """Name the variable that lacks the stage."""
        target = slip.variable or "dataset"
        sentence = f"`{slip.text}` returns a new dataset, which nothing takes: the pipeline has no such {slip.stage}."
        return sentence, f"Write `{target} = {slip.text}`"
