"""What a measured change costs, keeps and saves, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.advise.claims import SLOWER, knows_speed
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.experiment.evidence import MEMORY_BYTES
from pipeprof.profiles.time.flow import whole_epoch_seconds
from pipeprof.profiles.wording import percent, ratio_text, significant, size, span_text

if TYPE_CHECKING:
    from pipeprof.profiles.document.findings import Finding, Kept
    from pipeprof.profiles.document.profile import Profile

_FROM = 1 + FLOOR
"""Smallest speed-up that is a gain."""
_UNITS = ((7200.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
"""From so many seconds on, their length and their name."""


def if_it_fits(profile: Profile) -> str:
    """State for which data a cache is advice."""
    known = profile.data_size is not None
    return "as the whole data set fits into memory" if known else "for as much data as was measured"


def describe_price(profile: Profile, finding: Finding) -> str | None:
    """Describe the cost in speed of a change that was measured to save memory, and which of the two matters here."""
    saved = -_number(finding, "peak_rss_delta_bytes")
    if finding.family != "memory" or finding.status != "kept" or saved <= 0:
        return None
    speedup, low, high = (_number(finding, name) for name in ("speedup", "low", "high"))
    saves = f"saves {size(saved)}"
    if high >= 1 and 0 < speedup < SLOWER:
        return f"{saves}, and seems slower: {ratio_text(speedup)} ({span_text(low, high)})"
    if not (knows_speed(finding) or low > _FROM or 0 < high < 1):
        return f"{saves}; too few rounds to tell whether it changes the speed. {_what_matters(profile)}"
    if low > 1:
        return f"{saves}, and is {ratio_text(speedup)} as fast ({span_text(low, high)})"
    if high >= 1:
        return f"{saves} at the same speed, within what was measured"
    return f"{saves}, costs {percent(1 - speedup)} of the steps per second. {_what_matters(profile)}"


def _what_matters(profile: Profile) -> str:
    """Whether speed matters at this step, as far as the run shows it."""
    steps, bound = profile.steps, profile.verdict.bound if profile.verdict is not None else None
    if steps is None or steps.dispatch is None or bound is None:
        return "Without a training step it is unknown whether the speed matters"
    waits = f"the device waits for data {percent(steps.wait_share)} of the time" if steps.wait_share is not None else ""
    if bound == "step":
        return f"Speed matters little here: the step sets the pace{f' ({waits})' if waits else ''}"
    return f"Both matter here{f': {waits}' if waits else ''}"


def _number(finding: Finding, name: str) -> float:
    """A number of what was measured; 0 where it is unknown."""
    value = (finding.measured or {}).get(name)
    return float(value) if isinstance(value, int | float) else 0.0


_MORE = 1.1
"""Times the bytes that a cache keeps, from which the rest of the measured peak is explained."""


def describe_kept(profile: Profile, kept: Kept | None, more_bytes: float = 0.0) -> str:
    """State what a change keeps in memory, and for which data it is advice; empty for one that keeps nothing.

    Args:
        more_bytes: By how much the measured peak is higher with it.
    """
    if kept is None:
        return ""
    if profile.data_size is not None and kept.bytes is not None:
        of_limit = profile.host.memory_limit_bytes
        limit = f" of {size(of_limit)}" if of_limit is not None else ""
        return f"keeps {size(kept.bytes)} of the whole data set in memory{limit}; pays off from the second epoch on"
    unknown = "all elements, whose bytes were not seen,"
    held = f"keeps {size(kept.sample_bytes) if kept.sample_bytes is not None else unknown} in memory"
    if kept.sample_bytes is None and more_bytes > 0:
        held = f"keeps at most {size(more_bytes)} in memory"
    elif kept.sample_bytes is not None and more_bytes > max(MEMORY_BYTES, _MORE * kept.sample_bytes):
        # What a faster pipeline has in flight, and frees, is no part of the cache and does not grow with the data.
        held += f" (the other {size(more_bytes - kept.sample_bytes)}: overhead, batches ahead, memory freed late)"
    if profile.data_size is not None:
        return f"{held} for this sample; --dataset-size SIZE says how much for all of it"
    return f"{held} {if_it_fits(profile)} (if there is more: --dataset-size SIZE, such as 1.2TB)"


def describe_epoch(profile: Profile, finding: Finding) -> str:
    """State how long an epoch of the whole data set takes with a change that was measured; empty if not known."""
    speedup = (finding.measured or {}).get("speedup")
    if finding.status not in {"kept", "ceiling"} or finding.family == "memory":
        return ""
    later = " from the second one on" if finding.cache is not None else ""
    least = "at least " if finding.status == "ceiling" else ""
    return epoch_text(whole_epoch_seconds(profile), speedup, least=least, later=later)


def epoch_text(seconds: float | None, speedup: float | None, *, least: str = "", later: str = "") -> str:
    """How long an epoch takes with a gain and without it; empty where one of the two is unknown.

    Example:
        >>> epoch_text(2520.0, 2.5), epoch_text(None, 2.0)
        ('an epoch takes 17 instead of 42 minutes', '')
    """
    if not seconds or not speedup or speedup <= 1:
        return ""
    unit, name = next((unit, name) for start, unit, name in _UNITS if seconds >= start)
    before, after = (significant(each / unit, 2) for each in (seconds, seconds / speedup))
    return f"an epoch takes {least}{after} instead of {before} {name}{later}"
