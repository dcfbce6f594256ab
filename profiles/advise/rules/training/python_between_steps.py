"""``python-between-steps``: a loop whose own Python takes a good part of each step."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.loops import calls_in_loop, iterated_at
from pipeprof.profiles.advise.text.observed import OfTraining, location_of, main_of, without
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import as_typed, listed, milliseconds, percent, place_of


class PythonBetweenSteps(OfTraining, Rule):
    """A loop whose own Python takes a good part of each step.

    Seen:
        In a loop, the script's thread computes for a good part of each step, outside of tf.functions, fetches and
        saves. Of loops whose steps are eager, or of JAX or PyTorch, nothing is known, and nothing is reported.

    Why:
        Meanwhile the device has nothing to do. Statistics, logs, conversions to NumPy and drawing run one after the
        other with the steps.

    Fix:
        Do it every hundredth step; or for each batch in dataset.map, where it overlaps with the step; or put several
        ops into one tf.function.

    Ignore when:
        That Python is the training itself.
    """

    name = "python-between-steps"
    title = "Take Python out of the loop"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("python", 1.0, "ms", "per step: what a loop does for itself takes tenths of it"),
        Threshold("share", 0.3, "of a step", "the time on a core is a lower bound; less may be the step's own calls"),
    )

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the time of the script's thread on a core."""
        own, main = training.own_ms, main_of(training)
        steps = view.profile.steps if view.profile is not None else None
        if own is None or main is None or main.file is None or main.line is None or steps is None:
            return
        interval = steps.interval_ms.mean
        if own < self.threshold("python") or own < self.threshold("share") * interval:
            return
        place = location_of(main)
        text = view.texts.get(main.file, "")
        loop = calls_in_loop(text, main.line)
        traced = {use.name for use in training.functions}
        names = [f"{name}()" for name in loop[1] if name not in traced] if loop is not None else []
        calls = f" It calls {listed(names)}." if names else ""
        of = f", of {listed(names)}," if names else ""
        share = min(0.99, own / interval)
        yield Proposal(
            location=place if loop is None else place and place.model_copy(update={"line": loop[0]}),
            sentence=(
                f"The loop at {place_of(place)} computes in Python for at least {milliseconds(own)} of each step of "
                f"{milliseconds(interval)} ({percent(share)}), outside of tf.functions and fetches.{calls}"
            ),
            recommendation=f"Do what is not the training step{of} every hundredth step, or in dataset.map.",
            evidence={"python_ms": own, "step_ms": interval, "share": share},
            python=(
                f"for number, batch in enumerate({iterated_at(text, main.line) or '...'}):\n    ...  # the step\n"
                "    if number % 100 == 0:\n"
                f"        ...  # what is not the step, in {as_typed(main.file)}"
            ),
            predicted=Prediction(without(share).formula),
        )
