"""``functions-eager``: functions that run op by op, as for debugging."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.profiles.advise.rule import Rule
from pipeprof.profiles.advise.text.observed import OfTraining, at, location_of
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds

_UNKNOWN = Prediction("unknown until it is tried: from a few per cent with large ops to several times with small ones")


class FunctionsEager(OfTraining, Rule):
    """Functions that run op by op, as for debugging.

    Seen:
        The script has called tf.config.run_functions_eagerly(True), tf.data.experimental.enable_debug_mode(), or
        Model.compile with run_eagerly=True, and has not taken it back.

    Why:
        A function runs then as Python code, one op after the other, in each step or for each element: no op is fused,
        no two run at the same time, and each costs Python's time as well.

    Fix:
        Remove the call, or the argument. To debug a single function, print with tf.print, or leave out the decorator
        of that function alone.

    Ignore when:
        You are debugging.
    """

    name = "functions-eager"
    title = "Let functions run as graphs"
    family = "speed"
    semantics = "same"

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the calls that were seen."""
        steps = view.profile.steps if view.profile is not None else None
        for call in training.eager:
            of_pipeline = call.name.startswith("tf.data.")
            what = "The functions of the pipeline" if of_pipeline else "The training step and every tf.function"
            step = f"; a step takes {milliseconds(steps.interval_ms.mean)}" if steps is not None else ""
            yield Proposal(
                location=location_of(call),
                sentence=f"{what} run op by op, as for debugging: `{call.name}`{at(call, ' in ')}{step}.",
                recommendation=f"Remove `{call.name}`.",
                evidence={"step_ms": steps.interval_ms.mean} if steps is not None else {},
                predicted=_UNKNOWN,
            )
