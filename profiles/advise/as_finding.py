"""The one place where a proposal becomes a finding of the document, and where it is read from one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.checked import RefusedEditError, checked_edits
from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.document.findings import Finding, Predicted, documents_of

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

MEASURED = "measured"
"""Name of the rule of findings that no rule made."""


def finding_of(proposal: Proposal, *, patch: str | None = None, reason: str | None = None) -> Finding:
    """Write a proposal into a finding that was not tried yet.

    Args:
        patch: The change as lines of YAML, or as a diff of the spec.
        reason: Why nothing is known about it yet.
    """
    documents = documents_of(proposal.edits)
    return Finding(
        rule=proposal.rule or MEASURED,
        title=proposal.title,
        family=proposal.family,
        stage=proposal.stage,
        location=proposal.location,
        sentence=proposal.sentence,
        evidence=dict(proposal.evidence),
        recommendation=proposal.recommendation or None,
        semantics=proposal.effect if proposal.edits else proposal.semantics,
        redrawn=proposal.redrawn,
        # A rule's one edit stands alone; of what no rule proposes they are always a list.
        edit=documents[0] if len(documents) == 1 and proposal.rule not in {None, MEASURED} else documents or None,
        patch=patch,
        python=proposal.python or None,
        change=proposal.change or None,
        in_spec=proposal.in_spec,
        cache=proposal.cache,
        predicted=proposal.predicted and Predicted(**vars(proposal.predicted)),
        status="unverified",
        reason=reason,
    )


def proposal_of(finding: Finding) -> Proposal:
    """Read what a finding proposes."""
    known = finding.predicted
    return Proposal(
        title=finding.title,
        change=finding.change or finding.title,
        edits=finding.edits,
        semantics=finding.semantics,
        redrawn=finding.redrawn,
        family=finding.family or "speed",
        rule=finding.rule,
        stage=finding.stage,
        predicted=Prediction(**known.model_dump() | {"formula": known.formula or ""}) if known is not None else None,
        in_spec=finding.in_spec,
        cache=finding.cache,
    )


def proven_changes(saved: Profile, now: Profile | None = None) -> list[Proposal]:
    """The changes that a run has kept, fastest first.

    Args:
        now: Of the pipeline as it was measured for this search: with another step, what the run measured says nothing
            about how much they gain.
    """
    found = []
    holds = now is None or _step(saved) == _step(now)
    for finding in saved.findings or ():
        speedup = (finding.measured or {}).get("speedup")
        if finding.status != "kept" or not can_be_tried(finding) or not speedup:
            continue
        try:
            edits = checked_edits([edit.model_dump() for edit in finding.documents])
        except RefusedEditError:
            continue
        measured = finding.measured or {}
        interval = (float(speedup), float(measured.get("low") or 0.0), measured.get("high"))
        proposal = replace(proposal_of(finding), edits=tuple(edits))
        known = replace(proposal, predicted=Prediction("measured before", float(speedup)), measured=interval)
        found.append(known if holds else proposal)
    return sorted(found, key=lambda one: -(one.speedup or 0.0))


def _step(profile: Profile) -> tuple[object, ...]:
    """How batches were taken: what one run says of a gain holds for another one with the same."""
    device, steps = profile.device, profile.steps
    return (device.kind, device.text) if device else (), steps.dispatch if steps else None


def can_be_tried(finding: Finding) -> bool:
    """Whether known edits make the change of a finding, and no try has rejected it."""
    return finding.is_known and finding.family != "correctness" and finding.status != "rejected"
