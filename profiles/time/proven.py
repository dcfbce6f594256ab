"""Changes that were measured, in the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.document.findings import VerdictDetail
from pipeprof.profiles.wording import significant

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

FROM = 1.03
"""Smallest speed-up that is a gain."""


def describe_proven(profile: Profile) -> list[VerdictDetail]:
    """Return the largest measured speed-up, with the number of its finding, counted from 1; empty without one."""
    gains = [
        (float(finding.measured.get("speedup") or 0.0), number)
        for number, finding in enumerate(profile.findings or [], start=1)
        if finding.status == "kept" and finding.measured is not None
    ]
    speedup, number = max(gains, default=(0.0, 0))
    if speedup < FROM:
        return []
    return [VerdictDetail(label="measured", text=f"{significant(speedup)}× faster with change {number}")]
