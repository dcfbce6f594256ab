"""``functions-eager``: functions that run op by op, as for debugging."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace

from pipeprof.pipelines.static.written_calls import parsed
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
        The script has called tf.config.run_functions_eagerly(True) and has not taken it back, or
        tf.data.experimental.enable_debug_mode(); or it trains a model with run_eagerly=True.

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
            line = _line_of(call.name, view.texts.get(call.file or "", "")) or call.line
            place = replace(call, line=line)
            of_pipeline = call.name.startswith("tf.data.")
            what = "The functions of the pipeline" if of_pipeline else "The training step and every tf.function"
            step = f"; a step takes {milliseconds(steps.interval_ms.mean)}" if steps is not None else ""
            yield Proposal(
                location=location_of(place),
                sentence=f"{what} run op by op, as for debugging: `{call.name}`{at(place, ' in ')}{step}.",
                recommendation=f"Remove `{call.name}`.",
                evidence={"step_ms": steps.interval_ms.mean} if steps is not None else {},
                predicted=_UNKNOWN,
            )


def _line_of(name: str, text: str) -> int | None:
    """The line of an argument, which is not that of the call which trains; None for other settings."""
    tree = parsed(text) if name == "run_eagerly=True" else None
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case (
                ast.keyword(arg="run_eagerly", value=value)
                | ast.Assign(targets=[ast.Attribute(attr="run_eagerly")], value=value)
            ) if not (isinstance(value, ast.Constant) and not value.value):
                return node.lineno
    return None
