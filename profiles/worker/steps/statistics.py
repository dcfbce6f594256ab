"""Statistics of the step loop's clock readings: intervals, fetches, waits and idle gaps.

For step *k* with a device the loop notes six readings, in nanoseconds of one clock::

    deadline  the point the loop waited for before it requested the batch
    woke      when it came back from that wait
    asked     `next()` called
    got       `next()` returned
    start     the device began the step
    end       the device ended it

The device is idle from ``end`` of step *k - 1* to ``start`` of step *k*. Within that gap, the overlap with
[asked, got] is the pipeline's (less the loop's floor), the overlap with [deadline, woke] is pipeprof's own late waking,
and the rest is Python between the steps. Without a device (``step: none``) interval, fetch and wait are the same.

Everything is folded in chunks of numpy arrays, so that a run of any length takes the same memory. Quantiles come from
a histogram with bins 0.5 % wide, interpolated within a bin: a quantile is off by less than 0.5 % of its value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pipeprof.pipelines.late import np
from pipeprof.profiles.document.shared import Gap, Gaps, Quantiles, StepCourse, Steps
from pipeprof.profiles.protocol.messages import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeprof.profiles.document.shared import GapCause
    from pipeprof.profiles.protocol.messages import LoopCost

    Nanoseconds = NDArray[np.int64]


class EpochStart(NamedTuple):
    """Steps and time before the latest restart of the dataset."""

    restarts: int
    steps: int
    seconds: float


class StepReading(NamedTuple):
    """The six clock readings of one step, in nanoseconds, and whether its batch began an epoch."""

    deadline: int
    woke: int
    asked: int
    got: int
    start: int
    end: int
    begins: int = 0


@dataclass(frozen=True)
class Floor:
    """Baseline latency of `next()`: a constant dataset under the same step; no pipeline is faster.

    Attributes:
        p50_ns: Median, subtracted from every wait that exceeds `p95_ns`.
        p95_ns: 95th percentile; a shorter wait is not one.
    """

    p50_ns: int = 0
    p95_ns: int = 0
    summary: Quantiles | None = None

    @classmethod
    def of(cls, fetches: Durations) -> Floor:
        """Read the floor from fetches of a constant dataset."""
        return cls(round(fetches.quantile_ms(0.5) * 1e6), round(fetches.quantile_ms(0.95) * 1e6), fetches.summary())

    def excess(self, waits: Nanoseconds) -> Nanoseconds:
        """Return `waits`, shape (n,), less the baseline; 0 where a wait is within it."""
        excess: Nanoseconds = np.where(waits > self.p95_ns, waits - self.p50_ns, 0)
        return excess


def _overlap(a0: Nanoseconds, a1: Nanoseconds, b0: Nanoseconds, b1: Nanoseconds) -> Nanoseconds:
    common: Nanoseconds = np.maximum(np.minimum(a1, b1) - np.maximum(a0, b0), 0)
    return common


class StepStatistics:
    """Accumulator of clock readings for the numbers of a profile.

    Args:
        device: Whether steps take time: else interval, fetch and wait are one.
        previous: Start and end of the last step before the window; without it the first one only opens the window.
    """

    def __init__(self, floor: Floor | None = None, *, device: bool, previous: tuple[int, int] | None = None) -> None:
        self.floor = floor or Floor()
        self.device = device
        self.previous = previous
        self.intervals, self.busy, self.gaps = Durations(), Durations(), Durations()
        self.waits, self.fetches = (Durations(), Durations()) if device else (self.intervals, self.intervals)
        self._longest: list[Gap] = []
        self.course = Course()
        self.causes_ns: dict[GapCause, int] = {"pipeline": 0, "python": 0, "pipeprof": 0}
        self.epoch_start: EpochStart | None = None
        self._before_first = self._first_ns = 0
        self._origin = previous[0] if previous is not None else 0

    @property
    def count(self) -> int:
        """Steps folded in."""
        return self.intervals.count

    @property
    def seconds(self) -> float:
        """Length of the measured window: the sum of all intervals."""
        return self.intervals.total_ns / 1e9

    @property
    def restarts(self) -> int:
        """Epochs that have begun."""
        return self.epoch_start.restarts if self.epoch_start is not None else 0

    @property
    def restart_ns(self) -> int | None:
        """Extra wait for the first batches of epochs, compared with other batches; `None` if there are no others."""
        others = self.count - self.restarts
        if not self.restarts or not others:
            return None
        return max(0, round(self._first_ns - self.restarts * (self.waits.total_ns - self._first_ns) / others))

    @property
    def epoch_steps(self) -> float | None:
        """Steps of a whole epoch: from the first restart to the latest one; `None` with fewer than two."""
        if self.epoch_start is None or self.restarts < 2:
            return None
        return (self.epoch_start.steps - self._before_first) / (self.restarts - 1)

    def fold(self, rows: Nanoseconds | Sequence[StepReading]) -> float | None:
        """Fold in steps, in order.

        Args:
            rows: Their readings, shape (n, 7), in the order of `StepReading`.

        Returns:
            The median of their intervals in milliseconds, or `None` if there is none.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if not len(rows):
            return None
        if not self.device:
            self.previous = int(rows[0, 2]), int(rows[0, 2])
        elif self.previous is None:
            self._origin = int(rows[0, 4])
            self.previous, rows = (int(rows[0, 4]), int(rows[0, 5])), rows[1:]
            if not len(rows):
                return None
        deadline, woke, asked, got, start, end, begins = rows.T
        intervals: Nanoseconds = np.diff(start, prepend=self.previous[0])
        ends = np.concatenate(([self.previous[1]], end[:-1]))
        self.previous = int(start[-1]), int(end[-1])
        waits = self.floor.excess(_overlap(ends, start, asked, got)) if self.device else intervals
        self._fold_restarts(np.flatnonzero(begins), intervals, waits)
        self.intervals.add(intervals)
        if not self.device:
            self.course.add(intervals)
            return float(np.median(intervals)) / 1e6
        gaps = np.maximum(start - ends, 0)
        late = _overlap(ends, start, deadline, woke)
        self.course.add(intervals, waits, end - start)
        self.fetches.add(got - asked)
        self.waits.add(waits)
        self.busy.add(end - start)
        self.gaps.add(gaps[gaps > 0])
        causes: dict[GapCause, Nanoseconds] = {"pipeline": waits, "python": gaps - waits - late, "pipeprof": late}
        for cause, part in causes.items():
            self.causes_ns[cause] += int(part.sum())
        for i in np.argsort(-gaps, kind="stable")[: min(LONGEST, np.count_nonzero(gaps))]:
            start_s, ms = float(ends[i] - self._origin) / 1e9, float(gaps[i]) / 1e6
            longest = max(causes, key=lambda cause: causes[cause][i])
            self._longest.append(Gap(start_s=round(start_s, 6), ms=round(ms, 6), cause=longest))
        self._longest = sorted(self._longest, key=lambda gap: (-gap.ms, gap.start_s))[:LONGEST]
        return float(np.median(intervals)) / 1e6

    def _fold_restarts(self, restarts: Nanoseconds, intervals: Nanoseconds, waits: Nanoseconds) -> None:
        if not len(restarts):
            return
        first, last = int(restarts[0]), int(restarts[-1])
        if not self.restarts:
            self._before_first = self.count + first
        self._first_ns += int(waits[restarts].sum())
        before = self.intervals.total_ns + int(intervals[:last].sum())
        self.epoch_start = EpochStart(self.restarts + len(restarts), self.count + last, before / 1e9)

    def measured(self, *, loop: LoopCost | None = None) -> Measured:
        """Return the message about the steps so far; `loop` makes it final."""
        restart_ns, whole = self.restart_ns, self.intervals.total_ns
        steps = Steps(
            count=self.count,
            seconds=self.seconds,
            interval_ms=self.intervals.summary(),
            wait_ms=self.waits.summary(),
            fetch_ms=self.fetches.summary(),
            busy_ms=self.busy.summary() if self.device else None,
            wait_share=self.waits.total_ns / whole if whole else 0.0,
            restart_share=restart_ns / whole if restart_ns is not None and whole else None,
            floor_ms=self.floor.summary,
            epochs=self.restarts,
            epoch_steps=self.epoch_steps,
        )
        found = Measured(steps=steps, fetches=self.fetches.histogram(), course=self.course.summary(), loop=loop)
        if not self.device:
            return found
        gaps = Gaps(
            count=self.gaps.count,
            by_cause={cause: ns / 1e9 for cause, ns in self.causes_ns.items() if ns},
            longest=self._longest,
            histogram=self.gaps.histogram(),
        )
        return replace(found, gaps=gaps, idle_share=self.gaps.total_ns / whole if whole else None)


