"""``python-between-steps``: a loop whose own Python takes a good part of each step."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.loops import calls_in_loop, iterated_at
from pipeprof.profiles.advise.text.observed import OfTraining, location_of, main_of, without
from pipeprof.profiles.document.shared import Steps, Training
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import as_typed, listed, milliseconds, percent, place_of

_MOST = 0.5
"""Share of the loop's Python that is in its slow steps, from which on it is done in these."""


class PythonBetweenSteps(OfTraining, Rule):
    """A loop whose own Python takes a good part of each step.

    Seen:
        In a loop, the script's thread computes for a good part of each step, outside of tf.functions, fetches and
        saves; if most of it is done in a few steps at equal distances, these are named. Of loops whose steps are eager,
        or of JAX or PyTorch, nothing is known, and nothing is reported.

    Why:
        Meanwhile the device has nothing to do. Statistics, logs, conversions to NumPy and drawing run one after the
        other with the steps.

    Fix:
        Do it every hundredth step, or ten times less often than now; or for each batch in dataset.map, where it
        overlaps with the step; or put several ops into one tf.function.

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
        # More than a step takes goes into what is between epochs, as building a dataset again.
        if own > interval or own < self.threshold("python") or own < self.threshold("share") * interval:
            return
        place = location_of(main)
        text = view.texts.get(main.file, "")
        every = _rhythm_of(steps, own)
        loop = calls_in_loop(text, main.line, now_and_then=every is not None)
        traced = {use.name for use in training.functions}
        names = [f"{name}()" for name in loop[1] if name not in traced] if loop is not None else []
        calls = f" It calls {listed(names)}." if names else ""
        share = min(0.99, own / interval)
        where, took = f"loop at {place_of(place)}", f"{milliseconds(own)} of each step of {milliseconds(interval)}"
        if every:
            long, usual = milliseconds(steps.slow_ms or 0.0), milliseconds(steps.interval_ms.p50)
            sentence = f"Every {every:,} steps the {where} takes {long}, in others {usual} at the median: in Python,"
            sentence = f"{sentence} for at least {milliseconds(own)} a step ({percent(share)}),"
            what = f"Call {listed(names)}" if names else "Do what takes so long"
            recommendation = f"{what} less often than every {every:,} steps, or in a thread of its own."
        else:
            sentence = f"The {where} computes in Python for at least {took} ({percent(share)}),"
            of = f", of {listed(names)}," if names else ""
            recommendation = f"Do what is not the training step{of} every hundredth step, or in dataset.map."
        yield Proposal(
            location=place if loop is None else place and place.model_copy(update={"line": loop[0]}),
            sentence=f"{sentence} outside of tf.functions and fetches.{calls}",
            recommendation=recommendation,
            evidence={"python_ms": own, "step_ms": interval, "share": share},
            python=(
                f"for number, batch in enumerate({iterated_at(text, main.line) or '...'}):\n    ...  # the step\n"
                f"    if number % {10 * every if every else 100} == 0:\n"
                f"        ...  # what is not the step, in {as_typed(main.file)}"
            ),
            predicted=Prediction(without(share).formula),
        )


def _rhythm_of(steps: Steps, own_ms: float) -> int | None:
    """Every how many steps the loop computes, where most of its Python is in these; None where it is not."""
    if steps.slow_every is None or steps.slow_ms is None:
        return None
    longer = (steps.slow_ms - steps.interval_ms.p50) / steps.slow_every
    return steps.slow_every if longer >= _MOST * own_ms else None
