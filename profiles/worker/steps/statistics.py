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

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pipeprof.pipelines.late import np
from pipeprof.profiles.document.shared import Gaps, Quantiles, Steps
from pipeprof.profiles.protocol.messages import Measured, StepHistograms
from pipeprof.profiles.worker.steps.course import Course
from pipeprof.profiles.worker.steps.durations import Durations, LongestGaps, Rhythm, median_ms

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
    """The six clock readings of one step with a device, in nanoseconds."""

    deadline: int
    woke: int
    asked: int
    got: int
    start: int
    end: int


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


@dataclass
class StepStatistics:
    """Accumulator of clock readings for the numbers of a profile."""

    floor: Floor = field(default_factory=Floor)

    def __post_init__(self) -> None:
        """Start empty."""
        self.intervals = Durations()
        self.fetches = Durations()
        self.waits = Durations()
        self.busy = Durations()
        self.gaps = Durations()
        self.longest = LongestGaps()
        self.rhythm = Rhythm()
        self.course = Course()
        self.causes_ns: dict[GapCause, int] = {"pipeline": 0, "python": 0, "pipeprof": 0}
        self.restarts = 0
        self.epoch_start: EpochStart | None = None
        self._before_first: int | None = None
        self._first_ns = 0
        self._origin: int | None = None
        self._previous: tuple[int, int] | None = None

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
        waits = self.waits if self.waits.count else self.intervals
        if not self.restarts or not others:
            return None
        return max(0, round(self._first_ns - self.restarts * (waits.total_ns - self._first_ns) / others))

    @property
    def epoch_steps(self) -> float | None:
        """Steps of a whole epoch: from the first restart to the latest one; `None` with fewer than two."""
        if self.epoch_start is None or self._before_first is None or self.restarts < 2:
            return None
        return (self.epoch_start.steps - self._before_first) / (self.restarts - 1)

    def fold_drain(self, base: int, times: Sequence[int], *, restarted: bool = False) -> float | None:
        """Fold in steps without a device.

        Args:
            base: Time of the loop's first request, in nanoseconds.
            times: When each batch came, in nanoseconds.
            restarted: The first of these batches began an epoch.

        Returns:
            The median interval of this chunk in milliseconds, or `None` if it is empty.
        """
        if not times:
            return None
        readings = np.asarray([base, *times], dtype=np.int64)
        intervals: Nanoseconds = readings[1:] - readings[:-1]
        if restarted:
            self._restarted([0], intervals, intervals)
        self.intervals.add(intervals)
        self.course.add(intervals)
        return median_ms(intervals)

    def _restarted(self, restarts: Sequence[int], intervals: Nanoseconds, waits: Nanoseconds) -> None:
        """Note the restarts in a chunk that is about to be folded in."""
        if not restarts:
            return
        self.restarts += len(restarts)
        if self._before_first is None:
            self._before_first = self.count + restarts[0]
        self._first_ns += int(waits[list(restarts)].sum())
        before = self.intervals.total_ns + int(intervals[: restarts[-1]].sum())
        self.epoch_start = EpochStart(self.restarts, self.count + restarts[-1], before / 1e9)

    def begin(self, start: int, end: int) -> None:
        """Name the device's last step before the window: its start is the window's origin."""
        self._origin = start
        self._previous = (start, end)

    def fold_device(self, readings: Sequence[StepReading], restarts: Sequence[int] = ()) -> float | None:
        """Fold in steps with a device, in order.

        Without a call of `begin` the first reading only opens the window.

        Args:
            readings: The clock readings, one of each step.
            restarts: Indices of the readings whose batch began an epoch.

        Returns:
            The median interval of this chunk in milliseconds, or `None` if there is none.
        """
        if self._previous is None and readings:
            self.begin(readings[0].start, readings[0].end)
            readings, restarts = readings[1:], [i - 1 for i in restarts if i]
        if not readings or self._previous is None or self._origin is None:
            return None
        deadline, woke, asked, got, start, end = np.asarray(readings, dtype=np.int64).T
        starts = np.concatenate(([self._previous[0]], start[:-1]))
        ends = np.concatenate(([self._previous[1]], end[:-1]))
        self._previous = (int(start[-1]), int(end[-1]))

        intervals = start - starts
        gaps = np.maximum(start - ends, 0)
        waits = self.floor.excess(_overlap(ends, start, asked, got))
        self._restarted(restarts, intervals, waits)
        late = _overlap(ends, start, deadline, woke)
        python = gaps - waits - late
        self.intervals.add(intervals)
        self.rhythm.add(intervals - waits)
        self.course.add(intervals, waits, end - start)
        self.fetches.add(got - asked)
        self.waits.add(waits)
        self.busy.add(end - start)
        self.gaps.add(gaps[gaps > 0])
        causes: dict[GapCause, Nanoseconds] = {"pipeline": waits, "python": python, "pipeprof": late}
        for cause, part in causes.items():
            self.causes_ns[cause] += int(part.sum())
        for i in self.longest.candidates(gaps):
            longest = max(causes, key=lambda cause: causes[cause][i])
            self.longest.offer((ends[i] - self._origin) / 1e9, gaps[i] / 1e6, longest)
        return median_ms(intervals)

    def measured(self, *, device: bool, loop: LoopCost | None = None) -> Measured:
        """Return the message about the steps so far; `loop` makes it final."""
        waits, fetches = (self.waits, self.fetches) if device else (self.intervals, self.intervals)
        restart_ns, slow = self.restart_ns, self.rhythm.slow()
        steps = Steps(
            count=self.count,
            seconds=self.seconds,
            interval_ms=self.intervals.summary(),
            wait_ms=waits.summary(),
            fetch_ms=fetches.summary(),
            busy_ms=self.busy.summary() if device else None,
            wait_share=waits.total_ns / self.intervals.total_ns if self.intervals.total_ns else 0.0,
            restart_share=restart_ns / self.intervals.total_ns if restart_ns is not None else None,
            floor_ms=self.floor.summary,
            epochs=self.restarts,
            epoch_steps=self.epoch_steps,
            slow_every=slow[0] if slow is not None else None,
            slow_ms=slow[1] if slow is not None else None,
        )
        histograms = StepHistograms(interval=self.intervals.histogram(), fetch=fetches.histogram())
        course = self.course.summary()
        if not device:
            return Measured(steps=steps, histograms=histograms, course=course, loop=loop)
        gaps = Gaps(
            count=self.gaps.count,
            by_cause={cause: ns / 1e9 for cause, ns in self.causes_ns.items() if ns},
            longest=self.longest.listed(),
            histogram=self.gaps.histogram(),
        )
        idle = self.gaps.total_ns / self.intervals.total_ns if self.intervals.total_ns else None
        return Measured(steps=steps, histograms=histograms, course=course, gaps=gaps, idle_share=idle, loop=loop)