_GROWTH = math.log(1.005)
_BINS = math.ceil(math.log(3600 * 1e9) / _GROWTH) + 2
_BOUNDS = [round(10 ** (index / 20), 6) for index in range(-60, 120)]
LONGEST = 10
"""Idle gaps that are listed."""
MOST_STRETCHES = 120
"""Stretches of steps over time that are kept; twice as many are put together two by two."""


@cache
def _coarse_of_bins() -> NDArray[np.int64]:
    edges = np.exp(np.arange(_BINS) * _GROWTH) / 1e6
    coarse: NDArray[np.int64] = np.searchsorted(_BOUNDS, edges * (1 - 1e-12))
    return coarse


class Durations:
    """A distribution of durations, folded in as nanoseconds and read out as milliseconds."""

    def __init__(self) -> None:
        self.count = 0
        self.total_ns = 0
        self.max_ns = 0
        self._bins = np.zeros(_BINS, dtype=np.int64)

    def add(self, values: Nanoseconds | list[int]) -> None:
        """Fold in `values`, shape (n,), in nanoseconds; negative values count as 0."""
        if not len(values):
            return
        values = np.maximum(np.asarray(values, dtype=np.int64), 0)
        index = np.where(values > 0, np.log(np.maximum(values, 1)) / _GROWTH + 1, 0)
        counts = np.bincount(np.minimum(index, _BINS - 1).astype(np.int64))
        self._bins[: len(counts)] += counts
        self.max_ns = max(self.max_ns, int(values.max()))
        self.total_ns += int(values.sum())
        # Last, as the harness may ask for the steps so far meanwhile: a quantile needs as many in the bins.
        self.count += len(values)

    def quantile_ms(self, q: float) -> float:
        """Return the `q`-quantile (0 to 1) in milliseconds; 0 if nothing was folded in."""
        if not self.count:
            return 0.0
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
        counts = np.bincount(_coarse_of_bins(), weights=self._bins, minlength=len(_BOUNDS) + 1).astype(np.int64)
        bounds = [*_BOUNDS, self.max_ns / 1e6]
        return [(bounds[i], int(n)) for i, n in enumerate(counts) if n]


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
