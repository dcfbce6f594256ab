"""Findings of the document made of proposals and read as such, their order, and what they are worth: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.checked import RefusedEditError, checked_edits
from pipeprof.profiles.advise.proposal import SEMANTICS, Proposal, effort, value_of
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.findings import Facts, Finding, Predicted, documents_of
from pipeprof.profiles.view.view import PipelineView

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile


def ordered(findings: Iterable[Finding], view: PipelineView | None = None) -> list[Finding]:
    """The findings in the order in which they are shown.

    Kept ones, caches that were kept, unfinished ones, correctness, unverified ones, ceilings, rejected ones; within
    each by worth, those whose gain is only known to be no larger than a number last, then by place in the pipeline. Of
    changes that are as fast as measured, those of the pipeline come before those of the process, then the one that
    changes less of the data, and of those within 3 % of the fastest the simplest one: without memory for data, without
    new stages, with the fewest edits.
    """
    places = {stage.id: index for index, stage in enumerate(view.stages)} if view is not None else {}

    def key(finding: Finding) -> tuple[int, bool, float, int, str]:
        place = places.get(finding.stage or "", len(places))
        bounded = view is not None and view.profile is not None and view.profile.only_bounds(finding)
        return _group(finding), bounded, -worth(finding, view), place, finding.rule

    return _gentler_first(sorted(findings, key=key))


def _gentler_first(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, with what changes less, of the data or the pipeline, before what is about as fast."""
    left, found = list(findings), []
    while left:
        best = left[0]
        equal = [finding for finding in left if finding is best or _is_as_fast(finding, best)]
        found.append(min(equal, key=partial(_change, best=best)))
        left = [finding for finding in left if finding is not found[-1]]
    return found


def _change(finding: Finding, best: Finding) -> tuple[bool, int, tuple[bool, bool, float]]:
    """Sort key: of the process, effect on the data, then effort if the finding is about as fast as the best one."""
    near = _speedup(finding) * (1 + FLOOR) >= _speedup(best)
    tunes, keeps, adds, _ = effort(finding.edits)
    simple = (keeps, adds, float(len(finding.documents))) if near else _MOST_EFFORT
    return tunes, SEMANTICS.index(finding.semantics or "same"), simple


_MOST_EFFORT = (True, True, math.inf)


def _is_as_fast(finding: Finding, best: Finding) -> bool:
    if not all(each.status == "kept" and each.family == "speed" for each in (finding, best)):
        return False
    if (finding.cache is None) != (best.cache is None):
        return False
    # Where their intervals overlap it is not known which one is faster.
    low, high = _number((best.measured or {}).get("low")), (finding.measured or {}).get("high")
    return 0 < low <= (_number(high) or _speedup(finding))


def _speedup(finding: Finding) -> float:
    return _number((finding.measured or {}).get("speedup"))


def worth(finding: Finding, view: PipelineView | None = None) -> float:
    """Value of a finding on the scale of `value_of`, by its measured effect, else the predicted one; 0 if unknown."""
    effect: Facts = finding.measured or (finding.predicted.model_dump() if finding.predicted else {})
    speedup, saved = _number(effect.get("speedup")), -_number(effect.get("peak_rss_delta_bytes"))
    profile = view.profile if view is not None and view.profile is not None and view.profile.shows_memory else None
    peak = (profile.memory.peak_bytes if profile else None) or (view.memory_limit_bytes if view else None)
    return value_of(speedup, saved, peak)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _group(finding: Finding) -> int:
    """Which findings come first: in the order of the report's sections, so that its numbers go up."""
    if finding.status == "kept":
        return 0 if finding.cache is None else 1
    if finding.status == "unverified":
        # What no rule has found is here only with what it gains so far, or with lines to write.
        if (finding.unfinished is not None or finding.rule == MEASURED) and finding.cache is None:
            return 2
        return 3 if finding.family == "correctness" else 4
    return 6 if finding.status == "rejected" else 5


MEASURED = "measured"
"""Name of the rule of findings that no rule made."""


def finding_of(proposal: Proposal, *, patch: str | None = None, reason: str | None = None) -> Finding:
    """Write a proposal into a finding that was not tried yet; `patch` has its change as YAML, or as a diff."""
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
        change=proposal.change or None,
        in_spec=proposal.in_spec,
        cache=proposal.cache,
        predicted=proposal.predicted,
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
        predicted=finding.predicted,
        in_spec=finding.in_spec,
        cache=finding.cache,
    )


def proven_changes(saved: Profile, now: Profile | None = None) -> list[Proposal]:
    """The changes that a run has kept, fastest first; their gains only where `now` has the same step."""
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
        known = replace(
            proposal, predicted=Predicted(speedup=float(speedup), formula="measured before"), measured=interval
        )
        found.append(known if holds else proposal)
    return sorted(found, key=lambda one: -(one.speedup or 0.0))


def _step(profile: Profile) -> tuple[object, ...]:
    """How batches were taken: what one run says of a gain holds for another one with the same."""
    device, steps = profile.device, profile.steps
    return (device.kind, device.text) if device else (), steps.dispatch if steps else None


def can_be_tried(finding: Finding) -> bool:
    """Whether known edits make the change of a finding, and no try has rejected it."""
    return finding.is_known and finding.family != "correctness" and finding.status != "rejected"
