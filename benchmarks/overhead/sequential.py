"""When enough pairs were measured: looks at a fixed number of places, each with its share of the error.

A measurement that is looked at again and again, and ends as soon as the interval agrees, would find what it likes. So
there are five looks at most, with intervals of 98.42 % each: together they are wrong as often as one of 95 % (Pocock,
Biometrika 64, 1977, table 1, five looks).
"""

from __future__ import annotations

import math
import statistics
from typing import Literal

LOOKS = 5
ERROR = 0.05
ERROR_AT_EACH_LOOK = 0.0158
LEAST_PAIRS = 20
"""Before the first look: of fewer pairs an interval of that level has no ends."""
MOST_STOLEN = 0.01
"""Share of the cores that the hypervisor takes from a pair that counts."""
MOST_MEASURED = 1.4
"""Pairs that are measured at most, as a multiple of those that count."""
Outcome = Literal["holds", "does not hold", "cannot tell"]


def interval(values: list[float], error: float = ERROR) -> tuple[float, float, float]:
    """Median and its interval by the sign test: two order statistics, whatever the distribution."""
    ordered, n = sorted(values), len(values)
    below, tail = 0, 0.5**n
    while below < (n - 1) // 2 and tail + math.comb(n, below + 1) * 0.5**n <= error / 2:
        below += 1
        tail += math.comb(n, below) * 0.5**n
    return statistics.median(ordered), ordered[below], ordered[n - 1 - below]


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
    return _holds(raw, limit) or _fails(raw, limit)


def _holds(raw: list[list[float]], limit: float) -> bool:
    return interval(ratios(raw), ERROR_AT_EACH_LOOK)[1] >= limit


def _fails(raw: list[list[float]], limit: float) -> bool:
    """Whether the interval is below the limit by more than bare blocks differ from bare ones."""
    least, most = bare_again(raw)
    return interval(ratios(raw), ERROR_AT_EACH_LOOK)[2] < limit - (most - least) / 2


def outcome(raw: list[list[float]], limit: float, wanted: int = 0) -> Outcome:
    """What the pairs say about a limit.

    Nothing where the machine is noisier than the claim's margin, or left fewer undisturbed pairs than were wanted.
    """
    if _holds(raw, limit):
        return "holds"
    least, most = bare_again(raw)
    noisy = most - least > 1.0 - limit or len(raw) < wanted
    return "cannot tell" if noisy and not _fails(raw, limit) else "does not hold"


def counts(stolen: float | None) -> bool:
    """Whether a pair counts: the hypervisor left its blocks the cores, or does not say.

    What it takes, it takes from some blocks and not from others, whichever loop they are of.

    Args:
        stolen: Share of the cores that it took while the pair was measured.
    """
    return stolen is None or stolen <= MOST_STOLEN


def are_all(counted: int, left_out: int, pairs: int) -> bool:
    """Whether no more pairs are measured, whatever those so far say.

    Args:
        counted: Pairs that count.
        left_out: Pairs that do not.
        pairs: That are to count, at most.
    """
    return counted >= looks(pairs)[-1] or counted + left_out >= MOST_MEASURED * looks(pairs)[-1]
