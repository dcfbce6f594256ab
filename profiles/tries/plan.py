"""What is tried, why not, and how changes are named: pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pipeprof.pipelines.steps.kinds.recorded import KIND as replay
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.profiles.advise.advise import pays_in_step
from pipeprof.profiles.advise.as_finding import proposal_of
from pipeprof.profiles.advise.proposal import Proposal, expected_of
from pipeprof.profiles.document.findings import Finding, NotTried
from pipeprof.profiles.document.measured import Device
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.wording import size, stage_label, stage_name, stage_place

_BUDGET: Final = ": --budget "
"""Comes before the budget that a change takes, at the end of a reason."""
OVER_BUDGET = 1.1
"""Times its budget in which verification begins what it measures: what has begun ends soon after."""
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
    """Return why nothing can be proven with a step that is replayed in place of a script's, in words.

    Args:
        step: Arguments of the recorded step; empty where none is replayed.
    """
    why = replay.too_optimistic(step) if step else None
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
    if pays_in_step(finding) and (constant := _same_for_all_batches(step)) is not None:
        return f"it pays only in the step, and {constant}: give a step whose cost depends on the batch, {_PER_MB}"
    if not has_edit:
        return "the change needs your code"
    if finding.semantics not in TRIED:
        return "it may change values"
    return cache


_PER_MB = "the real one or `simulate: {base: 4ms, per_mb: 1ms}`"


def _same_for_all_batches(step: Device | None) -> str | None:
    """Return in words that a step takes the same time for every batch; None where it may not."""
    return step_kind(step.kind if step is not None else "none").same_for_all_batches((step and step.text) or "")


def to_try(profile: Profile) -> list[Finding]:
    """The findings that nothing was measured about yet."""
    return [finding for finding in profile.findings or () if finding.status == "unverified"]


def proposed_by(profile: Profile) -> list[Proposal]:
    """The changes of a run's findings and ideas, those with the largest predicted gain first."""
    found = [one for one in (*(profile.findings or ()), *profile.proposals) if can_be_tried(one)]
    return sorted(map(proposal_of, found), key=lambda one: -expected_of(one, profile.memory.peak_bytes))


def can_be_tried(finding: Finding) -> bool:
    """Whether known edits make the change of a finding, and no try has rejected it."""
    return finding.is_known and finding.family != "correctness" and finding.status != "rejected"


def by_reason(found: Mapping[str, Sequence[str]]) -> list[NotTried]:
    """Join changes that were not tried for one reason, with the largest of the budgets that their reasons name.

    Args:
        found: Titles of changes, by the reason.

    Example:
        >>> [(one.reason, one.changes) for one in by_reason({"no time: --budget 45": ["a"], "no time": ["b"]})]
        [('no time: --budget 45', ['a', 'b'])]
    """
    joined: dict[str, tuple[int, list[str]]] = {}
    for reason, titles in found.items():
        words, _, budget = reason.partition(_BUDGET)
        largest, others = joined.get(words, (0, []))
        joined[words] = max(largest, int(budget or 0)), [*others, *titles]
    return [
        NotTried(reason=f"{words}{_BUDGET}{budget}" if budget else words, changes=titles)
        for words, (budget, titles) in joined.items()
    ]


def as_change(profile: Profile, finding: Finding) -> str:
    """A change that somebody can make by hand: ``train.py:12 num_parallel_calls: 1 → 8``; its title without one."""
    stage = next((stage for stage in profile.stages or () if stage.id == finding.stage), None)
    place = stage_place(stage) if stage is not None else None
    kept = finding.cache
    memory = f", {size(kept.sample_bytes)} of this sample in memory" if kept and kept.sample_bytes is not None else ""
    if kept is not None and kept.bytes is not None:
        memory = f", {size(kept.bytes)} in memory"
    # What is left out of a short line comes after a semicolon.
    first, semicolon, more = (finding.change or finding.title).partition(";")
    return "   ".join(filter(None, (place, f"{first}{memory}{semicolon}{more}")))


def which_change(profile: Profile, finding: Finding) -> str:
    """A change with the stage that it is made at, where its words name none.

    Example:
        ``batch (input.py:24): num_parallel_calls: not set → AUTOTUNE``, ``insert prefetch(…) after decode``
    """
    words = finding.change or finding.title
    stages = profile.stages or ()
    stage = next((stage for stage in stages if stage.id == finding.stage), None)
    named = any(re.search(rf"\b{re.escape(stage_name(one))}\b", words) for one in stages)
    return words if stage is None or named else f"{stage_label(stage)}: {words}"
