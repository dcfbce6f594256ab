"""The time until the first batch, where it is long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.wording import significant, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

SLOW_START_SECONDS = 10.0
"""From here on the time until the first batch is stated in any case."""
NOTICED_START_SECONDS = 2.0
"""From here on it is stated where it is longer than the measured window."""


def describe_start_up(profile: Profile) -> str:
    """State the time until the first batch, its parts, and what TensorFlow copies; empty where it is short.

    Importing TensorFlow and synthesising data are not part of it.

    Args:
        profile: Its phases, its steps and the findings on constants are read.
    """
    seconds = {phase.name: phase.seconds for phase in profile.phases if phase.seconds is not None}
    building, first = seconds.get("build"), seconds.get("first_element")
    if building is None or first is None:
        return ""
    total = building + first
    window = profile.steps.seconds if profile.steps is not None and profile.steps.count else None
    if total < SLOW_START_SECONDS and (window is None or total <= window or total < NOTICED_START_SECONDS):
        return ""
    parts = (
        f"{significant(building)} s to build the pipeline, {significant(first)} s for the iterator and the first batch"
    )
    constants = [finding for finding in profile.findings or () if finding.rule == "graph-constant"]
    copied = sum(int(finding.evidence.get("constant_bytes") or 0) for finding in constants)
    why = f"; TensorFlow copies {size(copied)} of graph constants for every new iterator" if copied else ""
    return f"{significant(total)} s until the first batch: {parts}{why}"
