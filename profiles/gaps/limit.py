"""Devices against the limit of ``--fail-on``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pipeprof.profiles.gaps.document import DeviceGaps, GapsLimit, GapsReport, TraceGaps


@dataclass(frozen=True)
class JudgedDevice:
    """A device, or a trace without one that computes: then `device` is empty.

    Attributes:
        share: Part of its time that it was idle, or idle for the cause of the limit; None where that cannot be said.
        at_most: It idles no more than that, whatever for; None where `share` is known, and where this cannot be said.
        verdict: `within` also where it can only be less.
    """

    trace: TraceGaps
    device: str = ""
    share: float | None = None
    at_most: float | None = None
    verdict: Literal["above", "within", "cannot say"] = "cannot say"


ANY_IDLE: Final = GapsLimit(name="idle", share=1.0)
"""What no device exceeds: where none is given."""


def judge(report: GapsReport, limit: GapsLimit) -> list[JudgedDevice]:
    """Judge each device that computes."""
    found = []
    for trace, devices in report.subjects():
        found += [_judge(trace, one, limit) for one in devices if one.computes] or [JudgedDevice(trace)]
    return found


def _judge(trace: TraceGaps, device: DeviceGaps, limit: GapsLimit) -> JudgedDevice:
    share = device.idle_share
    if share is not None and limit.name != "idle":
        share = dict[str, float](device.shares()).get(limit.name, 0.0) if not device.why_no_causes else None
    if share is not None:
        return JudgedDevice(trace, device.name, share, None, "above" if share > limit.share else "within")
    most = device.idle_share if device.idle_share is not None else device.idle_at_most
    within = most is not None and most <= limit.share
    return JudgedDevice(trace, device.name, None, most, "within" if within else "cannot say")
