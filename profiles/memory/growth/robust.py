"""Slope of a series that outliers do not move, with its interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_Z95 = 1.96


@dataclass(frozen=True)
class Slope:
    """A slope and its 95 % interval."""

    value: float
    low: float
    high: float


def theil_sen(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Return the median of the slopes of all pairs, with its interval; infinite for fewer than three points.

    Theil (Proceedings of the Royal Netherlands Academy of Sciences 53, 1950); the interval from Kendall's rank
    correlation is that of Sen (Estimates of the regression coefficient based on Kendall's tau, JASA 63, 1968, section
    4). Up to 29 % of the points may be arbitrarily wrong without moving it beyond the others.
    """
    pairs = [(i, j) for j in range(len(x)) for i in range(j) if x[j] > x[i]]
    if len(x) < 3 or not pairs:
        return Slope(0.0, -math.inf, math.inf)
    slopes = sorted((y[j] - y[i]) / (x[j] - x[i]) for i, j in pairs)
    n, many = len(x), len(slopes)
    spread = _Z95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low, high = math.floor((many - spread) / 2) - 1, math.ceil((many + spread) / 2)
    return Slope(
        statistics.median(slopes), slopes[low] if low >= 0 else -math.inf, slopes[high] if high < many else math.inf
    )
