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
    "python": "Move work of the loop out of it: logging, metrics. Input that the profiler does not show is here, too.",
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
        bounds = [one.idle_at_most if one.idle_share is None else one.idle_share for one in computing]
        known = [bound for bound in bounds if bound is not None]
        most = f"; at most {percent(max(known))} of the time" if len(known) == len(bounds) else ""
        why = next((text for one in computing for text in one.why_no_idle), "")
        return f"cannot say how long {subject} {verb}: {why}{most}"
    first = f"{subject} {verb} {percent(trace.idle_share)} of the time"
    why = next((text for one in computing for text in one.why_no_causes), "")
    if why:
        return f"{first}{_copying(computing)}; cannot say why: {why}"
    return f"{first}{_mostly(trace, computing)}{_copying(computing)}"


COPIES_FROM = 0.05
"""Share of its time that a device only copies, from which the report has it: as with idle time, less is none."""


def copy_share_of(devices: Sequence[DeviceGaps]) -> float:
    """Return for which share of their time devices only copy; 0 where none is known."""
    known = [one.copy_only_share for one in devices if one.computes and one.copy_only_share is not None]
    return sum(known) / len(known) if known else 0.0


def _copying(devices: Sequence[DeviceGaps]) -> str:
    """Say how long devices only copy, as a part of a sentence; empty where that is next to none."""
    share = copy_share_of(devices)
    if share < COPIES_FROM:
        return ""
    return f"; for another {percent(share)} {'it only copies' if len(devices) == 1 else 'they only copy'}"


_NEXT_TO_NOTHING = 0.005


def _mostly(trace: TraceGaps, devices: Sequence[DeviceGaps]) -> str:
    """Say what most of the idle time is for, as the end of a sentence; empty where there is next to none."""
    total = sum(trace.by_cause.values())
    if not total or (trace.idle_share or 0.0) < _NEXT_TO_NOTHING:
        return ""
    cause = max(trace.by_cause, key=lambda key: trace.by_cause[key])
    return f"; {percent(trace.by_cause[cause] / total)} of that {during(cause, stage_of(devices))}"


def sentence_of_folder(found: TraceGaps, members: Sequence[tuple[TraceGaps, Sequence[DeviceGaps]]]) -> str:
    """Return the verdict on all traces of a folder together."""
    devices = [one for _, its in members for one in its if one.computes]
    known = [one for one in devices if one.idle_share is not None]
    if found.idle_share is None:
        first = next((trace.sentence for trace, _ in members), "")
        return f"cannot say: none of {len(members):,} traces tells how long a device idles; the first: {first}"
    many = f"the {len(known):,} devices" if len(known) > 1 else "the device"
    if len(known) < len(devices):
        many = f"{len(known):,} of {len(devices):,} devices"
    first = f"{many} of {len(members):,} traces {'idles' if len(known) == 1 else 'idle'}"
    first += f" {percent(found.idle_share)} of the time"
    why = next((text for one in known for text in one.why_no_causes), "")
    return f"{first}; cannot say why: {why}" if why and not found.by_cause else f"{first}{_mostly(found, known)}"


def notes_of_folder(members: Sequence[tuple[TraceGaps, Sequence[DeviceGaps]]]) -> list[str]:
    """Return sentences on the traces of a folder that cannot tell all, counted by what they cannot."""
    notes = []
    unread = [trace for trace, _ in members if not trace.readable]
    silent = [trace for trace, its in members if trace.readable and trace.idle_share is None]
    unsure = [
        trace
        for trace, its in members
        if trace.idle_share is not None and any(one.why_no_causes for one in its if one.computes)
    ]
    noted = [trace for trace, _ in members if trace.notes]
    of = f"of {len(members):,} traces"
    for some, what in (
        (unread, "cannot be read"),
        (silent, "cannot tell how long a device idles"),
        (unsure, "cannot tell why"),
    ):
        notes += [f"{len(some):,} {of} {what}; the first: {file_name(one)}, {one.sentence}" for one in some[:1]]
    notes += [f"{len(noted):,} {of} have notes; the first: {file_name(one)}, {one.notes[0]}" for one in noted[:1]]
    return notes


def file_name(trace: TraceGaps) -> str:
    """Return what tells a trace from the others of its folder.

    Example:
        >>> from pipeprof.profiles.gaps.document import TraceGaps
        >>> file_name(TraceGaps(file="logs/2026_11_27_08_00_00/host07.xplane.pb", format="XPlane"))
        'host07'
    """
    name = trace.file.rpartition("/")[2]
    for ending in (".gz", ".json", ".trace", ".pt", ".xplane.pb"):
        name = name.removesuffix(ending)
    return name or trace.file


def stage_of(devices: Sequence[DeviceGaps]) -> str | None:
    """Return the stage or loader that was late for the first device that has one."""
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
        verdict: Without a limit `within`, if the share is known; also where it is not, and can only be less.
    """

    trace: TraceGaps
    device: str
    share: float | None
    verdict: Literal["above", "within", "cannot say"]
    sentence: str


@dataclass(frozen=True)
class Subject:
    """What one argument of the command names: a trace, or the traces of a folder together.

    Attributes:
        devices: Each with its name among them.
    """

    trace: TraceGaps
    devices: Sequence[tuple[str, DeviceGaps]]


def subjects_of(report: GapsReport) -> list[Subject]:
    """Return what a report is about, in the order of its traces."""
    found = []
    for number, trace in enumerate(report.traces):
        devices = [one for one in report.devices if one.trace == number]
        if trace.folder is None:
            found.append(Subject(trace, [(one.name, one) for one in devices]))
        elif trace.folder not in {other.folder for other in report.traces[:number]}:
            its = [
                (f"{file_name(report.traces[one.trace])} {one.name}", one)
                for one in report.devices
                if report.traces[one.trace].folder == trace.folder
            ]
            found.append(Subject(report.folders[trace.folder], its))
    return found


def counted(traces: Sequence[TraceGaps]) -> str:
    """Return how many traces have each verdict, the most frequent one first.

    Example:
        >>> from pipeprof.profiles.gaps.document import TraceGaps
        >>> counted([TraceGaps(file="a", format="", verdict=one) for one in ("busy", "input", "input")])
        '3 traces: 2 input, 1 busy'
    """
    verdicts = [trace.verdict for trace in traces]
    each = sorted(set(verdicts), key=lambda verdict: (-verdicts.count(verdict), verdict))
    return f"{len(traces):,} traces: {', '.join(f'{verdicts.count(verdict):,} {verdict}' for verdict in each)}"


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
            bound = device.idle_share if device.idle_share is not None else device.idle_at_most
            if share is not None:
                verdict: Literal["above", "within"] = "above" if share > most else "within"
                said = f"{what} {percent(share)} of its time{allowed}"
                found.append(JudgedDevice(trace, device.name, share, verdict, said))
            elif report.limit is not None and bound is not None and bound <= most:
                # It idles no more than that, whatever for.
                said = f"{what} at most {percent(bound)} of its time{allowed}"
                found.append(JudgedDevice(trace, device.name, None, "within", said))
            else:
                found.append(JudgedDevice(trace, device.name, None, "cannot say", trace.sentence))
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
