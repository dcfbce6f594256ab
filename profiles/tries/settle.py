"""What was tried and what was not, in agreement with each other and with the verdict: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from pipeprof.profiles.advise.alternatives import are_alternative_edits
from pipeprof.profiles.document.findings import Finding, NotTried
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.time.verdict import most_gain
from pipeprof.profiles.wording import ratio_text, size, stage_label, stage_name, stage_place

INTERRUPTED = "Interrupted while changes were tried; the measurement itself is complete."
ENDED = "Trying changes ended early, the measurement itself is complete: {}."


def uncovered(profile: Profile, untried: Mapping[str, Sequence[Finding]]) -> list[NotTried]:
    """Changes that were not tried, by the reason, unless a finding is the same."""
    left = {
        reason: [one for one in every if not is_covered(one, profile.findings or ())]
        for reason, every in untried.items()
    }
    return [
        NotTried(reason=reason, changes=list(dict.fromkeys(as_change(profile, one) for one in every)))
        for reason, every in left.items()
        if every
    ]


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
