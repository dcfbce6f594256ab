"""All sentences of a document on idle time: what cannot be said and why, what was not read, verdicts, and advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeprof.profiles.document.shared import GapCause
from pipeprof.profiles.gaps.document import DeviceGaps, TraceGaps
from pipeprof.profiles.protocol.messages import LEAST_DEVICE_STEPS
from pipeprof.profiles.wording import CAUSE_WORDS, percent

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
SAID_FROM: Final = 0.1
"""Share of the idle time from which a cause is said, and gets advice."""
MOST_SAID: Final = 3
COPIES_FROM: Final = 0.05
"""Share of its time that a device only copies, from which that is said: as with idle time, less is none."""
_NEXT_TO_NOTHING = 0.001
"""Share of all time below which no cause is said."""
_LAID_OVER = "traces of several hosts, or with different clocks, seem to be laid over each other"
_REASONS: Final[Mapping[str, str]] = {
    # Why the idle time, or its causes, cannot be said.
    "no-host": "the trace has no events of the host",
    "device-unread": "not all of the file could be read, so work of the device may be missing",
    "host-unread": "not all of the file could be read, so events of the host may be missing",
    "several-hosts": "the file has events of {} hosts, whose clocks may differ: give one file for each",
    "calls-cross": f"{{:,}} of {{:,}} calls within others end after them on the same thread: {_LAID_OVER}",
    "streams-overlap": f"events of one stream run at the same time for {{}} of it: {_LAID_OVER}",
    "clocks-disagree": "{:,} of {:,} kernels begin before their launch: the clocks of host and device disagree",
    "launches-lost": "{:,} of {:,} kernel launches have no kernel in the trace: events of the device are missing",
    "graphs-unseen": (
        "{:,} of {:,} launches of graphs have fewer than {} kernels in the trace: the profiler does not record what "
        "graphs run"
    ),
    "steps-empty": (
        "the device has events in {:,} of {:,} steps of the host: events of the others are missing, or these steps "
        "compute nothing"
    ),
    "operations-lost": "only {:,} of {:,} numbered operations are in the file: events are missing",
    "viewer-full": "the file has the {:,} events of a viewer: there may have been more",
    "profiler-says": "the profiler says: {}",
    # What was not read.
    "several-runs": "the folder has {:,} runs: the latest one is read",
    "several-traces": "{:,} traces are in it: the latest one of each worker is read",
    "files-left": "{:,} of {:,} files are read",
    "plane-damaged": 'plane "{}" is damaged: its events are not all read',
    "plane-cut": "plane {}{} is damaged at byte {:,} of {:,}: it and what follows are not read",
    "file-damaged": "the file is damaged ({}): what follows is not read",
    "too-long": "the file has more than {:,} bytes of text: what follows is not read",
    "too-many": "the file has more than {:,} events: what follows is not read",
    "truncated": "the file ends before its list of events does: it is truncated",
    "events-unread": "events that cannot be read are left out: {:,}",
    "events-backwards": "events that end before they begin or have no time are left out: {:,}",
    "devices-full": "the file has more than {:,} events of devices: the others are not read",
    "host-full": "the file has more than {:,} events of the host: the others are not read",
    # Why the steps of a run have no idle time.
    "of-pytorch": (
        "n/a: pipeprof records no trace of PyTorch; `pipeprof gaps TRACE` reads one that torch.profiler has written"
    ),
    "not-written": "cannot say: the profiler has written no trace",
    "not-a-trace": "cannot say: {}",
    "no-device": "cannot say: the trace has no events of a device",
    "no-kernels": "cannot say: the devices in the trace run no kernels",
    "few-requests": (f"cannot say: the trace has {{:,}} requests of batches, at least {LEAST_DEVICE_STEPS} are needed"),
}


@dataclass(frozen=True)
class Reason:
    """Why something cannot be said, or what was not read: a word for programs, and its sentence."""

    code: str
    text: str


def reason(code: str, *values: object) -> Reason:
    """Return a reason.

    Example:
        >>> reason("several-hosts", 2).text
        'the file has events of 2 hosts, whose clocks may differ: give one file for each'
    """
    return Reason(code, _REASONS[code].format(*values))


def sentence_of(trace: TraceGaps, devices: Sequence[DeviceGaps]) -> str:
    """Return the verdict on a trace as a sentence."""
    computing = [one for one in devices if one.computes]
    if not computing:
        return reason("no-kernels" if devices else "no-device").text
    idles = "the device idles" if len(computing) == 1 else f"the {len(computing)} devices idle"
    if trace.idle_share is not None:
        return _known(idles, trace, computing)
    bounds = [one.idle_at_most if one.idle_share is None else one.idle_share for one in computing]
    known = [bound for bound in bounds if bound is not None]
    most = f"; at most {percent(max(known))} of the time" if len(known) == len(bounds) else ""
    why = next((text for one in computing for text in one.why_no_idle), "")
    return f"cannot say how long {idles}: {why}{most}"


def _known(idles: str, found: TraceGaps, devices: Sequence[DeviceGaps]) -> str:
    """The verdict where the idle time is known: its causes, or why they are not."""
    sentence = f"{idles} {percent(found.idle_share or 0.0)} of the time"
    named = [f"{cause_words(cause, found.stage)} {percent(share)}" for cause, share in main_causes(found)]
    sentence += f": {', '.join(named)}" if named else ""
    if (found.copy_only_share or 0.0) >= COPIES_FROM:
        only = "it only copies" if len(devices) == 1 else "they only copy"
        sentence += f"; for another {percent(found.copy_only_share or 0.0)} {only}"
    why = next((text for one in devices for text in one.why_no_causes), "")
    return f"{sentence}; cannot say why: {why}" if why and not found.by_cause else sentence


def main_causes(found: TraceGaps) -> list[tuple[GapCause, float]]:
    """Return the causes that are worth a word, each with its share of all time, the largest first."""
    least = max(SAID_FROM * (found.idle_share or 0.0), _NEXT_TO_NOTHING)
    return [(cause, share) for cause, share in found.shares() if share >= least][:MOST_SAID]


def cause_words(cause: GapCause, stage: str | None) -> str:
    """Name a cause, with the stage or loader that was late.

    Example:
        >>> cause_words("pipeline", "map"), cause_words("sync", "map")
        ('waits for data (map)', 'waits for results')
    """
    late = f" ({stage.partition(' (')[0]})" if cause == "pipeline" and stage is not None else ""
    return f"{CAUSE_WORDS[cause]}{late}"
