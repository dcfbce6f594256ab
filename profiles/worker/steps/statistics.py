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
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from pipeprof.pipelines.late import np
from pipeprof.profiles.document.shared import Gaps, Quantiles, Steps
from pipeprof.profiles.protocol.messages import Measured, StepHistograms
from pipeprof.profiles.worker.steps.durations import Course, Durations, LongestGaps, median_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pipeprof.profiles.document.shared import GapCause
    from pipeprof.profiles.protocol.messages import LoopCost

    Nanoseconds = NDArray[np.int64]


class EpochStart(NamedTuple):
    """Steps and time before the latest restart of the dataset.

    Attributes:
        steps: Before it.
        seconds: Before it.
    """

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
        summary: Quantiles in milliseconds for the report.
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
        self.longest = LongestGaps()
        self.course = Course()
        self.causes_ns: dict[GapCause, int] = {"pipeline": 0, "python": 0, "pipeprof": 0}
        self.restarts = 0
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
            return median_ms(intervals)
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
        for i in self.longest.candidates(gaps):
            longest = max(causes, key=lambda cause: causes[cause][i])
            self.longest.offer((ends[i] - self._origin) / 1e9, gaps[i] / 1e6, longest)
        return median_ms(intervals)

    def _fold_restarts(self, restarts: Nanoseconds, intervals: Nanoseconds, waits: Nanoseconds) -> None:
        """Note which of the steps that are about to be folded in began an epoch."""
        if not len(restarts):
            return
        first, last = int(restarts[0]), int(restarts[-1])
        if not self.restarts:
            self._before_first = self.count + first
        self.restarts += len(restarts)
        self._first_ns += int(waits[restarts].sum())
        before = self.intervals.total_ns + int(intervals[:last].sum())
        self.epoch_start = EpochStart(self.restarts, self.count + last, before / 1e9)

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
        histograms = StepHistograms(interval=self.intervals.histogram(), fetch=self.fetches.histogram())
        found = Measured(steps=steps, histograms=histograms, course=self.course.summary(), loop=loop)
        if not self.device:
            return found
        gaps = Gaps(
            count=self.gaps.count,
            by_cause={cause: ns / 1e9 for cause, ns in self.causes_ns.items() if ns},
            longest=self.longest.listed(),
            histogram=self.gaps.histogram(),
        )
        return replace(found, gaps=gaps, idle_share=self.gaps.total_ns / whole if whole else None)
