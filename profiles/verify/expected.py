"""What edits are expected to give before they are tried, and the order that follows from it: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeprof.profiles.advise.order import worth
from pipeprof.profiles.document.findings import Finding, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.model.calibration import costs_of
from pipeprof.profiles.model.costs import Costs
from pipeprof.profiles.model.predict import predict

PROMISING = 1.2
"""Predicted speed-up from which an edit is tried before an upper bound, which is no advice yet."""


def promises(finding: Finding) -> bool:
    """Whether the edit of a finding is predicted to be a good gain."""
    return finding.predicted is not None and (finding.predicted.speedup or 0.0) >= PROMISING


def by_worth(profile: Profile, findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order in which they are tried: the largest predicted effect first.

    Args:
        profile: Of the run. What has no prediction gets that of the model, where it knows the edit.
        findings: In the order of the report, which those of the same worth keep.
    """
    costs = costs_of(profile)
    known = [_predicted(profile, finding, costs) for finding in findings]
    return sorted(known, key=lambda finding: -worth(finding))


def in_turn(reported: Iterable[Finding], further: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Return all edits in the order of their predicted effect, those to try before upper bounds and those after.

    Args:
        reported: Findings, in the order in which those of the same worth are tried.
        further: Edits that are reported only if they help; the second part begins with the first of them that does not
            promise a good gain.
    """
    unsure = [finding for finding in further if not promises(finding)]
    ranked = sorted([*reported, *further], key=lambda finding: -worth(finding))
    first = next((at for at, finding in enumerate(ranked) if any(finding is one for one in unsure)), len(ranked))
    return ranked[:first], ranked[first:]


def _predicted(profile: Profile, finding: Finding, costs: Costs) -> Finding:
    if finding.predicted is not None or finding.family == "correctness" or not finding.is_known:
        return finding
    try:
        expected = predict(profile, finding.edits, costs)
    except Exception:  # A mistake in the model must never cost the verification.
        return finding
    if expected is not None and expected.speedup > 0:
        finding.predicted = Predicted(
            speedup=expected.speedup,
            peak_rss_delta_bytes=expected.peak_bytes,
            wait_ms=expected.wait_ms,
            formula=expected.formula,
        )
    return finding
