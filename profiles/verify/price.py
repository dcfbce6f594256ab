"""Whether a change that saves memory is worth the speed that it costs: a pure function."""

from __future__ import annotations

import math

from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.propose.proposal import tunes_process
from pipeprof.profiles.time.proven import SLOWER, knows_speed
from pipeprof.profiles.wording import percent, ratio_text, significant, size

NEAR_LIMIT = 0.5
"""Share of the memory limit that the peak takes, from which memory is worth any speed."""


def too_dear(finding: Finding, peak: int | None, limit: int | None) -> str | None:
    """Return why a change that saves memory is no recommendation, in words; None where it is worth what it costs.

    Speed and memory are on one scale, that of `worth`: half the speed is twice the peak. Near the limit, memory comes
    first. A speed that is undecided and looks slower is no recommendation either, nor is a setting of the process whose
    price in speed is not known.

    Args:
        peak: Memory at the peak of the run, in bytes; None where it is unknown.
        limit: Memory limit in bytes; None for none.
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
        return f"{saves}; too few pairs to tell what it costs"
    if seems_slower:
        between, pairs = f"{significant(measured['low'])} to {significant(high)}", len(measured["pairs"])
        return f"{saves}, and seems slower: {ratio_text(measured['speedup'])} ({between}, {pairs} pairs)"
    if saved >= peak or -math.log(high) <= -math.log(1 - saved / peak):
        return None
    return f"{saves}, and costs {percent(1 - measured['speedup'])} of the steps per second"
