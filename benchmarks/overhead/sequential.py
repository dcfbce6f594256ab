"""When enough pairs were measured: looks at a fixed number of places, each with its share of the error.

A measurement that is looked at again and again, and ends as soon as the interval agrees, would find what it likes. So
there are five looks at most, of which the early ones ask for much: together they are wrong as often as one interval of
95 % (O'Brien and Fleming, Biometrics 35, 1979: at the k-th of five looks, 2.040 · √(5/k) standard errors).

The interval is that of Wilcoxon's signed ranks (Hodges and Lehmann, Annals of Mathematical Statistics 34, 1963), with
the normal approximation: the logarithms of the ratios are as likely above their middle as below it, since what is
first takes turns. Of normal noise it needs two thirds of the pairs of the sign test.
"""

from __future__ import annotations

import math
import statistics
from typing import Literal

LOOKS = 5
LAST_LOOK = 2.040
"""Standard errors of the interval at the last look."""
ONE_LOOK = 1.960
"""The same of an interval of 95 % that is looked at once."""
LEAST_PAIRS = 20
"""Before the first look: of fewer pairs the ranks are too few for the normal approximation."""
MOST_STOLEN = 0.01
"""Share of the cores that the hypervisor takes from a pair that counts."""
MOST_MEASURED = 1.4
"""Pairs that are measured at most, as a multiple of those that count."""
Outcome = Literal["holds", "does not hold", "cannot tell"]


def errors_at(count: int, pairs: int) -> float:
    """Standard errors of the interval after `count` of `pairs`."""
    return LAST_LOOK * math.sqrt(max(1.0, looks(pairs)[-1] / count))


def interval(values: list[float], errors: float = ONE_LOOK) -> tuple[float, float, float]:
    """Hodges and Lehmann's middle of positive values and its interval, so many standard errors to either side."""
    n = len(values)
    logs = [math.log(value) for value in values]
    means = sorted((logs[i] + logs[j]) / 2 for i in range(n) for j in range(i, n))
    left_out = n * (n + 1) / 4 - errors * math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    if left_out < 0:
        return math.exp(statistics.median(means)), 0.0, math.inf
    ends = means[math.floor(left_out)], means[-1 - math.floor(left_out)]
    return math.exp(statistics.median(means)), math.exp(ends[0]), math.exp(ends[1])


def ratios(raw: list[list[float]]) -> list[float]:
    """Of the rates, pipeprof's over the bare one's, pair by pair: steps and seconds of both."""
    return [(bare_s / bare_n) / (our_s / our_n) for bare_n, bare_s, our_n, our_s, *_ in raw]


def bare_again(raw: list[list[float]]) -> tuple[float, float]:
    """The interval of bare blocks against the next bare ones: what the machine's noise makes of 1."""
    bare = [seconds / steps for steps, seconds, *_ in raw]
    return interval([one / other for one, other in zip(bare[::2], bare[1::2], strict=False)])[1:]


def looks(pairs: int) -> list[int]:
    """After how many pairs the measurement is looked at; each number is even, so that both orders are as frequent."""
    return sorted({max(LEAST_PAIRS, 2 * round(pairs * number / LOOKS / 2)) for number in range(1, LOOKS + 1)})


def is_decided(raw: list[list[float]], limit: float, pairs: int) -> bool:
    """Whether no more pairs are needed: all were measured, or a look has the limit outside of its interval."""
    places = looks(pairs)
    if len(raw) >= places[-1]:
        return True
    if len(raw) not in places:
        return False
    return _holds(raw, limit, pairs) or _fails(raw, limit, pairs)


def _holds(raw: list[list[float]], limit: float, pairs: int) -> bool:
    return interval(ratios(raw), errors_at(len(raw), pairs))[1] >= limit


def _fails(raw: list[list[float]], limit: float, pairs: int) -> bool:
    """Whether the interval is below the limit by more than bare blocks differ from bare ones."""
    least, most = bare_again(raw)
    return interval(ratios(raw), errors_at(len(raw), pairs))[2] < limit - (most - least) / 2


def outcome(raw: list[list[float]], limit: float, wanted: int) -> Outcome:
    """What the pairs say about a limit.

    Nothing where the machine is noisier than the claim's margin, or left fewer undisturbed pairs than were wanted.
    """
    if _holds(raw, limit, wanted):
        return "holds"
    least, most = bare_again(raw)
    noisy = most - least > 1.0 - limit or len(raw) < wanted
    return "cannot tell" if noisy and not _fails(raw, limit, wanted) else "does not hold"


def counts(stolen: float | None) -> bool:
    """Whether a pair counts: the hypervisor left its blocks the cores, or does not say what share it took.

    What it takes, it takes from some blocks and not from others, whichever loop they are of.
    """
    return stolen is None or stolen <= MOST_STOLEN


def are_all(counted: int, left_out: int, pairs: int) -> bool:
    """Whether no more pairs are measured, whatever those so far say: enough count, or too many were left out."""
    return counted >= looks(pairs)[-1] or counted + left_out >= MOST_MEASURED * looks(pairs)[-1]
