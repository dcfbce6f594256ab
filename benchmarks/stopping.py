"""When enough pairs of a ratio were measured: as soon as an interval decides, at few fixed looks.

For pairs that take seconds each. A measurement that is looked at again and again and ends once it agrees would find
what it likes; here every one of at most five looks asks for the same error (Pocock, Biometrika 64, 1977: 2.413 standard
errors at each of five looks are together wrong as often as 1.960 at one), by Student's t of the logarithms of the
ratios. `overhead` has pairs by the hundred, and looks of its own (overhead/sequential.py).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Literal

LOOKS = 5
EACH_LOOK = 2.413
"""Standard errors of a normal distribution, at each look."""
ONE_LOOK = 1.960
LEAST = 3
"""Pairs before the first look."""
Outcome = Literal["holds", "does not hold", "cannot tell"]


def student(errors: float, freedom: int) -> float:
    """The quantile of Student's t that is as rare as so many standard errors of a normal distribution.

    Hill's inversion (Communications of the ACM 13, 1970), to a percent from two degrees of freedom on.

    Example:
        >>> round(student(1.96, 10), 2)
        2.23
    """
    tail = math.erfc(errors / math.sqrt(2))
    if freedom == 1:
        return 1 / math.tan(tail * math.pi / 2)
    if freedom == 2:
        return math.sqrt(2 / (tail * (2 - tail)) - 2)
    a = 1 / (freedom - 0.5)
    b = (48 / a) / a
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    y = (d * tail) ** (2 / freedom)
    if y > 0.05 + a:
        x = -errors
        y = x * x
        c += 0.3 * (freedom - 4.5) * (x + 0.6) if freedom < 5 else 0.0
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        y = (
            (1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3) + 0.5 / (freedom + 4)) * y
            - 1
        ) * (freedom + 1) / (freedom + 2) + 1 / y
    return math.sqrt(freedom * y)


def interval(ratios: Sequence[float], errors: float = ONE_LOOK) -> tuple[float, float, float]:
    """The geometric mean of positive ratios and its interval; of one ratio, the interval has no ends."""
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(middle), 0.0, math.inf
    half = student(errors, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(middle), math.exp(middle - half), math.exp(middle + half)


def looks(most: int, least: int = LEAST) -> list[int]:
    """After how many pairs they are looked at: at most five times, the last time after all."""
    step = max(1.0, (most - least) / (LOOKS - 1))
    return sorted({min(most, least + round(step * number)) for number in range(LOOKS)})


def decided(ratios: Sequence[float], *limits: float) -> bool:
    """Whether the interval of a look has all limits outside."""
    _, low, high = interval(ratios, EACH_LOOK)
    return all(not low < limit < high for limit in limits)


def outcome(ratios: Sequence[float], limit: float, *, at_least: bool) -> Outcome:
    """What the pairs say of a ratio that is claimed to be at least, or at most, a limit."""
    if not decided(ratios, limit):
        return "cannot tell"
    return "holds" if (interval(ratios)[0] >= limit) == at_least else "does not hold"


def until_decided(
    measure: Callable[[int], float], limits: Sequence[float], most: int, least: int = LEAST
) -> list[float]:
    """Measure ratios by number until a look decides on which side of all limits they are, or all were measured."""
    places, ratios = looks(most, least), []
    for number in range(most):
        ratios.append(measure(number))
        if len(ratios) in places and decided(ratios, *limits):
            break
    return ratios
