"""``copy-before-step``: a device that waits while its batch is copied to it."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds, percent, ratio_text

_DEVICES = {"gpu": "GPU", "tpu": "TPU"}


class CopyBeforeStep(Rule):
    """Each batch is copied to the device right before the step that needs it.

    Seen:
        A real step on a GPU or TPU, a measured copy of each batch to it, and no prefetch_to_device or copy_to_device in
        the pipeline.

    Why:
        A copy and a step need different parts of the device, so the copy of the next batch can run while the step
        computes. One after the other, a step takes the sum of both instead of the longer of the two.

    Fix:
        With TensorFlow and Keras, prefetch_to_device("/GPU:0") as the last stage. With JAX, two batches put on the
        device ahead of the step (double buffering). With PyTorch, pinned memory and a copy with non_blocking=True on a
        stream of its own, for which the step waits.

    Ignore when:
        The training loop already copies ahead: the step that is measured here gets batches from the host's memory.
    """

    name = "copy-before-step"
    title = "Copy batches to the device while it computes"
    family = "speed"
    semantics = "same"
    pays_in_step = True
    thresholds = (Threshold("copy-share", 0.05, "of the interval", "as the headspace: less is within a run's noise"),)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """From the copies that the step has measured."""
        steps = view.profile.steps if view.profile is not None else None
        device = view.profile.device if view.profile is not None else None
        if steps is None or device is None or not device.copy_ms or steps.busy_ms is None:
            return
        kind, name, interval = step_kind(device.kind), _DEVICES.get(device.on or ""), steps.interval_ms.mean
        copied_ahead = any(traits(stage.op).to_device for stage in view.stages)
        if name is None or kind.copies_ahead is None or copied_ahead or view.root is None:
            return
        hidden = min(device.copy_ms, steps.busy_ms.mean)
        if hidden < self.threshold("copy-share") * interval:
            return
        gain = interval / (interval - hidden)
        predicted = Prediction(
            f"at most {ratio_text(gain)}: {milliseconds(hidden)} of copying behind the step, of "
            f"{milliseconds(interval)}",
            gain,
        )
        edit = HandWritten(
            (view.root.id,),
            '# TensorFlow and Keras: - prefetch_to_device: {device: "/GPU:0"}, as the last stage',
            kind.copies_ahead,
            summary="copy batches to the device ahead of the step",
        )
        yield Proposal(
            stage=view.root.id,
            sentence=(
                f"Each batch is copied to the {name} for {milliseconds(device.copy_ms)} before its step of "
                f"{milliseconds(steps.busy_ms.mean)} begins, {percent(device.copy_ms / interval)} of the time from one "
                f"step to the next: the {name} waits for it."
            ),
            recommendation="Copy the next batch while the step computes.",
            evidence={"copy_ms": device.copy_ms, "step_ms": steps.busy_ms.mean, "interval_ms": interval},
            edits=(edit,) if kind.copies_ahead else (),
            predicted=predicted if kind.copies_ahead else None,
        )
