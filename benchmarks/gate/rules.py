"""The rules by which other tools call a pipeline slower, on the same recorded processes: pure functions.

Their defaults are those of reference sources: benchstat (Mann-Whitney's U test at 5 %, ten runs of each side),
pytest-benchmark ``--benchmark-compare-fail=mean:5%`` (one run against one), asv continuous (two interleaved rounds,
their samples pooled, U test at 0.2 % and a ratio above 1.1), hyperfine (ten runs of each, the ratio of the means with
its propagated standard deviation; the usual reading is that the ratio less the deviation is above 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from statistics import fmean, median, stdev
from typing import TypeAlias

Runs: TypeAlias = Sequence[Sequence[float]]
"""Of each run of a side: its samples, in ms per step."""


@cache
def _ways(one: int, other: int, total: int) -> int:
    """In how many orders of two samples U is `total` (Mann and Whitney 1947, Annals of Mathematical Statistics 18)."""
    if total < 0:
        return 0
    if one == 0 or other == 0:
        return int(total == 0)
    return _ways(one - 1, other, total - other) + _ways(one, other - 1, total)


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """The exact two-sided p of the U test; ties count half, and are rounded to the less significant side.

    Example:
        >>> round(mann_whitney([1, 2, 3], [4, 5, 6]), 2)
        0.1
    """
    wins = sum((one > other) + 0.5 * (one == other) for one in b for other in a)
    least = math.ceil(min(wins, len(a) * len(b) - wins))
    orders = sum(_ways(len(a), len(b), total) for total in range(least + 1))
    return min(1.0, 2 * orders / math.comb(len(a) + len(b), len(a)))


def benchstat(a: Runs, b: Runs) -> bool:
    """The medians of ten runs of each side, by the U test at 5 %."""
    one, other = [median(run) for run in a], [median(run) for run in b]
    return mann_whitney(one, other) < 0.05 and median(other) > median(one)


def pytest_benchmark(a: Runs, b: Runs) -> bool:
    """One run of each side: the mean is more than 5 % above."""
    return fmean(b[0]) > 1.05 * fmean(a[0])


def asv(a: Runs, b: Runs) -> bool:
    """The samples of two runs of each side together, by the U test at 0.2 %, and a ratio above 1.1."""
    one, other = [value for run in a for value in run], [value for run in b for value in run]
    return mann_whitney(one, other) < 0.002 and median(other) > 1.1 * median(one)


def hyperfine(a: Runs, b: Runs) -> bool:
    """The means of ten runs of each side: their ratio, less its propagated deviation, is above 1."""
    one, other = [fmean(run) for run in a], [fmean(run) for run in b]
    ratio = fmean(other) / fmean(one)
    return ratio - ratio * math.hypot(stdev(one) / fmean(one), stdev(other) / fmean(other)) > 1


RULES: Mapping[str, tuple[int, Callable[[Runs, Runs], bool]]] = {
    "benchstat": (10, benchstat),
    "pytest-benchmark mean:5%": (1, pytest_benchmark),
    "asv": (2, asv),
    "hyperfine": (10, hyperfine),
}
"""Runs of each side, and the rule."""
