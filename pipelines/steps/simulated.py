"""Simulated device: a time line with absolute deadlines.

A step that is submitted at time *t* starts when the device is free, at ``max(t, end of the step before)``, and ends
after its duration, to the nanosecond. The host only follows that time line: it sleeps until a deadline and may wake a
little late. This delay is recorded and counted as pipeprof's, never as the pipeline's.
"""

from __future__ import annotations

import ctypes
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.consumer import BatchConsumer, Dispatch, StepContext

_PR_SET_TIMERSLACK = 29
_SPIN_NS = 60_000
_SIGN_NS = 1_000_000_000

Durations = Callable[[int], int]
"""Nanoseconds of a step, by its number from 1."""


class HostClock:
    """The real clock: sleeps until just before a deadline, then yields until it.

    Args:
        waiting: Called about once a second during a longer sleep, as a sign of life.
    """

    def __init__(self, waiting: Callable[[], object] = lambda: None) -> None:
        self._waiting = waiting
        sharpen_timers()

    def now(self) -> int:
        """Return nanoseconds on a clock that only goes forward."""
        return time.perf_counter_ns()

    def sleep_until(self, deadline: int) -> int:
        """Wait until `deadline` and return the time it then is; wakes within some 10 µs of it on an idle core."""
        now = time.perf_counter_ns()
        while (left := deadline - now) > 0:
            if left > 2 * _SIGN_NS:
                time.sleep(_SIGN_NS / 1e9)
                self._waiting()
            else:
                time.sleep((left - _SPIN_NS) / 1e9 if left > _SPIN_NS else 0)
            now = time.perf_counter_ns()
        return now


def sharpen_timers() -> bool:
    """Ask Linux to wake this thread without the usual 50 µs of timer slack. Returns whether it did."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0) == 0)


def durations(
    base_ms: float, stdev_ms: float = 0.0, every: Iterable[tuple[int, float]] = (), seed: int = 0
) -> Durations:
    """Durations of a simulated step on the device.

    Args:
        stdev_ms: Standard deviation of a normal variation, cut off at zero duration.
        every: Extra milliseconds for every n-th step, e.g. ``[(1000, 400.0)]`` for a checkpoint.
    """
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    extra = list(every)

    def duration(step: int) -> int:
        ms = base_ms
        if stdev_ms:
            ms += rng.gauss(0.0, stdev_ms)
        ms += sum(more for n, more in extra if step % n == 0)
        return max(0, round(ms * 1e6))

    return duration


class SimulatedStep(BatchConsumer):
    """Device that runs steps serially and lets the host run ahead by `dispatch` steps."""

    def __init__(self, clock: HostClock, duration: Durations, dispatch: Dispatch) -> None:
        self._clock = clock
        self._duration = duration
        self._in_flight = 0 if dispatch == "sync" else dispatch
        self._ends: deque[int] = deque()
        self._free = clock.now()
        self._step = 0

    def submit(self, batch: Any) -> tuple[int, int]:  # noqa: ARG002  # each takes as long
        """Hand over a batch; its step starts when the device is free."""
        self._step += 1
        start = max(self._clock.now(), self._free)
        self._free = end = start + self._duration(self._step)
        self._ends.append(end)
        return start, end

    def wait(self) -> tuple[int, int]:
        """Wait until the host may ask for the next batch."""
        if len(self._ends) <= self._in_flight:
            now = self._clock.now()
            return now, now
        deadline = self._ends.popleft()
        return deadline, self._clock.sleep_until(deadline)

    def shift(self, pause: int) -> None:
        """Move the time line by a pause during which host and device both stood still."""
        self._free += pause
        self._ends = deque(end + pause for end in self._ends)


def simulated_step(duration: Durations, context: StepContext) -> SimulatedStep:
    """Make a step on a simulated device of its own, on the real clock."""
    return SimulatedStep(HostClock(context.waiting), duration, context.dispatch)
