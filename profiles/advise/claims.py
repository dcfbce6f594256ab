"""What a measured change may not claim: more than the step allows, or memory that costs too much speed.

Nor anything with a step that leaves the pipeline more than the real one does.
"""

from __future__ import annotations

import math
import re

from pipeprof.profiles.advise.proposal import tunes_process
from pipeprof.profiles.document.findings import Finding, Fix
from pipeprof.profiles.document.profile import Message, Profile
from pipeprof.profiles.time.verdict import most_gain
from pipeprof.profiles.wording import percent, ratio_text, significant, size

CODE = "step-too-optimistic"
SLOWER = 0.95
"""Measured speed below which a change that saves memory seems to cost some, however wide the interval is."""
_KNOWN_WITHIN = 1.25
"""The upper end of an interval over its lower one, up to which it says something about the speed."""
NEAR_LIMIT = 0.5
"""Share of the memory limit that the peak takes, from which memory is worth any speed."""


def warning(why: str) -> Message:
    """What a report says of a step that is too optimistic, as `pipelines.steps.step` has it."""
    text = (
        f"In the recorded run {why}, and this replay of it only waits: the pipeline is faster here than in the "
        "training, and nothing is proven by it."
    )
    return Message(code=CODE, message=text)


def withhold_findings(profile: Profile) -> None:
    """Make of findings that are proven or bounded with such a step unverified ones; what was measured stays."""
    why = _why(profile)
    for finding in profile.findings or () if why is not None else ():
        if finding.status in {"kept", "ceiling"}:
            finding.status, finding.reason = "unverified", f"{why}; in its replay: {finding.reason}"


def withhold_fix(profile: Profile, result: Fix) -> None:
    """Make of a search that has proven something with such a step one that has not."""
    why = _why(profile)
    if why is not None and result.status == "fixed":
        result.status, result.reason = "not-proven", f"{why}; in its replay: {result.reason}"


def _why(profile: Profile) -> str | None:
    return profile.device.too_optimistic if profile.device is not None else None


def too_dear(finding: Finding, peak: int | None, limit: int | None) -> str | None:
    """Return why a change that saves memory is no recommendation, in words; None where it is worth what it costs.

    Half the speed is twice the peak. Near the limit, memory comes first. A speed that is undecided and looks slower is
    no recommendation either, nor is a setting of the process whose price in speed is not known.
    """
    measured = finding.measured or {}
    saved, high = -(measured.get("peak_rss_delta_bytes") or 0), measured.get("high") or math.inf
    seems_slower = 1 <= high < math.inf and measured["speedup"] < SLOWER
    unknown = tunes_process(finding.edits) and not knows_speed(finding)
    if finding.family != "memory" or finding.status != "kept" or not peak or not (high < 1 or seems_slower or unknown):
        return None
    if limit is not None and peak >= NEAR_LIMIT * limit:
        return None
    saves = f"it saves {size(saved)} of {size(peak)}"
    if unknown and not (high < 1 or seems_slower):
        return f"{saves}; too few rounds to tell what it costs"
    if seems_slower:
        between, rounds = f"{significant(measured['low'])} to {significant(high)}", len(measured["pairs"])
        return f"{saves}, and seems slower: {ratio_text(measured['speedup'])} ({between}, {rounds} rounds)"
    if saved >= peak or -math.log(high) <= -math.log(1 - saved / peak):
        return None
    return f"{saves}, and costs {percent(1 - measured['speedup'])} of the steps per second"


def knows_speed(finding: Finding) -> bool:
    """Whether the interval of a measured speed is narrow enough to say something about it."""
    low, high = ((finding.measured or {}).get(end) or 0.0 for end in ("low", "high"))
    return low > 0 and 0 < high <= _KNOWN_WITHIN * low


def cut_to_limit(profile: Profile) -> None:
    """Cut measured gains to that of a pipeline that costs nothing, which the verdict states; keep what was measured.

    The verdict's is from one process and the gains from others, where the pipeline as it is may be slower.
    """
    most, steps = most_gain(profile), profile.steps
    has_step = steps is not None and steps.dispatch is not None
    words = "as fast as the step allows" if has_step else "as fast as an empty loop"
    for finding in profile.findings or ():
        # What sets the pace then is the step, or the loop: not what was concluded.
        known = {name: value for name, value in (finding.measured or {}).items() if name != "conclusion"}
        if not (known.get("speedup") or 0.0) > most:
            continue
        numbers = {name: known[name] for name in ("speedup", "low", "high", "pairs") if known.get(name)}
        cut = {name: min(value, most) for name, value in numbers.items() if name != "pairs"}
        pairs = {"pairs": [min(pair, most) for pair in numbers["pairs"]]} if "pairs" in numbers else {}
        finding.measured = {**known, **cut, **pairs, "at_limit": words, "uncut": numbers}
        as_measured = rf"{re.escape(ratio_text(known['speedup']))}(?: \([^()]*\))?"
        finding.reason = re.sub(as_measured, words, finding.reason) if finding.reason is not None else None
