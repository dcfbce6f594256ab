"""Changes that can be made alone, and those that need others: pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

Subset: TypeAlias = "frozenset[int]"
"""Numbers of changes, or of units."""


@dataclass(frozen=True)
class Unit:
    """Changes that are made together.

    Attributes:
        reason: Why the first of them cannot be made alone; None for one change.
    """

    members: Subset
    reason: str | None = None


def units_of(count: int, problem: Callable[[Subset], str | None]) -> list[Unit]:
    """Join each change with those without which it is not possible.

    A change joins the nearest one that makes it possible; where no single one does, the fewest that are left after
    others were removed one by one. All changes together are possible: they are the other pipeline.

    Args:
        problem: Why a pipeline with some changes is not possible; None where it is.

    Example:
        >>> units_of(3, lambda chosen: "2 needs 0" if 2 in chosen and 0 not in chosen else None)
        [Unit(members=frozenset({0, 2}), reason='2 needs 0'), Unit(members=frozenset({1}), reason=None)]
    """
    known = cache(problem)
    units = [Unit(frozenset({number})) for number in range(count)]
    while True:
        wrong = next((unit for unit in units if len(units) > 1 and known(unit.members) is not None), None)
        if wrong is None:
            return units
        others = [unit for unit in units if unit is not wrong]
        joined = _partners(wrong, others, known)
        members = wrong.members.union(*(unit.members for unit in joined))
        unit = Unit(members, wrong.reason or known(wrong.members))
        units = sorted([unit, *(one for one in others if one not in joined)], key=lambda one: min(one.members))


def _partners(unit: Unit, others: list[Unit], problem: Callable[[Subset], str | None]) -> list[Unit]:
    """The units that make one possible."""
    near = sorted(others, key=lambda other: abs(min(other.members) - min(unit.members)))
    for other in near:
        if problem(unit.members | other.members) is None:
            return [other]
    kept = list(near)
    for other in reversed(near):
        fewer = [one for one in kept if one is not other]
        if fewer and problem(unit.members.union(*(one.members for one in fewer))) is None:
            kept = fewer
    return kept
