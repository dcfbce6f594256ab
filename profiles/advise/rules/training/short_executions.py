"""``short-executions``: steps of `fit` that are short, each in a call of its own."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.training import OfTraining, at, location_of, main_of, without
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds, percent


class ShortExecutions(OfTraining, Rule):
    """Steps of fit that are short, each in a call of its own.

    Seen:
        fit runs with steps_per_execution=1, a step takes a few milliseconds, and a good part of that passes in Keras
        between two steps.

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
        Threshold("step", 5.0, "ms", "from there on what Keras does between two steps is a small part"),
        Threshold("apart", 0.2, "of a step", "between two calls: what is saved must be more than a run's noise"),
    )

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the time between two calls of the function of `fit`."""
        apart, call, main = training.apart_ms, training.call_ms, main_of(training)
        if training.consumer != "fit" or training.executions != 1 or apart is None or call is None or main is None:
            return
        step = apart + call
        share = apart / step if step else 0.0
        if step > self.threshold("step") or share < self.threshold("apart"):
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
                f"A step of fit{at(main, ' in ')} takes {milliseconds(step)}, and {milliseconds(apart)} of that "
                f"({percent(share)}) pass in Keras between two calls: steps_per_execution is 1.{overlaps}"
            ),
            recommendation="Compile the model with steps_per_execution=50.",
            evidence={"step_ms": step, "apart_ms": apart, "share": share},
            python="model.compile(..., steps_per_execution=50)",
            predicted=without(share * 0.98),
        )
