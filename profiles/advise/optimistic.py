"""Steps that leave the pipeline more than the real one does: what is measured with them is no proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.document.messages import Message

if TYPE_CHECKING:
    from pipeprof.profiles.document.findings import Fix
    from pipeprof.profiles.document.profile import Profile

CODE = "step-too-optimistic"


def warning(why: str) -> Message:
    """Return what a report says of such a step.

    Args:
        why: As `StepKind.too_optimistic` has it.
    """
    text = (
        f"In the recorded run {why}, and this replay of it only waits: the pipeline is faster here than in the "
        "training, and nothing is proven by it."
    )
    return Message(code=CODE, message=text)


def withhold_findings(profile: Profile) -> None:
    """Make of findings that are proven or bounded with such a step unverified ones; what was measured stays."""
    why = _why(profile)
    for finding in profile.findings or () if why is not None else ():
        if finding.status in {"kept", "ceiling"}:
            finding.status, finding.reason = "unverified", f"{why}; in its replay: {finding.reason}"


def withhold_fix(profile: Profile, result: Fix) -> None:
    """Make of a search that has proven something with such a step one that has not."""
    why = _why(profile)
    if why is not None and result.status == "fixed":
        result.status, result.reason = "not-proven", f"{why}; in its replay: {result.reason}"


def _why(profile: Profile) -> str | None:
    return profile.device.too_optimistic if profile.device is not None else None
