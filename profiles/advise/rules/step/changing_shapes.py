"""``changing-shapes``: a step that is traced again for every new shape of a batch."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds, significant


class ChangingShapes(Rule):
    """Batches padded to other lengths each time, and a real step some of whose calls take much longer.

    Seen:
        A padded_batch whose batches have other lengths each time, a real step, and single steps that take many times as
        long as most.

    Why:
        A tf.function or a compiled step is traced again for every shape that it has not seen, which takes from tens of
        milliseconds to seconds. With a plain tf.function, 79 batches of different lengths were 65 traces; with
        reduce_retracing=True they were three.

    Fix:
        tf.function(..., reduce_retracing=True), or an input_signature with None for the length. Where the step is
        compiled (XLA, jax.jit): few lengths, padded_batch with fixed padded_shapes or bucket_by_sequence_length with
        pad_to_bucket_boundary.

    Ignore when:
        The long steps have another cause, such as a checkpoint: this is seen from outside of the step. A smaller last
        batch is one more shape and one more trace, once; it is not reported.
    """

    name = "changing-shapes"
    title = "Give batches few shapes"
    family = "speed"
    semantics = "values"
    pays_in_step = True
    thresholds = (
        Threshold("tail", 5.0, "times the median step", "the slowest of 100 steps: a trace takes longer than a step"),
        Threshold("steps", 100.0, "", "measured steps: fewer show no slowest of 100"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """From the shapes of the batches and the times of a real step."""
        stage = _padded(view)
        steps = view.profile.steps if view.profile is not None else None
        device = view.profile.device if view.profile is not None else None
        if (
            stage is None
            or steps is None
            or steps.busy_ms is None
            or device is None
            or not step_kind(device.kind).own_code
        ):
            return
        median, slow = steps.busy_ms.p50, steps.busy_ms.p99
        if not median or not slow or steps.count < self.threshold("steps"):
            return
        if slow < self.threshold("tail") * median:
            return
        yield Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} pads each batch to its own longest element, so that shapes differ from batch to batch, "
                f"and of 100 steps the slowest takes {milliseconds(slow)}, {significant(slow / median)} times the "
                f"median of {milliseconds(median)}: a compiled step is traced again for each new shape."
            ),
            recommendation="Trace the step for all lengths at once (reduce_retracing), or pad to few lengths.",
            evidence={"step_p50_ms": median, "step_p99_ms": slow, "steps": steps.count},
            edits=(
                HandWritten(
                    (stage.id,),
                    "# padded_batch: {padded_shapes: [LONGEST]}, or few buckets with pad_to_bucket_boundary: true",
                    "@tf.function(reduce_retracing=True)\ndef step(batch):\n    ...",
                    summary="trace the step for all lengths, or pad {stage} to few lengths",
                ),
            ),
            predicted=Prediction("the long steps become as short as the others, if new shapes make them long"),
        )


def _padded(view: PipelineView) -> StageView | None:
    """The padded batch whose batches the step gets, if their lengths are not fixed."""
    for stage in view.stages:
        if stage.op != "padded_batch" or stage.owner is not None:
            continue
        after = [other for other in view.above(stage) if not other.injected]
        if any(not traits(other.op).passes for other in after):
            continue
        shapes = [part.shape for part in stage.element or ()]
        if any(shape is not None and None in shape[1:] for shape in shapes):
            return stage
    return None
