"""Edits that are made together: those that were kept, and those that only pay once others are made; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeprof.pipelines.changes.edits import InsertStage, MoveFilter, MoveStage, new_ops
from pipeprof.pipelines.changes.in_spec import can_change
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.propose.finding import finding_of
from pipeprof.profiles.propose.proposal import Proposal, most_redrawn, strongest
from pipeprof.profiles.verify.alternatives import is_alternative, without_alternatives

COMBINED = "combined"
"""The rule of a finding that is several edits together."""
TITLE = "All of them together"
NO_LOSS = 0.5
"""Speed alone from which an edit may still pay together with another one: it may load the thread that sets the pace."""
_AFTER = re.compile(r"\bafter ([^\s:;,]+)")
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def together(kept: Sequence[Finding], data: Mapping[str, Any] | None, title: str = TITLE) -> Finding:
    """Return a finding of all edits of several ones."""
    edits = tuple(edit for finding in kept for edit in finding.edits)
    return finding_of(
        Proposal(
            title,
            "; ".join(_in_words(finding, edits) for finding in kept),
            edits,
            strongest(finding.semantics or "same" for finding in kept),
            redrawn=most_redrawn(finding.redrawn for finding in kept),
            family="speed" if any(finding.family == "speed" for finding in kept) else "memory",
            rule=COMBINED,
            in_spec=data is not None and can_change(data, edits),
        )
    )


def _in_words(finding: Finding, edits: Sequence[object]) -> str:
    """An edit in words: what it puts after a stage that another edit moves away stays where that stage was."""
    words = finding.change or finding.title
    moved = {edit.stage for edit in edits if isinstance(edit, (MoveFilter, MoveStage))}
    put = [edit for edit in finding.edits if isinstance(edit, InsertStage) and edit.after in moved]
    return _AFTER.sub(r"where \1 was", words, count=1) if put else words


def with_more(best: Finding, more: Finding, data: Mapping[str, Any] | None, *, count: int) -> Finding:
    """Return a finding of the edits that helped most and of one that did not help alone.

    Args:
        best: What helped most.
    """
    return together([best, more], data, f"{_NUMBERS[count] if count < len(_NUMBERS) else count} changes together")


def fastest(findings: Iterable[Finding]) -> Finding | None:
    """Return the finding that was kept for its speed with the largest gain; None where there is none."""
    kept = [finding for finding in findings if finding.status == "kept" and finding.family == "speed"]
    return max(kept, key=_speedup, default=None)


def best_of(kept: Sequence[Finding]) -> tuple[Finding | None, int]:
    """Return the `fastest` of what was kept, and how many changes it consists of."""
    best = fastest(kept)
    if best is None or best.rule != COMBINED:
        return best, 1
    return best, len(without_alternatives([finding for finding in kept if finding is not best]))


def worth_another_try(profile: Profile, best: Finding, tried: Iterable[Finding]) -> list[Finding]:
    """Return the edits that may pay once others are made, those at the stages with most work first.

    One stage sets the pace: what makes another one faster is no gain until that one is faster. And what the graph
    refused may fit the elements of the edited one; but where the epochs that a cache would keep differ, they still do.

    Args:
        best: What helped most.
        tried: Findings with edits that did not help alone.
    """
    shares = {stage.id: stage.share or 0.0 for stage in profile.stages or ()}
    found = [one for one in tried if _may_pay(one) and not is_alternative(one, [best])]
    return sorted(found, key=lambda finding: -shares.get(finding.stage or "", 0.0))


def _may_pay(finding: Finding) -> bool:
    if finding.measured is not None:
        return _speedup(finding) >= NO_LOSS
    return not any(traits(op).stores for op in new_ops(finding.edits))


def _speedup(finding: Finding) -> float:
    return float((finding.measured or {}).get("speedup") or 0.0)
