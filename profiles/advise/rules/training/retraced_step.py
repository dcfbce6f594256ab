"""``retraced-step``: a tf.function that is traced again and again."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from pipeprof.pipelines.static.written_calls import parsed
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.observed import SHARE, OfTraining, at, location_of, share_of, share_text, without
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds


class RetracedStep(OfTraining, Rule):
    """A tf.function that is traced again and again.

    Seen:
        A tf.function that the script calls was traced several times, or a function was compiled by JAX several times
        at one line, and that took a good part of the training.

    Why:
        TensorFlow traces a function again for every new shape, for every new value of a Python argument, and for every
        new tf.function object. A trace runs the function's Python and takes from tens of milliseconds to seconds. JAX
        compiles again for every new shape, static argument and new jax.jit of a lambda.

    Fix:
        For shapes: tf.function(reduce_retracing=True), or an input_signature with None for the length, or batches
        padded to few lengths. For numbers: pass tensors, in JAX no static arguments that change. Make the function
        once, not in the loop.

    Ignore when:
        All shapes have been seen after the first epoch and the training is long: the traces do not come again.
    """

    name = "retraced-step"
    title = "Trace the step once"
    family = "speed"
    semantics = "same"
    thresholds = (Threshold("traces", 5.0, "", "training, evaluation and a smaller last batch are four"), SHARE)

    def judge(self, training: Training, view: PipelineView) -> Iterable[Proposal]:
        """From the traces of each tf.function."""
        for use in training.functions:
            share = share_of(use.trace_seconds, training)
            if use.traces < self.threshold("traces") or share < self.threshold("share"):
                continue
            anew = use.objects >= use.traces / 2
            objects = f" of {use.objects:,} objects" if anew else ""
            own = _definition(view.texts.get(use.file or "", ""), use.name)
            each = use.trace_seconds / (use.traces - 1)
            jax = use.compiler == "JAX"
            done = (
                f"called{at(use, ' in ')}, was compiled by JAX {use.traces:,} times. A compilation"
                if jax
                else f"{at(use, '(')}{') ' if use.file else ''}was traced {use.traces:,} times in {use.calls:,} "
                f"calls{objects}. A call that traces"
            )
            yield Proposal(
                title="Compile the step once" if jax else "",
                location=location_of(use),
                sentence=(
                    f"`{use.name}`{',' * jax} {done} took {milliseconds(1e3 * each)}: "
                    f"{share_text(use.trace_seconds, training)}."
                ),
                recommendation=(
                    "Make it once, before the loop."
                    if anew
                    else f"Pad what `{use.name}` gets to few shapes, pass numbers as arrays, and make it once."
                    if jax
                    else f"Let `{use.name}` have one trace for all shapes, and pass numbers as tensors."
                ),
                evidence={
                    "traces": use.traces,
                    "objects": use.objects,
                    "calls": use.calls,
                    "trace_s": use.trace_seconds,
                    "share": share,
                },
                python=(f"@tf.function(reduce_retracing=True)\n{own}\n    ..." if own and not anew and not jax else ""),
                predicted=without(share),
            )


def _definition(text: str, name: str) -> str:
    """The first line of a function, as a file has it; empty where it has none of that name."""
    tree = parsed(text)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return f"def {name}({ast.unparse(node.args)}):"
    return ""
