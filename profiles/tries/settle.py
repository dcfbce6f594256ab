"""What makes the findings of a verification agree with each other and with the verdict: pure functions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from pipeprof.profiles.advise.alternatives import are_alternative_edits
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.time.verdict import most_gain
from pipeprof.profiles.tries.plan import as_change
from pipeprof.profiles.wording import ratio_text

INTERRUPTED = "Interrupted while changes were tried; the measurement itself is complete."
ENDED = "Trying changes ended early, the measurement itself is complete: {}."
_BUDGET = re.compile(r"(?<=--budget )\d+")
_KNOWN = ("kept", "ceiling", "unverified", "rejected")
"""Statuses, the one first that says most."""


def settle(profile: Profile, given: float, late: Iterable[tuple[Finding, float]]) -> None:
    """Make findings agree with each other and with the verdict, once nothing more is tried.

    Args:
        given: Seconds of the budget.
        late: Changes that had no time, each with the seconds that it takes.
    """
    profile.findings = without_repeats(profile.findings or ())
    cut_to_limit(profile)
    more = [seconds for one, seconds in late if not is_covered(one, profile.findings)]
    more += [one.unfinished.budget_seconds - given for one in profile.findings if one.unfinished is not None]
    name_one_budget(profile, given + sum(more))


def uncovered(profile: Profile, untried: Mapping[str, Sequence[Finding]]) -> dict[str, list[str]]:
    """Changes that were not tried, by the reason, unless a finding is the same."""
    found: dict[str, list[str]] = {}
    for reason, findings in untried.items():
        if left := [one for one in findings if not is_covered(one, profile.findings or ())]:
            found[reason] = list(dict.fromkeys(as_change(profile, one) for one in left))
    return found


def without_repeats(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, of those with one title at one stage the one that is known best, or gains most; in their order."""
    best: dict[tuple[str | None, str], Finding] = {}
    for finding in findings:
        key = (finding.stage, finding.title)
        best[key] = max(best.get(key, finding), finding, key=_is_known)
    return [finding for finding in findings if finding is best[finding.stage, finding.title]]


def _is_known(finding: Finding) -> tuple[int, bool, float]:
    gain = (finding.measured or {}).get("speedup") or 0.0
    return -_KNOWN.index(finding.status), finding.unfinished is not None, gain


def is_covered(finding: Finding, reported: Iterable[Finding]) -> bool:
    """Whether a change that was not tried is one that is reported, or another way to do what was kept."""
    known = [one for one in reported if one.status != "rejected"]
    if any((one.stage, one.title) == (finding.stage, finding.title) for one in known):
        return True
    return any(one.status == "kept" and are_alternative_edits(finding.edits, one.edits) for one in known)


def cut_to_limit(profile: Profile) -> None:
    """Cut measured gains to that of a pipeline that costs nothing, which the verdict states; keep what was measured.

    The verdict's is from one process and the gains from others, where the pipeline as it is may be slower.
    """
    most, steps = most_gain(profile), profile.steps
    has_step = steps is not None and steps.dispatch is not None
    words = "as fast as the step allows" if has_step else "as fast as an empty loop"
    for finding in profile.findings or ():
        known = finding.measured or {}
        if not (known.get("speedup") or 0.0) > most:
            continue
        numbers = {name: known[name] for name in ("speedup", "low", "high", "pairs") if known.get(name)}
        cut = {name: min(value, most) for name, value in numbers.items() if name != "pairs"}
        pairs = {"pairs": [min(pair, most) for pair in numbers["pairs"]]} if "pairs" in numbers else {}
        finding.measured = {**known, **cut, **pairs, "at_limit": words, "uncut": numbers}
        as_measured = rf"{re.escape(ratio_text(known['speedup']))}(?: \([^()]*\)| in \d+ pairs?)?"
        finding.reason = re.sub(as_measured, words, finding.reason) if finding.reason is not None else None


def name_one_budget(profile: Profile, least: float = 0.0) -> None:
    """Write the same number wherever a budget is named that would decide more.

    Args:
        least: Seconds of the budget in which all has time that promises a gain.
    """
    done, findings = profile.verification, profile.findings or []
    if done is None:
        return
    texts = [*(one.reason or "" for one in findings), *done.bounds, *(one.reason for one in done.not_tried)]
    named = [int(number) for text in texts for number in _BUDGET.findall(text)]
    named += [one.unfinished.budget_seconds for one in findings if one.unfinished is not None]
    named += [done.needs_seconds] if done.needs_seconds is not None else []
    if not named:
        return
    number = max([10 * math.ceil(least / 10), *named])
    for finding in findings:
        finding.reason = _BUDGET.sub(str(number), finding.reason) if finding.reason is not None else None
        if finding.unfinished is not None:
            finding.unfinished = finding.unfinished.model_copy(update={"budget_seconds": number})
    done.bounds = [_BUDGET.sub(str(number), text) for text in done.bounds]
    for group in done.not_tried:
        group.reason = _BUDGET.sub(str(number), group.reason)
    done.needs_seconds = number if done.needs_seconds is not None else None
