"""Durations of many steps in little memory: sums, quantiles, histograms, their course and the longest gaps.

Everything is folded in chunks of numpy arrays, so that a run of any length takes the same memory. Quantiles come from
a histogram with bins 0.5 % wide, interpolated within a bin: a quantile is off by less than 0.5 % of its value.
"""

from __future__ import annotations

import math
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from pipeprof.pipelines.late import np
from pipeprof.profiles.document.shared import Gap, Quantiles, StepCourse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeprof.profiles.document.shared import GapCause

    Nanoseconds = NDArray[np.int64]

_GROWTH = math.log(1.005)
_BINS = math.ceil(math.log(3600 * 1e9) / _GROWTH) + 2
_BOUNDS = [round(10 ** (index / 20), 6) for index in range(-60, 120)]
LONGEST = 10
MOST_STRETCHES = 120
"""Stretches of steps over time that are kept; twice as many are put together two by two."""
MOST_WAITING = 1000
"""Durations added before they are sorted into bins."""


@cache
def _coarse_of_bins() -> NDArray[np.int64]:
    edges = np.exp(np.arange(_BINS) * _GROWTH) / 1e6
    coarse: NDArray[np.int64] = np.searchsorted(_BOUNDS, edges * (1 - 1e-12))
    return coarse


def median_ms(values: Nanoseconds) -> float:
    """Return the median of `values`, shape (n,), n > 0, in ms; ten times faster than ``np.median`` for hundreds."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle]) / 1e6
    ordered = np.partition(values, (middle - 1, middle))
    return float(ordered[middle - 1] + ordered[middle]) / 2e6


class Durations:
    """A distribution of durations, folded in as nanoseconds and read out as milliseconds."""

    def __init__(self) -> None:
        self.count = 0
        self.total_ns = 0
        self._max_ns = 0
        self._bins = np.zeros(_BINS, dtype=np.int64)
        # Not yet in the bins: the loop hands over a few at a time, and sorting few takes as long as sorting many.
        self._waiting: list[Nanoseconds] = []
        self._sorted = 0
        # The harness may ask for the steps so far while the loop adds some.
        self._lock = Lock()

    def add(self, values: Nanoseconds | list[int]) -> None:
        """Fold in `values`, shape (n,), in nanoseconds; negative values count as 0."""
        if not len(values):
            return
        values = np.maximum(np.asarray(values, dtype=np.int64), 0)
        self.count += len(values)
        self.total_ns += int(values.sum())
        with self._lock:
            self._waiting.append(values)
        if self.count - self._sorted >= MOST_WAITING:
            self._sort()

    def _sort(self) -> None:
        """Put into the bins what waits."""
        with self._lock:
            if not self._waiting:
                return
            values = np.concatenate(self._waiting)
            self._waiting.clear()
            self._sorted += len(values)
            self._max_ns = max(self._max_ns, int(values.max()))
            index = np.zeros(len(values), dtype=np.int64)
            positive = values > 0
            index[positive] = np.minimum(np.log(values[positive]) / _GROWTH + 1, _BINS - 1).astype(np.int64)
            counts = np.bincount(index)
            self._bins[: len(counts)] += counts

    @property
    def max_ns(self) -> int:
        """The longest one; 0 if nothing was folded in."""
        self._sort()
        return self._max_ns

    def quantile_ms(self, q: float) -> float:
        """Return the `q`-quantile (0 to 1) in milliseconds; 0 if nothing was folded in."""
        if not self.count:
            return 0.0
        self._sort()
        rank = q * (self.count - 1)
        below = np.cumsum(self._bins)
        i = int(np.searchsorted(below, rank, side="right"))
        if i == 0:
            return 0.0
        inside = (rank - (below[i - 1])) / self._bins[i]
        value = math.exp((i - 1 + inside) * _GROWTH)
        return min(value, self.max_ns) / 1e6

    def summary(self) -> Quantiles:
        """Return mean, median, 95th and 99th percentile and maximum in milliseconds."""
        return Quantiles(
            mean=self.total_ns / self.count / 1e6 if self.count else 0.0,
            p50=self.quantile_ms(0.50),
            p95=self.quantile_ms(0.95),
            p99=self.quantile_ms(0.99),
            max=self.max_ns / 1e6,
        )

    def histogram(self) -> list[tuple[float, int]]:
        """Return pairs of upper bound in milliseconds (twenty to a factor of ten) and count, empty bins left out."""
        self._sort()
        counts = np.bincount(_coarse_of_bins(), weights=self._bins, minlength=len(_BOUNDS) + 1).astype(np.int64)
        bounds = [*_BOUNDS, self.max_ns / 1e6]
        return [(bounds[i], int(n)) for i, n in enumerate(counts) if n]


class LongestGaps:
    """The longest gaps seen so far, at most `LONGEST` of them."""

    def __init__(self) -> None:
        self._gaps: list[tuple[float, float, GapCause]] = []

    def candidates(self, gaps: Nanoseconds) -> list[int]:
        """Return indices into `gaps`, shape (n,), in ns, of those long enough to be offered; at most `LONGEST`."""
        shortest = self._gaps[-1][0] if len(self._gaps) == LONGEST else 0.0
        longer = np.flatnonzero(gaps > shortest * 1e6)
        return [int(i) for i in longer[np.argsort(-gaps[longer], kind="stable")[:LONGEST]]]

    def offer(self, start_s: float, ms: float, cause: GapCause) -> None:
        """Consider a gap of `ms` milliseconds that began `start_s` seconds into the measured window."""
        self._gaps = sorted([*self._gaps, (float(ms), -float(start_s), cause)], reverse=True)[:LONGEST]

    def listed(self) -> list[Gap]:
        """Return the gaps, longest first."""
        return [Gap(start_s=round(-start, 6), ms=round(ms, 6), cause=cause) for ms, start, cause in self._gaps]


class Course:
    """Steps over time: means of stretches of equally many steps, in little memory however many there are.

    A row has the number of steps and the sums of their intervals, waits and busy times in nanoseconds.
    """

    def __init__(self) -> None:
        self._each = 1
        self._rows = np.zeros((0, 4), dtype=np.int64)
        self._has_waits = False

    def add(self, intervals: Nanoseconds, waits: Nanoseconds | None = None, busy: Nanoseconds | None = None) -> None:
        """Fold in steps, in nanoseconds, shape (n,); without a device there are intervals alone."""
        self._has_waits = self._has_waits or waits is not None
        nothing = np.zeros_like(intervals)
        columns = (np.ones_like(intervals), intervals, *(nothing if one is None else one for one in (waits, busy)))
        rows = np.concatenate((self._rows, np.stack(columns, axis=1)))
        steps = np.cumsum(rows[:, 0])
        while steps.max(initial=0) > 2 * MOST_STRETCHES * self._each:
            self._each *= 2
        begins = np.flatnonzero(np.diff((steps - 1) // self._each, prepend=-1))
        self._rows = np.add.reduceat(rows, begins)

    def summary(self) -> StepCourse | None:
        """Return the means of each stretch; None without a step."""
        if not len(self._rows):
            return None
        interval, wait, busy = (np.round(self._rows[:, n] / self._rows[:, 0] / 1e6, 6).tolist() for n in (1, 2, 3))
        return StepCourse(
            seconds=np.round(np.cumsum(self._rows[:, 1]) / 1e9, 6).tolist(),
            interval_ms=interval,
            wait_ms=wait if self._has_waits else None,
            busy_ms=busy if self._has_waits else None,
        )
