"""The one place where a proposal becomes a finding of the document, and where it is read from one."""

from __future__ import annotations

from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.document.findings import Finding, Predicted, documents_of

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
    return Proposal(
        title=finding.title,
        change=finding.change or finding.title,
        edits=finding.edits,
        semantics=finding.semantics,
        redrawn=finding.redrawn,
        family=finding.family or "speed",
        rule=finding.rule,
        stage=finding.stage,
        predicted=_read(finding.predicted) if finding.predicted is not None else None,
        in_spec=finding.in_spec,
        cache=finding.cache,
    )


def _read(known: Predicted) -> Prediction:
    return Prediction(known.formula or "", known.speedup, known.peak_rss_delta_bytes, known.wait_ms)
