"""The search for the changes that matter: which versions are measured, and what follows from them.

All functions are pure but for `measure`, which they are given. Few changes are measured each alone; many of them in
halves, which are halved again as long as they have an effect. Where the effects alone do not add up to that of all
together, some changes act only together: each of them is then left out of all others, those whose absence does not
have the effect of their presence are tried in pairs, and pairs whose effect is not the sum of the two are one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal, TypeAlias

from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.judge.verdicts.metrics import MetricKind
from pipeprof.profiles.judge.why.effects import (
    Observation,
    Subset,
    contrast,
    is_clear,
    is_disturbed,
    left_over,
    words_together,
)

MOST_ALONE = 6
"""Up to so many changes are measured each alone from the start; more are measured in halves first."""
MOST_CANDIDATES = 4
"""Changes that are tried in pairs: 6 pairs."""
Measure: TypeAlias = "Callable[[Sequence[Subset]], Sequence[Observation]]"
"""Measures versions in new rounds; gives what it could, which is none when the time is over."""
PieceKind = Literal["alone", "together", "rest"]


@dataclass(frozen=True)
class Piece:
    """A part of the difference: of units alone, an interaction, or what the other pieces leave."""

    units: Subset
    kind: PieceKind = "alone"


@dataclass
class _Problem:
    """Groups of units whose effects are to explain that of all of them together."""

    groups: list[Subset]
    kind: PieceKind = "alone"

    @property
    def whole(self) -> Subset:
        return frozenset[int]().union(*self.groups)


@dataclass
class CauseSearch:
    """The search, which begins with up to `most_alone` units, each measured alone."""

    kind: MetricKind
    measure: Measure
    most_alone: int = MOST_ALONE
    observations: list[Observation] = field(default_factory=list)
    _over: bool = field(default=False, init=False)

    def run(self, count: int, rest: Subset = frozenset()) -> list[Piece]:
        """Search the pieces of a difference; `rest` are units that cannot be made alone: what all the others leave."""
        everything = frozenset(range(count))
        able = everything - rest
        problems = []
        if able:
            singles = [frozenset({number}) for number in sorted(able)]
            problems = [_Problem(singles if len(able) <= self.most_alone else _halves(able))]
            self._measure([*problems[0].groups, able, everything])
        found: list[Piece] = []
        while problems:
            further: list[_Problem] = []
            for component in self._components(problems):
                problem = self._further(component)
                if problem is None:
                    kind: PieceKind = "together" if len(component) > 1 else "alone"
                    found.append(Piece(frozenset[int]().union(*component), kind))
                else:
                    further.append(problem)
            self._measure([subset for problem in further for subset in (*problem.groups, problem.whole)])
            if self._over:
                found += [Piece(problem.whole, problem.kind) for problem in further]
                break
            problems = further
        return self._with_rest(found, everything, rest)

    def _with_rest(self, found: Sequence[Piece], everything: Subset, rest: Subset) -> list[Piece]:
        """The pieces, those that could not be measured as one: its effect is what the others leave."""
        measured = [piece for piece in found if self._effect({piece.units: 1.0}) is not None]
        if not measured and not rest:
            return sorted(found, key=lambda piece: min(piece.units))
        lacking = everything.difference(*(piece.units for piece in measured))
        if lacking != everything or self._effect({everything: 1.0}) is None:
            self._measure([everything, everything - lacking] if lacking else [])
        pieces = sorted(measured, key=lambda piece: min(piece.units))
        return [*pieces, Piece(lacking, "rest")] if lacking else pieces

    def _further(self, component: Sequence[Subset]) -> _Problem | None:
        """What is to be found out next of a component; None where it is a piece."""
        if self._over or all(len(group) == 1 for group in component):
            return None
        if len(component) > 1:
            return _Problem([half for group in component for half in _halves(group)], "together")
        effect = self._effect({component[0]: 1.0})
        # A group that could not be measured has halves that perhaps can.
        if effect is not None and (effect.pairs < 2 or not self._may_matter(effect)):
            return None
        return _Problem(_halves(component[0]))

    def _may_matter(self, effect: Interval) -> bool:
        words = words_together(self.kind, self._floor, {0: effect})[0]
        return is_clear(words) or (words == "cannot tell" and abs(effect.mean) > self._floor)

    @property
    def _floor(self) -> float:
        return self.kind.on_scale()

    def _measure(self, subsets: Iterable[Subset]) -> None:
        wanted = [subset for subset in dict.fromkeys(subsets) if subset]
        if wanted and not self._over:
            rounds = self.measure(wanted)
            self.observations += rounds
            self._over = not rounds

    def _effect(self, weights: dict[Subset, float]) -> Interval | None:
        return contrast(self.observations, weights)

    def _is_clear(self, found: Interval | None) -> bool:
        disturbed = is_disturbed(self.observations, self._floor)
        return is_clear(words_together(self.kind, self._floor, {0: found}, disturbed=disturbed)[0])

    def _components(self, problems: Sequence[_Problem]) -> list[list[Subset]]:
        """Groups that act together, of all problems; a group that acts by itself is one of its own."""
        odd = [
            problem
            for problem in problems
            if len(problem.groups) > 1 and self._is_clear(left_over(self.observations, problem.whole, problem.groups))
        ]
        found = [[group] for problem in problems if problem not in odd for group in problem.groups]
        found += [[*problem.groups] for problem in odd if len(problem.groups) == 2]
        larger = [problem for problem in odd if len(problem.groups) > 2]
        return found + self._interactions(larger) if larger else found

    def _interactions(self, problems: Sequence[_Problem]) -> list[list[Subset]]:
        """The components of problems whose groups do not add up, of more than two groups each."""
        self._measure(
            subset
            for problem in problems
            if len(problem.groups) > 3
            for subset in (problem.whole, *(problem.whole - group for group in problem.groups))
        )
        candidates = [self._candidates(problem) for problem in problems]
        self._measure(
            subset
            for chosen, problem in zip(candidates, problems, strict=True)
            for subset in (problem.whole, *chosen, *(one | other for one, other in combinations(chosen, 2)))
        )
        joined = [self._joined(chosen) for chosen in candidates]
        found: list[list[Subset]] = []
        for problem, sets in zip(problems, joined, strict=True):
            inside = {group for component in sets for group in component}
            found += [*sets, *([group] for group in problem.groups if group not in inside)]
        # The effect of three or more together may not have been measured yet.
        self._measure(
            frozenset[int]().union(*component)
            for component in found
            if len(component) > 2 and self._effect({frozenset[int]().union(*component): 1.0}) is None
        )
        return found

    def _candidates(self, problem: _Problem) -> list[Subset]:
        """The groups that most probably act together: without them, more or less is lost than they give alone."""
        if len(problem.groups) == 3:
            return problem.groups
        excess: dict[Subset, float] = {}
        for group in problem.groups:
            lost = self._effect({problem.whole: 1.0, problem.whole - group: -1.0})
            alone = self._effect({group: 1.0})
            if lost is not None and alone is not None:
                excess[group] = abs(lost.mean - alone.mean)
        ranked = sorted(excess, key=lambda group: -excess[group])
        large = [group for group in ranked if excess[group] > self._floor]
        return (large if len(large) > 1 else ranked[:2])[:MOST_CANDIDATES]

    def _joined(self, candidates: Sequence[Subset]) -> list[list[Subset]]:
        """Candidates joined where the effect of two is not the sum of their effects."""
        pairs = list(combinations(candidates, 2))
        found = {pair: self._effect({pair[0] | pair[1]: 1.0, pair[0]: -1.0, pair[1]: -1.0}) for pair in pairs}
        disturbed = is_disturbed(self.observations, self._floor)
        words = words_together(self.kind, self._floor, found, disturbed=disturbed)
        components: list[list[Subset]] = [[candidate] for candidate in candidates]
        for pair in pairs:
            if is_clear(words[pair]):
                first, second = (next(one for one in components if member in one) for member in pair)
                if first is not second:
                    first += second
                    components.remove(second)
        together = [component for component in components if len(component) > 1]
        if together or len(candidates) < 3:
            return together
        union = frozenset[int]().union(*candidates)
        self._measure([] if self._effect({union: 1.0}) is not None else [union, *candidates])
        return [list(candidates)] if self._is_clear(left_over(self.observations, union, candidates)) else []


def _halves(units: Subset) -> list[Subset]:
    """The two halves of some units, in their order; one alone stays as it is."""
    ordered = sorted(units)
    middle = (len(ordered) + 1) // 2
    return [frozenset(half) for half in (ordered[:middle], ordered[middle:]) if half]
