"""What is tried, and why not: pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from pipeprof.pipelines.steps.step import same_for_all_batches, too_optimistic
from pipeprof.profiles.advise.apply import CHECKS
from pipeprof.profiles.advise.as_finding import can_be_tried, proposal_of
from pipeprof.profiles.advise.proposal import Proposal, expected_of
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.measured import Device
from pipeprof.profiles.document.profile import Profile

OVER_BUDGET = 1.1
"""Times its budget in which a run begins what it measures: what has begun ends soon after."""
TRIED = frozenset({"same", "order", "randomness"})
"""What `run` tries; edits that change values are for the user to decide."""


def cannot_verify(profile: Profile) -> str | None:
    """Return why nothing of a run can be verified, in words; ``None`` where it can."""
    if not profile.complete or profile.exit_code:
        return "the measurement did not finish"
    if profile.steps is None or not profile.steps.count:
        return "no step was measured"
    return None


def cannot_replay(step: Mapping[str, object]) -> str | None:
    """Return why nothing can be proven with a recorded step, by its arguments if there is one, in words."""
    why = too_optimistic(step)
    return f"{why} as the pipeline, so that a replay of it proves nothing" if why is not None else None


def cannot_try(finding: Finding, *, has_edit: bool, step: Device | None = None, cache: str | None = None) -> str | None:
    """Return why a finding's edit is not tried, in words; ``None`` where it is.

    Args:
        has_edit: Whether its edit can be applied without the user.
        cache: Why what it keeps for later epochs is no recommendation.
        step: Of the run; None where it is not known.
    """
    if finding.family == "correctness":
        return "it is about the data, not about speed or memory"
    check = CHECKS.get(finding.rule)
    in_step = check is not None and check.family == "speed" and not check.waits
    kind, text = (step.kind, step.text or "") if step is not None else ("none", "")
    if in_step and (constant := same_for_all_batches(kind, text)) is not None:
        return f"it pays only in the step, and {constant}: give a step whose cost depends on the batch, {_PER_MB}"
    if not has_edit:
        return "the change needs your code"
    if finding.semantics not in TRIED:
        return "it may change values"
    return cache


_PER_MB = "the real one or `simulate: {base: 4ms, per_mb: 1ms}`"


def to_try(profile: Profile) -> list[Finding]:
    """The findings that nothing was measured about yet."""
    return [finding for finding in profile.findings or () if finding.status == "unverified"]


def proposed_by(profile: Profile) -> list[Proposal]:
    """The changes of a run's findings and ideas, those with the largest predicted gain first."""
    found = [one for one in (*(profile.findings or ()), *profile.proposals) if can_be_tried(one)]
    return sorted(map(proposal_of, found), key=lambda one: -expected_of(one, profile.memory.peak_bytes))
