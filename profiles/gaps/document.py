"""The document of ``pipeprof gaps``: how long devices idle, and why. Fields are added, never renamed."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from pydantic import Field

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.profile import Tool
from pipeprof.profiles.document.shared import Gap, GapCause, Gaps

SCHEMA_VERSION: Final = 1
Verdict = Literal[
    "input",
    "busy",
    "mixed",
    "cannot say",
    "copy",
    "compile",
    "memory",
    "sync",
    "op",
    "python",
    "launch",
    "device-wait",
    "pipeprof",
    "unknown",
]
"""`busy`: the device idles little; `mixed`: no cause has half of the idle time; `input`: the input pipeline has."""


class HostAction(Model):
    """What the host did in one of the longest gaps."""

    gap: Gap
    action: str | None = None
    """Name of the host's event that took most of the gap, as the trace has it."""
    thread: str | None = None


class DeviceGaps(Model):
    """A device of a trace."""

    trace: int
    """Index into `traces`."""
    name: str
    computes: bool
    """Whether it ran kernels; one that only copies has no verdict."""
    window: Literal["steps", "events"]
    """Whole steps, or from the first to the last event of the device."""
    window_seconds: float
    steps: int | None = None
    events: int
    idle_share: float | None = None
    """Share of the window without kernel, copy or set; None where events of the device may be missing."""
    idle_at_most: float | None = None
    """The same where events may be missing: the device idles at most this share."""
    span_idle_share: float | None = None
    """Idle share from the first to the last event, as other tools state it."""
    copy_only_share: float | None = None
    """Share of the window in which it copies and computes nothing."""
    gaps: Gaps | None = None
    """Idle seconds by cause, and the ten longest gaps; `by_cause` is empty where no cause can be given."""
    actions: list[HostAction] = Field(default_factory=list)
    """The ten longest gaps, with what the host did."""
    stage: str | None = None
    """The stage of tf.data, or the loader, that was late where the cause is `pipeline`."""
    without_launch_share: float | None = None
    """Share of the idle time before work whose launch the trace does not have: the main thread stands for it."""
    why_no_idle: list[str] = Field(default_factory=list)
    why_no_causes: list[str] = Field(default_factory=list)
    reasons: list[str] = Field(default_factory=list)
    """A word for each sentence of `why_no_causes`, which has those of `why_no_idle`, too."""
    verdict: Verdict = "cannot say"

    def shares(self) -> list[tuple[GapCause, float]]:
        """The causes with their shares of the window, the largest first; none where they cannot be given."""
        rows = sorted(self.gaps.by_cause.items(), key=lambda item: -item[1]) if self.gaps is not None else ()
        return [(cause, seconds / self.window_seconds) for cause, seconds in rows]


class TraceGaps(Model):
    """A trace."""

    file: str
    format: str
    readable: bool = True
    """Whether it is a trace: where one of several is none, `sentence` says why."""
    steps: int = 0
    notes: list[str] = Field(default_factory=list)
    """What could not be read."""
    verdict: Verdict = "cannot say"
    sentence: str = ""
    idle_share: float | None = None
    """Of all devices that compute, together."""
    by_cause: dict[GapCause, float] = Field(default_factory=dict)
    """Idle seconds of all devices that compute; of a trace, empty where one of them has no causes."""
    copy_only_share: float | None = None
    """Share of all their time in which they copy and compute nothing."""
    stage: str | None = None
    """The stage or loader that was late for the first of them that has one."""

    def shares(self) -> list[tuple[GapCause, float]]:
        """The causes with their shares of all time, the largest first."""
        total = sum(self.by_cause.values())
        rows = sorted(self.by_cause.items(), key=lambda item: -item[1])
        return [(cause, (self.idle_share or 0.0) * seconds / total) for cause, seconds in rows if total]


class Subject(NamedTuple):
    """A trace with its devices."""

    trace: TraceGaps
    devices: list[DeviceGaps]

    @property
    def computing(self) -> list[DeviceGaps]:
        """The devices that run kernels."""
        return [device for device in self.devices if device.computes]


class GapsLimit(Model):
    """What ``--fail-on`` allows."""

    name: str
    """`idle`, or a cause."""
    share: float
    """Most of a device's time, 0 to 1."""


class GapsReport(Model):
    """All traces of a command."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["gaps"] = "gaps"
    tool: Tool
    command: list[str] = Field(default_factory=list)
    traces: list[TraceGaps]
    devices: list[DeviceGaps]
    limit: GapsLimit | None = None
    exit_code: int | None = None

    def subjects(self) -> list[Subject]:
        """The traces, each with its devices."""
        return [
            Subject(trace, [one for one in self.devices if one.trace == number])
            for number, trace in enumerate(self.traces)
        ]
