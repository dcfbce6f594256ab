"""Effects of changes from rounds of fresh processes: pure functions.

A round measures the first pipeline twice and some of its versions, in turns. The effect of a version is its value over
the mean of the two of the first pipeline, as a logarithm that is positive where the version is worse: the effects of
changes that do not depend on each other add up. Intervals, floors and words are those of a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import TypeVar

from pipeprof.profiles.judge.verdicts import decide
from pipeprof.profiles.judge.verdicts.decide import MeasuredChange, Words
from pipeprof.profiles.judge.verdicts.metrics import MetricKind
from pipeprof.profiles.judge.why.units import Subset

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Observation:
    """One round.

    Attributes:
        same: What the two processes of the first pipeline differ by.
    """

    effects: Mapping[Subset, float]
    same: float = 0.0


def contrast(
    kind: MetricKind, observations: Sequence[Observation], weights: Mapping[Subset, float]
) -> MeasuredChange | None:
    """A sum of effects over the rounds that have all of them; None without such a round.

    Args:
        kind: What was measured; a ratio.

    Example:
        >>> from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
        >>> one, both = frozenset({0}), frozenset({0, 1})
        >>> rounds = [Observation({one: 0.1, both: 0.3}), Observation({one: 0.1, both: 0.3})]
        >>> round(contrast(BY_NAME["step_ms"], rounds, {both: 1.0, one: -1.0}).worse, 3)
        0.2
    """
    values = [
        sum(weight * one.effects[subset] for subset, weight in weights.items())
        for one in observations
        if weights.keys() <= one.effects.keys()
    ]
    return decide.estimate(kind, values)


def left_over(
    kind: MetricKind, observations: Sequence[Observation], whole: Subset, parts: Sequence[Subset]
) -> MeasuredChange | None:
    """What the effect of all changes is beyond the sum of parts; None where one of them was not measured.

    Where no two rounds have all of them, rounds of the same versions are taken together: what a round adds to the sum
    does not depend on other rounds.
    """
    weights = {whole: 1.0}
    for part in parts:
        weights[part] = weights.get(part, 0.0) - 1.0
    together = contrast(kind, observations, weights)
    if together is not None and together.pairs > 1:
        return together
    return _over_all_rounds(kind, observations, weights)


def _over_all_rounds(
    kind: MetricKind, observations: Sequence[Observation], weights: Mapping[Subset, float]
) -> MeasuredChange | None:
    """A sum of effects, each of them averaged over the rounds that have it, with Welch's interval."""
    blocks: dict[frozenset[Subset], list[Observation]] = {}
    for one in observations:
        blocks.setdefault(frozenset(weights.keys() & one.effects.keys()), []).append(one)
    # The spread of a single round is not known.
    kept = {versions: rounds for versions, rounds in blocks.items() if versions and len(rounds) > 1}
    times = {subset: sum(len(rounds) for versions, rounds in kept.items() if subset in versions) for subset in weights}
    if not all(times.values()):
        return None
    worse, parts = 0.0, []
    for versions, rounds in kept.items():
        values = [sum(weights[one] / times[one] * found.effects[one] for one in versions) for found in rounds]
        worse += sum(values)
        parts.append((len(values) * stdev(values) ** 2, len(values) - 1))
    spread = sum(part for part, _ in parts)
    freedom = sum(part**2 / own for part, own in parts)
    pairs = max(2, int(spread**2 / freedom) + 1) if freedom > 0 else sum(len(rounds) for rounds in kept.values())
    return with_ends(kind, worse, math.sqrt(spread), pairs)


def with_ends(kind: MetricKind, worse: float, error: float, pairs: int) -> MeasuredChange:
    """A change with its interval, from its mean and its standard error."""
    half = decide.half_width(pairs - 1, error)
    ends = sorted(decide.as_change(kind, value) for value in (worse - half, worse + half))
    return MeasuredChange(decide.as_change(kind, worse), ends[0], ends[1], pairs, worse, error, pairs - 1)


def words_together(
    kind: MetricKind, floor: float, found: Mapping[Key, MeasuredChange | None], *, disturbed: bool = False
) -> dict[Key, Words]:
    """What each of several effects is, in words; Holm's procedure bounds the error of all together.

    Args:
        found: The effects; None for one that was not measured.
        disturbed: Processes of the first pipeline itself differ by more than the floor.
    """
    tests = {key: (replace(one, worse=abs(one.worse)), floor) for key, one in found.items() if one is not None}
    verdicts = decide.verdicts(tests)
    words: dict[Key, Words] = {}
    for key, one in found.items():
        if one is None or disturbed:
            words[key] = "cannot tell"
            continue
        verdict = verdicts[key]
        if verdict == "regressed":
            words[key] = decide.direction_of(kind, worse=one.worse > 0)
        else:
            words[key] = "no difference" if verdict == "not regressed" else "cannot tell"
    return words


def is_clear(words: Words) -> bool:
    """Whether an effect is beyond the floor on one side."""
    return words not in {"no difference", "cannot tell"}


def is_disturbed(kind: MetricKind, observations: Sequence[Observation], floor: float) -> bool:
    """Whether the two processes of the first pipeline differ from each other."""
    same = decide.estimate(kind, [one.same for one in observations])
    return same is not None and is_clear(decide.words_of(kind, same, floor))


def share_of(part: MeasuredChange, whole: MeasuredChange) -> float | None:
    """The share of an effect in another one; None where that is 0.

    Example:
        >>> half, whole = (MeasuredChange(0.0, 0.0, 0.0, 5, worse, 0.01, 4) for worse in (0.2, 0.4))
        >>> share_of(half, whole)
        0.5
    """
    return part.worse / whole.worse if whole.worse and math.isfinite(part.worse) else None
