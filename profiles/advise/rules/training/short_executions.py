"""``short-executions``: steps of `fit` that are short, each in a call of its own."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.observed import SHARE, OfTraining, at, location_of, main_of, share_of
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds

MOST_TOGETHER = 50
"""Steps of one call: Python is then a fiftieth of what it was. More than an epoch has cannot be together."""


class ShortExecutions(OfTraining, Rule):
    """Steps of fit that are short, each in a call of its own.

    Seen:
        fit runs with steps_per_execution=1, a step takes less than a few milliseconds, and all steps together are more
        than a small part of the training.

    Why:
        Keras comes back to Python after every call: callbacks, the progress bar and the call of the function take from
        tenths of a millisecond to milliseconds. With steps_per_execution=50 that happens once in 50 steps. The next
        batch is then also fetched while a step runs: a pipeline that ends without prefetch overlaps with the steps.

    Fix:
        model.compile(..., steps_per_execution=50). Callbacks of batches then run once in 50 steps.

    Ignore when:
        A callback needs every single batch.
    """

    name = "short-executions"
    title = "Run several steps in one call"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("step", 3.0, "ms", "the median; a call of an empty step took 0.5 ms, a sixth of that"),
        SHARE,
    )

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the time between two calls of the function of `fit`."""
        apart, main = training.apart_ms, main_of(training)
        steps = view.profile.steps if view.profile is not None else None
        if training.consumer != "fit" or training.executions != 1 or steps is None or main is None:
            return
        step = steps.interval_ms.p50
        if step is None or apart is None or step > self.threshold("step"):
            return
        # What remains is validation, callbacks and waits between epochs: of these no call becomes less.
        if share_of((main.batches or 0) * step / 1e3, training) < self.threshold("share"):
            return
        together = min(MOST_TOGETHER, round((main.batches or 0) / max(1, training.epochs)))
        if together < 2:
            return
        last = view.root.op if view.root is not None else None
        overlaps = (
            " The pipeline ends without prefetch: with several steps in a call its fetches overlap with the steps."
            if last is not None and last != "prefetch"
            else ""
        )
        yield Proposal(
            location=location_of(main),
            sentence=(
                f"A step of fit{at(main, ' in ')} takes {milliseconds(step)} (median), and each is a call of "
                f"its own: steps_per_execution is 1. Between two calls pass {milliseconds(apart)}.{overlaps}"
            ),
            recommendation=f"Compile the model with steps_per_execution={together}.",
            evidence={"step_p50_ms": step, "apart_ms": apart},
            python=f"model.compile(..., steps_per_execution={together})",
            predicted=Prediction("unknown until it is tried: what Keras takes inside of a call is not seen"),
        )
