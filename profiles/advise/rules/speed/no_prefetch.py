"""``no-prefetch``: a pipeline that ends in a synchronous stage, while the device waits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.cores import BUSY_CORES, ONE_CORE, spare_cores
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.thread_chains import Timing, drawn, end, inputs, runs_ahead, timing, total_ms
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import milliseconds

_SWITCHES = (
    ("autotune.enabled", "autotune is off"),
    ("experimental_optimization.apply_default_optimizations", "TensorFlow's default optimizations are off"),
    ("experimental_optimization.inject_prefetch", "inject_prefetch is off"),
)


class NoPrefetch(Rule):
    """A pipeline that does not work while the device does.

    Seen:
        The pipeline as TensorFlow runs it has no prefetch at its end and no other stage there that works ahead (a
        parallel map, map and batch fused, a parallel interleave), and the loop waits for each step before it requests
        the next batch (dispatch sync).

    Why:
        Pipeline and step alternate: a step takes the sum of both instead of the longer of the two. TensorFlow adds a
        prefetch by itself, so this happens only if autotune, inject_prefetch or the default optimizations are switched
        off.

    Fix:
        Put prefetch(tf.data.AUTOTUNE) at the end, or switch the option back on. Use AUTOTUNE rather than a small
        number: a buffer of two is too small for a pipeline that stalls occasionally.

    Ignore when:
        The training loop keeps steps in flight (it reads nothing back): the next batch is then made while the device
        works, and a prefetch gains nothing.
    """

    name = "no-prefetch"
    title = "Add a prefetch at the end"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("hidden-share", 0.05, "of the interval", "as the headspace: less is within the noise of a run"),
        ONE_CORE,
        BUSY_CORES,
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the executed end of the pipeline, and the wait of a loop that alternates with it."""
        at, last = timing(view), end(view)
        if at is None or last is None or not at.in_turn or not spare_cores(view):
            return
        pipeline_ms = _turn_ms(view, last, at)
        if pipeline_ms is None or min(pipeline_ms, at.busy_ms) < self.threshold("hidden-share") * at.interval_ms:
            return
        yield self._draft(view, at, pipeline_ms)

    def _draft(self, view: PipelineView, at: Timing, pipeline_ms: float) -> Proposal:
        why, path = _why(view)
        root = view.root
        held = predict.buffered(root.element_bytes if root is not None else None, 2)
        edits = (InsertStage("prefetch", {"buffer_size": AUTOTUNE}),)
        predicted = predict.expected(view, edits)
        return Proposal(
            stage=root.id if root is not None else None,
            sentence=(
                f"Nothing runs ahead of the training loop{why}: the device waits {milliseconds(pipeline_ms)} for each "
                f"batch and then works {milliseconds(at.busy_ms)}, one after the other (dispatch sync)."
            ),
            recommendation=(
                "Add prefetch(AUTOTUNE) at the end"
                + (f", or switch {path} back on, which adds one." if path else ".")
                + " A loop that keeps steps in flight does not need it."
            ),
            evidence={
                "pipeline_ms": pipeline_ms,
                "step_ms": at.busy_ms,
                "interval_ms": at.interval_ms,
                "dispatch": str(at.dispatch),
                **({"option": path} if path else {}),
                "speedup_with_a_step_in_flight": 1.0,
            },
            edits=edits,
            predicted=predicted
            and replace(predicted, formula=f"{predicted.formula}; with a step in flight 1×", peak_rss_delta_bytes=held),
        )


def _turn_ms(view: PipelineView, last: StageView, at: Timing) -> float | None:
    """The wait of an idle device that a prefetch would hide; ``None`` for none."""
    if runs_ahead(last):
        return None
    at_end = drawn(view, last)
    ahead = any(runs_ahead(below) for stage in at_end for below in inputs(view, stage))
    if not ahead:
        return at.wait_ms
    return min(at.wait_ms, total_ms(at_end))


def _why(view: PipelineView) -> tuple[str, str | None]:
    """Why TensorFlow added none, and the option to switch back."""
    for path, words in _SWITCHES:
        if view.options.get(path) is False:
            return f", because {words}", path
    return "", None
