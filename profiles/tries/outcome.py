"""What is tried and why not, what a search has found, in agreement with each other and the verdict: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment, are_alternatives
from pipeprof.pipelines.changes.in_words import in_words, unified
from pipeprof.pipelines.spec.spec_file import byte_order_mark
from pipeprof.pipelines.steps.step import too_optimistic
from pipeprof.profiles.advise.order import can_be_tried, proposal_of
from pipeprof.profiles.advise.proposal import Proposal, expected_of
from pipeprof.profiles.advise.text.in_words import as_change
from pipeprof.profiles.document.findings import Finding, Fix, NotTried, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import Version


def write_best(result: Fix, best: Version, start: Version, mark: str = "") -> None:
    """Write the best pipeline into the result: its edits, and a spec's new text, after `mark`, with its diff."""
    result.edits = [documents_of(step) for step in best.steps]
    result.environment = dict(best.environment)
    edits = [edit for step in best.steps for edit in step if not isinstance(edit, SetEnvironment)]
    result.changes = list(filter(None, map(in_words, edits)))
    if best.loaded is not None and start.loaded is not None:
        result.text = mark + best.loaded.text
        result.diff = unified(mark + start.loaded.text, result.text, str(start.loaded.path))


def taken(finding: Finding, edits: Sequence[PipelineEdit], start: Version) -> Fix:
    """The result of a search whose one step is the change of an earlier run, and which has measured nothing.

    Raises PipeprofError where the change does not fit the pipeline as it is.
    """
    proven = finding.status == "kept"
    result = Fix(
        status="taken" if proven else "not-proven",
        reason=finding.reason or ("measured by an earlier run" if proven else "it was not measured"),
        seconds=0.0,
        budget_seconds=0.0,
        wall_seconds=0.0,
        allow=list(dict.fromkeys(("same", finding.semantics or "same"))),
        semantics=finding.semantics,
        redrawn=finding.redrawn,
        measured=dict(finding.measured) if proven and finding.measured else None,
    )
    best = start.then(edits)
    write_best(result, best, start, byte_order_mark(start.loaded.path) if start.loaded is not None else "")
    return result


def forget_best(result: Fix) -> None:
    """Take out the best pipeline, which an earlier state of the result may have: it was not proven."""
    result.edits, result.environment, result.changes = [], {}, []
    result.text = result.diff = None


def mark_rejected(profile: Profile, result: Fix) -> None:
    """Write into the findings of a profile which of their changes the search has rejected on the pipeline as it is."""
    first_taken = min((step.round for step in result.steps if step.result == "taken"), default=math.inf)
    rejected = {
        (step.rule, step.stage, step.title, str(step.edit)): step.reason
        for step in result.steps
        if step.round <= first_taken and step.result == "rejected"
    }
    for finding in profile.findings or ():
        reason = rejected.get((finding.rule, finding.stage, finding.title, str(finding.documents)))
        if reason is not None and finding.status == "unverified":
            finding.status, finding.reason = "rejected", f"tried by fix: {reason}"


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


def cannot_try(finding: Finding, *, has_edit: bool, cache: str | None = None) -> str | None:
    """Why a finding's edit is not tried, in words, as why a cache is no recommendation; None where it is."""
    if finding.family == "correctness":
        return "it is about the data, not about speed or memory"
    if not has_edit:
        return "the change needs your code"
    if finding.semantics not in TRIED:
        return "it may change values"
    return cache


def to_try(profile: Profile) -> list[Finding]:
    """The findings that nothing was measured about yet."""
    return [finding for finding in profile.findings or () if finding.status == "unverified"]


def proposed_by(profile: Profile) -> list[Proposal]:
    """The changes of a run's findings and ideas, those with the largest predicted gain first."""
    found = [one for one in (*(profile.findings or ()), *profile.proposals) if can_be_tried(one)]
    return sorted(map(proposal_of, found), key=lambda one: -expected_of(one, profile.memory.peak_bytes))


INTERRUPTED = "Interrupted while changes were tried; the measurement itself is complete."
ENDED = "Trying changes ended early, the measurement itself is complete: {}."


def uncovered(profile: Profile, untried: Mapping[str, Sequence[Finding]], late: str = "") -> list[NotTried]:
    """Changes that were not tried, by the reason (`late` is that of the budget), unless a finding is the same."""
    found = []
    for reason, every in untried.items():
        left = [as_change(profile, one) for one in every if not is_covered(one, profile.findings or ())]
        if left:
            found.append(NotTried(reason=reason, changes=list(dict.fromkeys(left)), out_of_budget=reason == late))
    return found


def is_covered(finding: Finding, reported: Iterable[Finding]) -> bool:
    """Whether a change that was not tried is one that is reported, or another way to do what was kept."""
    known = [one for one in reported if one.status != "rejected"]
    if any((one.stage, one.title) == (finding.stage, finding.title) for one in known):
        return True
    return any(one.status == "kept" and are_alternatives(finding.edits, one.edits) for one in known)
