"""What was tried and what was not, in agreement with each other and with the verdict: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeprof.pipelines.changes.edits import are_alternatives
from pipeprof.profiles.advise.text.in_words import as_change
from pipeprof.profiles.document.findings import Finding, NotTried
from pipeprof.profiles.document.profile import Profile

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
