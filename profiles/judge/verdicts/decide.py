"""Verdicts on a metric from pairs of processes: pure functions.

The unit is a pair: one process of each side, started at the same time and measured in turns. Of each pair, the
logarithm of the ratio of its two values is taken (the difference, where 0 is a usual value). The interval is
Student's, at 98 % over the pairs: 99 % on each side. One rule then gives every verdict. B has regressed where the
whole interval is beyond the floor; it has not where the whole interval is before it; else there is no verdict.

The spread of the changes is estimated from them, and from what the two processes of A differ by in each pair, which
has the same cause: with both, five pairs tell the spread as well as ten. That takes processes of A and B to vary alike.
Where the changes vary by much more or much less than the processes of A do (`ALIKE`), only the changes count. They vary
by less where the machine drifts within a turn: B stands between the two of A, so that a drift cancels in its change,
and not in what the two of A differ by.

So both errors are bounded at the floor itself: a change of exactly the floor is called either way in about 1 % of
looks, and of two equal pipelines the wrong verdict needs the whole floor and the half-width of the interval.

A gate looks several times, after `LOOKS`, and stops when each metric is decided. Its error at the floor is at most the
sum over the looks; docs/compare.md has what a simulation and recorded processes give. Of several judged metrics,
Holm's procedure bounds the error of all together (Holm 1979, Scandinavian Journal of Statistics 6).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev, variance
from typing import Literal, TypeVar

from pipeprof.profiles.judge.verdicts.metrics import MetricKind
from pipeprof.profiles.verify.judging.ratio import student_t

Verdict = Literal["regressed", "not regressed", "cannot tell"]
Key = TypeVar("Key", bound=Hashable)
Words = Literal["slower", "faster", "more", "less", "no difference", "cannot tell"]

ERROR = 0.01
"""On each side of an interval."""
PAIRS = 5
MAX_PAIRS = 15
LOOKS = (4, 6, 8, 11, 15)
"""Numbers of pairs after which a gate looks."""
ALIKE = (0.5, 2.0)
"""Variance of a change over that of a process of A, between which both tell the same spread; 1.5 if B varies as A."""
FAR = 200
"""Pairs above which it is not worth saying how many more would settle a verdict."""


@dataclass(frozen=True)
class MeasuredChange:
    """The change of a metric from A to B, and its interval.

    Attributes:
        change: B over A, or B less A.
        low: Lower end at 98 %; minus infinity (0 for a ratio) where one pair says nothing about the spread.
        worse: Mean on the scale of the decision (logarithm or difference), positive where B is worse.
    """

    change: float
    low: float
    high: float
    pairs: int
    worse: float
    error: float
    freedom: int


def changes(metric: MetricKind, a: Sequence[float], b: Sequence[float]) -> list[float]:
    """The change of each pair on the scale of the decision, positive where B is worse.

    Args:
        a: Value of A in each pair; above 0 for a ratio.

    Raises:
        ValueError: The sides do not have as many values.

    Example:
        >>> from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
        >>> [round(one, 3) for one in changes(BY_NAME["step_ms"], [10.0], [11.0])]
        [0.095]
    """
    sign = 1.0 if metric.higher_is_worse else -1.0
    if metric.scale == "difference":
        return [sign * (other - one) for one, other in zip(a, b, strict=True)]
    return [sign * math.log(other / one) for one, other in zip(a, b, strict=True)]


def estimate(metric: MetricKind, worse: Sequence[float], same: Sequence[float] = ()) -> MeasuredChange | None:
    """Average the changes of pairs; ``None`` without a pair.

    Args:
        worse: As `changes` gives them, from the mean of two processes of A.
        same: What these two processes differ by in each pair; empty where A has only one.

    Example:
        >>> from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
        >>> found = estimate(BY_NAME["step_ms"], [0.09, 0.10, 0.11])
        >>> round(found.change, 3), round(found.low, 3), round(found.high, 3)
        (1.105, 1.062, 1.151)
        >>> found = estimate(BY_NAME["step_ms"], [0.09, 0.10, 0.11], [0.014, 0.0, -0.014])
        >>> round(found.change, 3), round(found.low, 3), round(found.high, 3)
        (1.105, 1.084, 1.127)
    """
    if not worse:
        return None
    mean = fmean(worse)
    error, freedom = _standard_error(worse, same) if len(worse) > 1 else (math.inf, 0)
    half = half_width(freedom, error) if freedom else math.inf
    ends = sorted(as_change(metric, value) for value in (mean - half, mean + half))
    return MeasuredChange(as_change(metric, mean), ends[0], ends[1], len(worse), mean, error, freedom)


def _standard_error(worse: Sequence[float], same: Sequence[float]) -> tuple[float, int]:
    """The standard error of the mean of changes, and its degrees of freedom.

    A process varies by v. Two of A differ by 2 v, and a change from their mean has v + v / 2. Means of pairs are zero
    for the first and unknown for the second, so they have n and n - 1 degrees of freedom.
    """
    count = len(worse)
    squares, freedom = (count - 1) * variance(worse), count - 1
    if len(same) == count:
        of_a = sum(value**2 for value in same) / 2
        fewest, most = (bound * of_a / count for bound in ALIKE)
        if fewest <= squares / freedom <= most:
            squares, freedom = squares + 1.5 * of_a, freedom + count
    return math.sqrt(squares / freedom / count), freedom


def estimate_unpaired(metric: MetricKind, base: Sequence[float], now: Sequence[float]) -> MeasuredChange | None:
    """The change between processes of two sessions, by Welch's interval; ``None`` without two on each side.

    Second best: what the machine does differently between the sessions is in it.

    Args:
        metric: What is compared; a ratio.
        base: Values of the processes of the earlier session, above 0.

    Example:
        >>> from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
        >>> found = estimate_unpaired(BY_NAME["step_ms"], [10.0, 10.1, 9.9], [11.0, 11.1, 10.9])
        >>> round(found.change, 2), found.pairs
        (1.1, 4)
    """
    if min(len(base), len(now)) < 2:
        return None
    zeros = [1.0] * max(len(base), len(now))
    one, other = changes(metric, zeros[: len(base)], base), changes(metric, zeros[: len(now)], now)
    parts = [stdev(side) ** 2 / len(side) for side in (one, other)]
    error = math.sqrt(sum(parts))
    weights = [part**2 / (len(side) - 1) for part, side in zip(parts, (one, other), strict=True)]
    freedom = error**4 / sum(weights) if sum(weights) > 0 else len(base) + len(now) - 2
    freedom = max(1, int(freedom))
    mean = fmean(other) - fmean(one)
    half = half_width(freedom, error)
    ends = sorted(as_change(metric, value) for value in (mean - half, mean + half))
    return MeasuredChange(as_change(metric, mean), ends[0], ends[1], freedom + 1, mean, error, freedom)


def as_change(metric: MetricKind, worse: float) -> float:
    """A value on the scale of the decision as B over A, or B less A."""
    signed = worse if metric.higher_is_worse else -worse
    if metric.scale == "difference":
        return signed
    return math.exp(signed) if signed < 700 else math.inf


def half_width(freedom: int, error: float) -> float:
    """Half the length of the interval of a mean, from its standard error.

    Args:
        freedom: Degrees of freedom, at least 1.
    """
    return _quantile(freedom, ERROR) * error


def _quantile(freedom: int, error: float) -> float:
    return student_t(freedom, 1 - 2 * error)


def floor_of(metric: MetricKind, floor: float | None = None) -> float:
    """The floor on the scale of the decision.

    Args:
        floor: Another one than the metric's own, in its terms.
    """
    value = metric.floor if floor is None else floor
    return value if metric.scale == "difference" else math.log1p(value)


def verdict_of(found: MeasuredChange, floor: float, error: float = ERROR) -> Verdict:
    """Whether B has regressed by more than a floor.

    Example:
        >>> verdict_of(MeasuredChange(1.1, 1.08, 1.12, 5, 0.0953, 0.005, 4), 0.03)
        'regressed'
    """
    if found.pairs < 2:
        return "cannot tell"
    half = _quantile(found.freedom, error) * found.error
    if found.worse - half > floor:
        return "regressed"
    half = half_width(found.freedom, found.error)
    return "not regressed" if found.worse + half < floor else "cannot tell"


def verdicts(tests: Mapping[Key, tuple[MeasuredChange, float]]) -> dict[Key, Verdict]:
    """The verdicts on several changes together.

    To call one of them regressed, Holm's procedure is followed: the clearest one has to hold at the error over their
    number, the next one at the error over the number that is left, until one does not hold. That none has regressed
    needs no correction: each has to be so by itself.

    Args:
        tests: Changes with their floors on the scale of the decision; all have as many pairs.
    """
    given: dict[Key, Verdict] = {key: verdict_of(*test) for key, test in tests.items()}
    holds = True
    for place, key in enumerate(sorted(tests, key=lambda key: -_strength(*tests[key]))):
        if given[key] != "regressed":
            continue
        holds = holds and verdict_of(*tests[key], ERROR / (len(tests) - place)) == "regressed"
        if not holds:
            given[key] = "cannot tell"
    return given


def weakest(ways: Sequence[MeasuredChange], floor: float) -> MeasuredChange:
    """Of several ways to compare the same sides, the one that says least for a regression: all have to hold.

    Args:
        ways: At least one.
    """
    return min(ways, key=lambda found: _strength(found, floor))


def _strength(found: MeasuredChange, floor: float) -> float:
    """How many standard errors a change is beyond the floor."""
    beyond = found.worse - floor
    if found.error == 0:
        return math.inf if beyond > 0 else -math.inf if beyond < 0 else 0.0
    return beyond / found.error


def words_of(metric: MetricKind, found: MeasuredChange, floor: float) -> Words:
    """State in words what B is, compared with A: better or worse where the whole interval is beyond the floor."""
    mirrored = replace(found, worse=-found.worse)
    worse, better = verdict_of(found, floor), verdict_of(mirrored, floor)
    if "regressed" in {worse, better}:
        return direction_of(metric, worse=worse == "regressed")
    return "no difference" if (worse, better) == ("not regressed", "not regressed") else "cannot tell"


def direction_of(metric: MetricKind, *, worse: bool) -> Words:
    """State in words what a clear change is."""
    if metric.is_speed:
        return "slower" if worse else "faster"
    return "more" if worse == metric.higher_is_worse else "less"


def resolution(freedom: int, error: float, floor: float) -> float:
    """The smallest change that would have been called a regression, on the scale of the decision.

    A change of this size is found in 99 of 100 sessions: the floor, the half-width of the interval, and as much again
    for where the mean may fall.

    Args:
        freedom: Degrees of freedom, at least 1.
        error: Standard error of the mean of the pairs of one pipeline with itself.
    """
    return floor + 2 * half_width(freedom, error)


def pairs_to_settle(found: MeasuredChange, floor: float) -> int | None:
    """How many pairs in all would settle a verdict if the next ones are as those so far.

    Args:
        found: The change so far, of at least two pairs.

    Returns:
        A number above that of now; None where it would be more than `FAR`.
    """
    if found.pairs < 2 or found.error == 0:
        return None
    spread, distance = found.error * math.sqrt(found.pairs), abs(found.worse - floor)
    each = 2 if found.freedom > found.pairs - 1 else 1
    for pairs in range(found.pairs + 1, FAR + 1):
        if half_width(each * pairs - 1, spread / math.sqrt(pairs)) < distance:
            return pairs
    return None
