"""``idle-device``: a device whose trace shows that it idles for other reasons than the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.gaps.wording import ADVICE
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import CAUSE_WORDS, listed, percent, significant

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import GapCause

_ELSEWHERE: tuple[GapCause, ...] = ("pipeline", "pipeprof", "unknown")
"""Other rules are about the pipeline's time; nothing can be done about the other two."""


class IdleDevice(Rule):
    """A GPU or TPU that has nothing to do while the host copies, compiles, allocates, waits, or runs Python.

    Seen:
        The trace of some steps after the measured ones: the device is without work for a part of their time, and the
        host does one of these meanwhile. A trace that cannot tell is no finding.

    Why:
        The time that a device idles is lost whatever the pipeline does. Why it idles is what the thread does that
        launches its next work, from the end of the work before until that launch.

    Fix:
        copy: pinned memory, asynchronous copies, prefetch to the device, uint8 over the link. compile: static shapes.
        memory: leave it to the framework's allocator. sync, python: read results less often, and move work out of the
        loop. op, launch: larger batches, jit_compile, graphs. device-wait: streams, events and the other devices.

    Ignore when:
        The traced steps were not like the others, as at the beginning of a training.
    """

    name = "idle-device"
    title = "Keep the device busy"
    family = "speed"
    semantics = "same"
    pays_in_step = True
    yields_to = ("copy-before-step",)
    thresholds = (Threshold("cause-share", 0.05, "of the time", "as the headspace: less is within a run's noise"),)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """From the gaps in the trace of the device."""
        device = view.profile.device if view.profile is not None else None
        gaps = device.gaps if device is not None else None
        if device is None or gaps is None or not gaps.seconds or device.gaps_unknown is not None or view.root is None:
            return
        least = self.threshold("cause-share") * gaps.seconds
        causes = {cause: spent for cause, spent in gaps.by_cause.items() if spent >= least and cause not in _ELSEWHERE}
        if not causes or device.idle_share is None:
            return
        largest = sorted(causes, key=lambda cause: -causes[cause])
        named = listed([f"{percent(causes[cause] / gaps.seconds)} {CAUSE_WORDS[cause]}" for cause in largest])
        yield Proposal(
            stage=view.root.id,
            sentence=(
                f"By a trace of {significant(gaps.seconds)} s the device idles {percent(device.idle_share)} of the "
                f"time: {named}."
            ),
            recommendation=f"This may help: {' '.join(ADVICE[cause] for cause in largest[:2])}",
            evidence={
                "idle_share": device.idle_share,
                "trace_s": gaps.seconds,
                **{f"{cause.replace('-', '_')}_share": spent / gaps.seconds for cause, spent in causes.items()},
            },
            predicted=Prediction("unknown until it is tried: the trace shows what the host did, not what would help"),
        )
