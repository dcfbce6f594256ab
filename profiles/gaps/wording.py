"""Sentences about idle time: the verdict, what a cause means, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pipeprof.profiles.wording import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeprof.profiles.document.shared import GapCause
    from pipeprof.profiles.gaps.document import DeviceGaps, GapsReport, TraceGaps

DURING: Final[Mapping[GapCause, str]] = {
    "pipeline": "it waits for the data loader",
    "copy": "the host copies data",
    "compile": "the host compiles or loads code",
    "memory": "the host allocates and frees memory",
    "sync": "the host waits for results",
    "op": "the host prepares operations",
    "python": "the host runs Python",
    "launch": "its next work is being launched",
    "device-wait": "its next work is launched and waits for other work",
    "pipeprof": "pipeprof measures",
    "unknown": "the trace does not show what the host does",
}
"""What happens while the device idles, after "that"."""
ADVICE: Final[Mapping[GapCause, str]] = {
    "pipeline": "Make the input faster: `pipeprof run` on the dataset or the script names the stage and tries changes.",
    "copy": "Copy ahead of the step: pinned memory, asynchronous copies, prefetch to the device, uint8 over the link.",
    "compile": "Keep shapes and types the same, so that nothing is compiled again; warm up before the measured steps.",
    "memory": "Let the framework's allocator keep memory: do not empty its cache or free arrays in the loop.",
    "sync": "Read results of a step later or less often: a loss that is printed, .item(), .numpy(), float().",
    "op": "Prepare less on the host in each step: compile the step (jit, jit_compile, torch.compile) or use graphs.",
    "python": "Move work of the loop out of it: logging, metrics, conversions between steps.",
    "launch": "Give each launch more to do: larger batches, jit_compile, CUDA graphs.",
    "device-wait": "Look at streams, events and the other devices: the host launched the work in time.",
    "pipeprof": "The measurement itself takes this time.",
    "unknown": "Record the host as well: its events are not in the trace.",
}
"""What to do about a cause. None of it is measured here."""


def sentence_of(trace: TraceGaps, devices: Sequence[DeviceGaps]) -> str:
    """Return the verdict on a trace as one or two sentences."""
    computing = [one for one in devices if one.computes]
    if not computing:
        seen = "the devices in the trace run no kernels" if devices else "the trace has no events of a device"
        return f"cannot say: {seen}"
    subject, verb = ("the device", "idles") if len(computing) == 1 else (f"the {len(computing)} devices", "idle")
    if trace.idle_share is None:
        most = max((one.idle_at_most or one.idle_share or 0.0) for one in computing)
        why = next((text for one in computing for text in one.why_no_idle), "")
        return f"cannot say how long {subject} {verb}: {why}; at most {percent(most)} of the time"
    first = f"{subject} {verb} {percent(trace.idle_share)} of the time"
    why = next((text for one in computing for text in one.why_no_causes), "")
    total = sum(trace.by_cause.values())
    if why or not total or trace.idle_share < _NEXT_TO_NOTHING:
        return f"{first}; cannot say why: {why}" if why else first
    cause = max(trace.by_cause, key=lambda key: trace.by_cause[key])
    share = percent(trace.by_cause[cause] / total)
    return f"{first}; {share} of that {during(cause, _stage_of(computing))}"


_NEXT_TO_NOTHING = 0.005


def _stage_of(devices: Sequence[DeviceGaps]) -> str | None:
    return next((one.stage for one in devices if one.stage is not None), None)


def during(cause: GapCause, stage: str | None) -> str:
    """Return what happens while a device idles.

    Args:
        stage: The stage or loader that was late, for `pipeline`.

    Example:
        >>> during("pipeline", "map")
        'it waits for the input pipeline (map)'
    """
    if cause == "pipeline" and stage is not None and not stage.startswith("DataLoader"):
        return f"it waits for the input pipeline ({stage})"
    return DURING[cause]


@dataclass(frozen=True)
class JudgedDevice:
    """A device, or a trace without one that computes, against the limit of ``--fail-on``.

    Attributes:
        device: Empty for a trace without one.
        share: Of its time, idle or for the cause of the limit; None where it cannot be said.
        verdict: Without a limit `within`, if the share is known.
    """

    trace: TraceGaps
    device: str
    share: float | None
    verdict: Literal["above", "within", "cannot say"]
    sentence: str


def judged(report: GapsReport) -> list[JudgedDevice]:
    """Judge each device that computes."""
    name, most = (report.limit.name, report.limit.share) if report.limit is not None else ("idle", 1.0)
    allowed = f", allowed {percent(most)}" if report.limit is not None else ""
    what = "idle" if name == "idle" else f"idle for {name}"
    found = []
    for number, trace in enumerate(report.traces):
        devices = [device for device in report.devices if device.trace == number and device.computes]
        for device in devices:
            share = _share_of(device, name)
            verdict: Literal["above", "within"] = "above" if share is not None and share > most else "within"
            if share is None:
                found.append(JudgedDevice(trace, device.name, None, "cannot say", trace.sentence))
                continue
            found.append(
                JudgedDevice(trace, device.name, share, verdict, f"{what} {percent(share)} of its time{allowed}")
            )
        if not devices:
            found.append(JudgedDevice(trace, "", None, "cannot say", trace.sentence))
    return found


def _share_of(device: DeviceGaps, name: str) -> float | None:
    """Return the share of a device's time that it idles, or does so for one cause; None where it cannot be said."""
    if name == "idle" or device.idle_share is None:
        return device.idle_share
    if device.gaps is None or device.why_no_causes:
        return None
    return next((time for cause, time in device.gaps.by_cause.items() if cause == name), 0.0) / device.window_seconds
