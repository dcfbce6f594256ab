"""Cases that are measured again where the machine, and not pipeprof, may be why they do not hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MOST_TRIES = 3
STOLEN = 0.02
"""Share of the cores that the hypervisor took: what is claimed by the clock to a hundredth is not known beside it."""
EXITS = {"holds": 0, "does not hold": 1, "cannot tell": 3}

Json = dict[str, Any]


def is_disturbed(profile: Mapping[str, Any]) -> bool:
    """Whether a profile says that something else took the cores."""
    warned = any(warning["code"] == "disturbed" for warning in profile.get("warnings") or [])
    return warned or ((profile.get("contention") or {}).get("steal_share") or 0.0) >= STOLEN


def words_of(broken: list[str], *, disturbed: bool) -> str:
    """What became of one try."""
    return f"{'DISTURBED' if disturbed else 'DOES NOT HOLD'}: {', '.join(broken)}" if broken else "holds"


def until_undisturbed(measure: Callable[[], tuple[Json, Any]]) -> tuple[Json, Any]:
    """The figures and raw values of a case, measured again while it does not hold and was disturbed.

    Args:
        measure: Measures it once; its figures say whether it ``holds`` and whether it was ``disturbed``.

    Returns:
        Those of the last try; the figures of all before it are in ``disturbed_tries``.
    """
    before: list[Json] = []
    while True:
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
