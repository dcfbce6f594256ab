"""Items of a list and entries of a mapping as they are to stand afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Final:
    """One item or entry afterwards."""

    origin: int | None
    value: Any = None
    key: str | None = None
    moved: bool = False
    before: bool = False
    replaces: bool = False


@dataclass(frozen=True)
class Run:
    """New and moved items next to each other, between two that stay; ``None`` at the beginning and the end."""

    after: int | None
    before: int | None
    items: tuple[Final, ...]


def staying(finals: Sequence[Final]) -> frozenset[int]:
    """The items that keep their lines: those that no edit moved, and moved ones that are in the old order again."""
    order = [final.origin for final in finals if final.origin is not None]
    found = [final.origin for final in finals if final.origin is not None and not final.moved]
    for final in finals:
        if final.origin is not None and final.moved:
            tried = {*found, final.origin}
            kept = [origin for origin in order if origin in tried]
            if kept == sorted(kept):
                found = kept
    return frozenset(found)


def runs(finals: Sequence[Final]) -> list[Run]:
    """Return the new items between those that stay, in order; empty runs are left out."""
    stay = staying(finals)
    found: list[Run] = []
    last: int | None = None
    between: list[Final] = []
    for final in finals:
        if final.origin is None or final.origin not in stay:
            between.append(final)
            continue
        found.append(Run(last, final.origin, tuple(between)))
        last, between = final.origin, []
    found.append(Run(last, None, tuple(between)))
    return [run for run in found if run.items]
