"""``discarded-transformation``: a transformation whose result is thrown away."""

from __future__ import annotations

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.slips import OfText
from pipeprof.profiles.propose.proposal import Semantics
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import as_typed


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

    def effect(self, slip: Slip, view: PipelineView) -> Semantics | None:
        """Return what the stage that is lacking changes."""
        row, before = traits(slip.stage), _before(slip, view)
        if row.shuffles:
            return "order"
        if row.stores:
            # A cache would repeat what is random before it.
            made = [stage for stage in before if traits(stage.op).function is not None]
            if not before or any(one.function is None or one.function.random is not False for one in made):
                return None
            return "order" if any(traits(one.op).shuffles for one in before) else "same"
        return "same" if row.passes and row.one_to_one else None

    def saves(self, slip: Slip, view: PipelineView) -> str | None:
        """Return the costliest stage before a cache."""
        before = _before(slip, view) if traits(slip.stage).stores else []
        costly = max(before, key=lambda stage: stage.table_ms or 0.0, default=None)
        return costly.id if costly is not None and costly.table_ms else None

    def words(self, slip: Slip) -> tuple[str, str]:
        """Name the variable that lacks the stage."""
        target = slip.variable or "dataset"
        sentence = f"`{slip.text}` returns a new dataset, which nothing takes: the pipeline has no such {slip.stage}."
        return sentence, f"Write `{target} = {slip.text}`"


def _before(slip: Slip, view: PipelineView) -> list[StageView]:
    """The stages that the dataset has where its method is called: none where no later line of that function has one."""
    file, (_, last) = as_typed(str(slip.path)), slip.around
    line = [stage for stage in view.stages if stage.depth == 0 and not stage.injected]
    places = [(at, stage.location) for at, stage in enumerate(line) if stage.location is not None]
    later = [at for at, place in places if place.file == file and slip.line < place.line <= last]
    return line[: later[0]] if later else []
