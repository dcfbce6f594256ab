"""Cases that are measured again where the machine, and not pipeprof, may be why they do not hold."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MOST_TRIES = 3
STOLEN = 0.02
"""Share of the cores that the hypervisor took: what is claimed by the clock to a hundredth is not known beside it."""
OTHERS_BELOW, STOLEN_BELOW = 0.04, 0.03
"""Where a case begins: share of all cores that others use, and what the hypervisor takes of a core that computes."""
LOOK_SECONDS, PAUSE_SECONDS, PATIENCE_SECONDS = 2.0, 5.0, 60.0
"""How long the machine is looked at, the pause between two looks, and how long a case waits for a quiet machine."""

Json = dict[str, Any]


def is_disturbed(profile: Mapping[str, Any]) -> bool:
    """Whether a profile says that something else took the cores."""
    warned = any(warning["code"] == "disturbed" for warning in profile.get("warnings") or [])
    return warned or ((profile.get("contention") or {}).get("steal_share") or 0.0) >= STOLEN


def is_quiet(before: list[int], after: list[int], mine: float) -> bool:
    """Whether nothing else wants the cores, from two first lines of ``/proc/stat``.

    Args:
        before: Ticks by kind of all cores together.
        after: The same later, while one core computed: nothing is stolen from cores that are idle.
        mine: Ticks that were used for that.
    """
    spent = [now - then for then, now in zip(before, after, strict=True)][:8]
    total, idle, stolen = max(1, sum(spent)), spent[3] + spent[4], spent[7]
    return total - idle - stolen - mine < OTHERS_BELOW * total and stolen < STOLEN_BELOW * (mine + stolen)


def wait_until_quiet() -> None:
    """Wait until nothing else wants the cores, or patience is at its end; on Linux only."""
    stat, end = Path("/proc/stat"), time.monotonic() + PATIENCE_SECONDS
    ticks_per_second = os.sysconf("SC_CLK_TCK")

    def ticks() -> list[int]:
        return [int(word) for word in stat.read_text(encoding="ascii").splitlines()[0].split()[1:]]

    while stat.exists() and time.monotonic() < end:
        before, began, used = ticks(), time.monotonic(), time.process_time()
        while time.monotonic() < began + LOOK_SECONDS:
            pass
        if is_quiet(before, ticks(), (time.process_time() - used) * ticks_per_second):
            return
        time.sleep(PAUSE_SECONDS)


def words_of(broken: list[str], *, disturbed: bool) -> str:
    """What became of one try."""
    return f"{'DISTURBED' if disturbed else 'DOES NOT HOLD'}: {', '.join(broken)}" if broken else "holds"


def until_undisturbed(measure: Callable[[], tuple[Json, Any]]) -> tuple[Json, Any]:
    """The figures and raw values of a case, measured again while it does not hold and was disturbed.

    Each try waits for a quiet machine.

    Args:
        measure: Measures it once; its figures say whether it ``holds`` and whether it was ``disturbed``.

    Returns:
        Those of the last try; the figures of all before it are in ``disturbed_tries``.
    """
    before: list[Json] = []
    while True:
        wait_until_quiet()
        figures, raw = measure()
        if figures["holds"] or not figures["disturbed"] or len(before) + 1 == MOST_TRIES:
            return figures | {"disturbed_tries": before}, raw
        before.append(figures)


def outcome_of(figures: Mapping[str, Json]) -> str:
    """Whether all cases hold, one does not, or this machine cannot tell."""
    broken = [one for one in figures.values() if not one["holds"]]
    if any(not one.get("disturbed", False) for one in broken):
        return "does not hold"
    return "cannot tell" if broken else "holds"
