"""Means of paired changes with their intervals, the same for every command: pure functions.

A change is the logarithm of a ratio (or a difference, where 0 is a usual value) of processes that took turns, so that
what slows the machine falls on both sides. Changes of pairs are averaged; the interval is Student's at 98 %, 1 % on
each side. Why 98 %: a change is looked at several times while it is measured, and each look has this error; at 95 %,
three looks would call up to one in fourteen changes of exactly the floor a gain. Where several arms are tried at once,
`pipeprof.profiles.experiment.decision.verdicts` divides the error among them (Holm).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean, variance

ERROR = 0.01
"""On each side of an interval."""
ALIKE = (1 / 3, 4 / 3)
"""Variance of changes over that which copies of one pipeline let expect, between which both tell the same spread."""
SHARE = 0.75
"""Variance of a change over that of what two copies differ by. A process varies by v, two of them differ by 2 v; a
change from the mean of two copies has v + v / 2."""
_MOST_EXPONENT = 700.0
_BETA_STEPS = 60
"""Of the continued fraction: with 1 to 150 degrees of freedom, 50 give 12 digits."""


@dataclass(frozen=True)
class Interval:
    """A mean change and how well it is known.

    Attributes:
        mean: Of logarithms of ratios, or of differences.
        error: Standard error of the mean; infinite where nothing says anything about the spread.
        freedom: Degrees of freedom of the error; 0 where it is infinite.
        pairs: Pairs of blocks or processes that it comes from.
    """

    mean: float
    error: float
    freedom: int
    pairs: int

    def half(self, error: float = ERROR) -> float:
        """Half the length, with an error on each side."""
        return student_t(self.freedom, 1 - 2 * error) * self.error if self.freedom else math.inf

    @property
    def value(self) -> float:
        """The geometric mean of the ratios."""
        return _factor(self.mean)

    @property
    def low(self) -> float:
        """The lower end as a ratio; 0 where one pair says nothing about the spread."""
        return _factor(self.mean - self.half())

    @property
    def high(self) -> float:
        """The upper end as a ratio; infinite where one pair says nothing about the spread."""
        return _factor(self.mean + self.half())

    def mirrored(self) -> Interval:
        """The change in the other direction."""
        return replace(self, mean=-self.mean)


def _factor(logarithm: float) -> float:
    return math.exp(logarithm) if logarithm < _MOST_EXPONENT else math.inf


def estimate(changes: Sequence[float], same: Sequence[float] = ()) -> Interval | None:
    """Average changes, one for each pair; ``None`` without one.

    The spread is estimated from the changes, and from what copies of one pipeline differ by in the same pairs, which
    has the same cause: with both, five pairs tell it as well as ten. That takes processes of both sides to vary alike:
    where the changes vary by much more or much less than the copies do (`ALIKE`), only the changes count. They vary by
    less where the machine drifts within a turn, which cancels in the change of what stands between two copies.

    Example:
        >>> found = estimate([0.09, 0.10, 0.11])
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (1.105, 1.062, 1.151)
        >>> found = estimate([0.09, 0.10, 0.11], [0.014, 0.0, -0.014])
        >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
        (1.105, 1.084, 1.127)
    """
    if not changes:
        return None
    count, mean = len(changes), fmean(changes)
    if count == 1:
        return Interval(mean, math.inf, 0, 1)
    squares, freedom = variance(changes) * (count - 1), count - 1
    of_copies = SHARE * sum(value**2 for value in same)
    if same and _is_alike(squares / freedom, of_copies / len(same)):
        squares, freedom = squares + of_copies, freedom + len(same)
    return Interval(mean, math.sqrt(squares / freedom / count), freedom, count)


def _is_alike(variance_of_changes: float, expected: float) -> bool:
    return ALIKE[0] * expected <= variance_of_changes <= ALIKE[1] * expected


@functools.cache
def student_t(freedom: int, confidence: float = 1 - 2 * ERROR) -> float:
    """Two-sided quantile of Student's t distribution, with a share of it between minus and plus the quantile.

    Exact for 1 and 2 degrees of freedom, else the expansion of Cornish and Fisher (Abramowitz and Stegun, 26.7.5),
    within 0.2 % from 3 on at 95 %.
    """
    upper = (1 + confidence) / 2
    if freedom == 1:
        return math.tan(math.pi * (upper - 0.5))
    if freedom == 2:
        return (2 * upper - 1) * math.sqrt(2 / (4 * upper * (1 - upper)))
    z = NormalDist().inv_cdf(upper)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


def f_tail(ratio: float, freedom: int, freedom_below: int) -> float:
    """The chance that a ratio of two variances with the same expectation is larger than this one (F distribution).

    The incomplete beta function by its continued fraction (Abramowitz and Stegun, 26.5.8 and 26.6.2).

    Example:
        >>> [round(f_tail(*one), 4) for one in ((99.0, 2, 2), (8.65, 2, 8), (5.95, 3, 12), (1.0, 7, 7))]
        [0.01, 0.01, 0.01, 0.5]
    """
    x, a, b = freedom_below / (freedom_below + freedom * ratio), freedom_below / 2, freedom / 2
    if x <= 0 or x >= 1:
        return float(x >= 1)
    # The fraction converges on one side of the mean only.
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    return _incomplete_beta(x, a, b)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    fraction = 1.0
    for step in range(_BETA_STEPS, 0, -1):
        half, odd = divmod(step, 2)
        term = (
            -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
            if odd
            else half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        )
        fraction = 1 + term / fraction
    return front / fraction
