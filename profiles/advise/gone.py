"""Rules that went before the first release, for those whose specs ignore them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

_DIVISION: Final = "what a strategy of TensorFlow divides among hosts is not worked out any more"
RULES: Final[dict[str, str]] = {
    "autoshard-data-policy": _DIVISION,
    "rebuilt-per-call": "an upper bound names the call and its line; make it once, outside the function",
    "row-per-call": "an upper bound names the call and its line; read a whole batch with it, or keep the file open",
    "sent-by-processes": "make the elements in a map with parallel calls",
    "too-few-files": _DIVISION,
    "unequal-shards": _DIVISION,
}
"""By the name of a rule: the name of the one that is in its place, or why there is none."""


def instead_of(name: str, known: Collection[str]) -> str | None:
    """Return the end of a sentence about a rule that went; None for any other name."""
    instead = RULES.get(name)
    if instead is None:
        return None
    return f"is {instead} now" if instead in known else f"is gone: {instead}"
