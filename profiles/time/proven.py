"""Changes that were measured, in the verdict."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.findings import VerdictDetail
from pipeprof.profiles.wording import percent, significant, size, stages_in_a_row

if TYPE_CHECKING:
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.profile import Profile

_FROM = 1 + FLOOR
"""Smallest speed-up that is a gain."""
_KNOWN_WITHIN = 1.25
"""The upper end of an interval over its lower one, up to which it says something about the speed."""


def describe_proven(profile: Profile) -> list[VerdictDetail]:
    """Return the largest measured speed-up and the largest upper bound, with the numbers of their findings from 1 on.

    Args:
        profile: With its findings in display order.
    """
    found = []
    bound = profile.headspace.speedup if profile.headspace is not None else math.inf
    if (kept := _largest(profile, "kept")) is not None:
        # Trials differ from the run, and the run has a smaller bound of its own.
        gain = "as fast as if the pipeline cost nothing" if kept[0] > bound else f"{significant(kept[0])}× faster"
        found.append(VerdictDetail(label="measured", text=f"{gain} with change {kept[1]}"))
    most = _largest(profile, "ceiling")
    if most is not None and (kept is None or most[0] > kept[0]):
        finding = (profile.findings or [])[most[1] - 1]
        replayed = set((finding.measured or {}).get("replayed") or ())
        name = stages_in_a_row([stage for stage in profile.stages or () if stage.id in replayed])
        text = f"at most {significant(most[0])}× faster without {name or 'its stage'}, finding {most[1]}"
        if most[0] > bound:
            text = f"without {name or 'its stage'} as fast as if the pipeline cost nothing, finding {most[1]}"
        found.append(VerdictDetail(label="bound", text=text))
    return found


def _largest(profile: Profile, status: str) -> tuple[float, int] | None:
    """The largest speed-up and its finding's number; of kept ones the first that is as fast, within the interval."""
    gains = {
        number: finding
        for number, finding in enumerate(profile.findings or [], start=1)
        if finding.status == status and finding.measured is not None and _is_faster(finding)
    }
    best = max(gains, key=lambda number: _number(gains[number], "speedup"), default=None)
    if best is None or _number(gains[best], "speedup") < _FROM:
        return None
    least = _number(gains[best], "low" if status == "kept" else "speedup") or _number(gains[best], "speedup")
    shown = next(number for number in gains if _number(gains[number], "speedup") >= least)
    return _number(gains[shown], "speedup"), shown


def _is_faster(finding: Finding) -> bool:
    """Whether a kept change was seen to be faster: one that saves memory is kept whatever its speed."""
    return finding.family != "memory" or _number(finding, "low") >= _FROM


def knows_speed(finding: Finding) -> bool:
    """Whether the interval of a measured speed is narrow enough to say something about it."""
    low, high = _number(finding, "low"), _number(finding, "high")
    return low > 0 and 0 < high <= _KNOWN_WITHIN * low


def describe_price(profile: Profile, finding: Finding) -> str | None:
    """Describe the cost in speed of a change that saves memory, and which of the two matters at this step.

    Returns:
        None where the finding is not about memory, or was not measured.
    """
    saved = -_number(finding, "peak_rss_delta_bytes")
    if finding.family != "memory" or finding.status != "kept" or saved <= 0:
        return None
    speedup, low, high = (_number(finding, name) for name in ("speedup", "low", "high"))
    saves = f"saves {size(saved)}"
    if not (knows_speed(finding) or low > _FROM or 0 < high < 1):
        return f"{saves}; too few pairs to tell whether it changes the speed. {_what_matters(profile)}"
    if low > _FROM:
        return f"{saves}, and is {significant(speedup)}× faster"
    if high >= 1:
        return f"{saves} at the same speed, within what was measured"
    return f"{saves}, costs {percent(1 - speedup)} of the steps per second. {_what_matters(profile)}"


def _what_matters(profile: Profile) -> str:
    """Whether speed matters at this step, as far as the run shows it."""
    steps, bound = profile.steps, profile.verdict.bound if profile.verdict is not None else None
    if steps is None or steps.dispatch is None or bound is None:
        return "Without a training step it is unknown whether the speed matters"
    waits = f"the device waits for data {percent(steps.wait_share)} of the time"
    if bound == "step":
        return f"The memory matters here: the step sets the pace ({waits})"
    return f"Both matter here: {waits}"


def _number(finding: Finding, name: str) -> float:
    """A number of what was measured; 0 where it is unknown."""
    value = (finding.measured or {}).get(name)
    return float(value) if isinstance(value, int | float) else 0.0
