"""The order of findings, and what they are worth: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import partial

from pipeprof.profiles.advise.as_finding import MEASURED
from pipeprof.profiles.advise.proposal import SEMANTICS, effort, value_of
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.findings import Facts, Finding
from pipeprof.profiles.view.view import PipelineView


def ordered(findings: Iterable[Finding], view: PipelineView | None = None) -> list[Finding]:
    """The findings in the order in which they are shown.

    Kept ones, caches that were kept, unfinished ones, correctness, unverified ones, ceilings, rejected ones;
    within each by worth, those whose gain is only known to be no larger than a number last, then by place in the
    pipeline. Of changes that are as fast as measured, those of the pipeline come before those of the process, then the
    one that changes less of the data, and of those within 3 % of the fastest the simplest one: without memory for data,
    without new stages, with the fewest edits.

    Args:
        view: Gives stages their places among equal findings; without it they keep their order.
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
    low = _number((best.measured or {}).get("low"))
    return 0 < low <= _speedup(finding)


def _speedup(finding: Finding) -> float:
    return _number((finding.measured or {}).get("speedup"))


def worth(finding: Finding, view: PipelineView | None = None) -> float:
    """Value of a finding on one scale for speed and memory: twice the speed equals half the peak.

    Args:
        finding: Its measured effect counts, else the predicted one.
        view: Has the peak that savings are a part of; without a measured one, the memory limit.

    Returns:
        0 if nothing is known about it.

    Example:
        >>> from pipeprof.profiles.document.findings import Facts, Finding, Predicted
        >>> twice = Finding(rule="a", title="", status="unverified", predicted=Predicted(speedup=2.0))
        >>> round(worth(twice), 3)
        0.693
    """
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
