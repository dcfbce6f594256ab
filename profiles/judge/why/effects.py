"""Effects of changes from rounds of fresh processes: pure functions.

A round measures the first pipeline twice and some of its versions, in turns. The effect of a version is its value over
the mean of the two of the first pipeline, as a logarithm that is positive where the version is worse: the effects of
changes that do not depend on each other add up. Intervals, floors and words are those of a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias, TypeVar

from pipeprof.profiles.experiment.decision import Comparison, outcomes
from pipeprof.profiles.experiment.statistics import Interval, estimate, scaled, total
from pipeprof.profiles.judge.verdicts.metrics import MetricKind, Words

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Observation:
    """One round; `same` is what the two processes of the first pipeline differ by."""

    effects: Mapping[Subset, float]
    same: float = 0.0


def contrast(observations: Sequence[Observation], weights: Mapping[Subset, float]) -> Interval | None:
    """A sum of effects over the rounds that have all of them; None without such a round.

    Example:
        >>> one, both = frozenset({0}), frozenset({0, 1})
        >>> rounds = [Observation({one: 0.1, both: 0.3}), Observation({one: 0.1, both: 0.3})]
        >>> round(contrast(rounds, {both: 1.0, one: -1.0}).mean, 3)
        0.2
    """
    values = [
        sum(weight * one.effects[subset] for subset, weight in weights.items())
        for one in observations
        if weights.keys() <= one.effects.keys()
    ]
    return estimate(values)


def left_over(observations: Sequence[Observation], whole: Subset, parts: Sequence[Subset]) -> Interval | None:
    """What the effect of all changes is beyond the sum of parts; None where one of them was not measured.

    Where no two rounds have all of them, rounds of the same versions are taken together: what a round adds to the sum
    does not depend on other rounds.
    """
    weights = {whole: 1.0}
    for part in parts:
        weights[part] = weights.get(part, 0.0) - 1.0
    together = contrast(observations, weights)
    if together is not None and together.pairs > 1:
        return together
    return _over_all_rounds(observations, weights)


def _over_all_rounds(observations: Sequence[Observation], weights: Mapping[Subset, float]) -> Interval | None:
    """A sum of effects, each of them averaged over the rounds that have it, with Welch's interval."""
    blocks: dict[frozenset[Subset], list[Observation]] = {}
    for one in observations:
        blocks.setdefault(frozenset(weights.keys() & one.effects.keys()), []).append(one)
    # The spread of a single round is not known.
    kept = {versions: rounds for versions, rounds in blocks.items() if versions and len(rounds) > 1}
    times = {subset: sum(len(rounds) for versions, rounds in kept.items() if subset in versions) for subset in weights}
    if not all(times.values()):
        return None
    parts = []
    for versions, rounds in kept.items():
        found = estimate([sum(weights[one] / times[one] * row.effects[one] for one in versions) for row in rounds])
        parts += [scaled(found, len(rounds))] if found is not None else []
    return total(parts)


def words_together(
    kind: MetricKind, floor: float, found: Mapping[Key, Interval | None], *, disturbed: bool = False
) -> dict[Key, Words]:
    """What each of several effects is, in words; Holm's procedure bounds the error of all together.

    Args:
        found: The effects; None for one that was not measured.
        disturbed: Processes of the first pipeline itself differ by more than the floor.
    """
    known = outcomes({key: (Comparison(one), floor) for key, one in found.items() if one is not None})
    return {key: kind.words("unclear" if disturbed else known.get(key, "unclear")) for key in found}


def is_clear(words: Words) -> bool:
    """Whether an effect is beyond the floor on one side."""
    return words not in {"no difference", "cannot tell"}


def is_disturbed(observations: Sequence[Observation], floor: float) -> bool:
    """Whether the two processes of the first pipeline differ from each other by more than the floor."""
    same = estimate([one.same for one in observations])
    return same is not None and Comparison(same, same).is_disturbed(floor)


def share_of(part: Interval, whole: Interval) -> float | None:
    """The share of an effect in another one; None where that is 0.

    Example:
        >>> share_of(*(Interval(mean, 0.01, 4, 5) for mean in (0.2, 0.4)))
        0.5
    """
    return part.mean / whole.mean if whole.mean and math.isfinite(part.mean) else None


Subset: TypeAlias = "frozenset[int]"
"""Numbers of changes, or of units."""


@dataclass(frozen=True)
class Unit:
    """Changes that are made together; `reason` says why the first cannot be made alone, None for one change."""

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
