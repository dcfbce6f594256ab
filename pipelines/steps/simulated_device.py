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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.kind import BatchConsumer, Dispatch, StepContext

_PR_SET_TIMERSLACK = 29
_SPIN_NS = 60_000
_SIGN_NS = 1_000_000_000


class Clock(Protocol):
    """Time in nanoseconds, and waiting for a point of it."""

    def now(self) -> int:
        """Return nanoseconds on a clock that only goes forward."""

    def sleep_until(self, deadline: int) -> int:
        """Wait until `deadline` and return the time it then is, in nanoseconds."""


class HostClock:
    """The real clock: sleeps until just before a deadline, then yields until it.

    Args:
        waiting: Called about once a second during a longer sleep, as a sign of life.
    """

    def __init__(self, waiting: Callable[[], None] = lambda: None) -> None:
        self.now: Callable[[], int] = time.perf_counter_ns
        self._waiting = waiting
        sharpen_timers()

    def sleep_until(self, deadline: int) -> int:
        """Wait until `deadline`; wakes within some 10 µs of it on an idle core."""
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


@dataclass(frozen=True)
class StepDuration:
    """Duration of a simulated step on the device.

    Attributes:
        per_mb_ms: Added for each megabyte (10⁶ bytes) of the batch.
        stdev_ms: Standard deviation of a normal variation, cut off at zero duration.
        every: Extra milliseconds for every n-th step, e.g. ``{1000: 400.0}`` for a checkpoint.
    """

    base_ms: float
    per_mb_ms: float = 0.0
    stdev_ms: float = 0.0
    every: Mapping[int, float] = field(default_factory=dict)
    seed: int = 0

    def sequence(self) -> Callable[[int, int], int]:
        """Return a function of (step number from 1, bytes of the batch) giving nanoseconds."""
        base = round(self.base_ms * 1e6)
        if not (self.per_mb_ms or self.stdev_ms or self.every):
            return lambda _step, _size: base
        rng = random.Random(self.seed)  # noqa: S311 - a simulation, not a secret

        def duration(step: int, size: int) -> int:
            ms = self.base_ms + self.per_mb_ms * size / 1e6
            if self.stdev_ms:
                ms += rng.gauss(0.0, self.stdev_ms)
            ms += sum(extra for n, extra in self.every.items() if step % n == 0)
            return max(0, round(ms * 1e6))

        return duration

    @property
    def needs_size(self) -> bool:
        """Whether the bytes of each batch must be known."""
        return bool(self.per_mb_ms)


class Duration(Protocol):
    """How long each step keeps the device busy."""

    def sequence(self) -> Callable[[int, int], int]:
        """Return a function of (step number from 1, bytes of the batch) giving nanoseconds."""

    @property
    def needs_size(self) -> bool:
        """Whether the bytes of each batch must be known."""


class SimulatedDevice:
    """Device that runs steps serially and lets the host run ahead by `dispatch` steps."""

    def __init__(self, clock: Clock, duration: Duration, dispatch: Dispatch) -> None:
        self._clock = clock
        self._duration = duration.sequence()
        self._in_flight = 0 if dispatch == "sync" else dispatch
        self._ends: deque[int] = deque()
        self._free = clock.now()
        self._step = 0

    def submit(self, size: int = 0) -> tuple[int, int]:
        """Hand over a batch of `size` bytes; returns when its step starts and ends, in nanoseconds."""
        self._step += 1
        start = max(self._clock.now(), self._free)
        self._free = end = start + self._duration(self._step, size)
        self._ends.append(end)
        return start, end

    def wait(self) -> tuple[int, int]:
        """Wait until the host may ask for the next batch.

        Returns:
            The deadline waited for (the past when there was nothing to wait for) and the time of waking.
        """
        if len(self._ends) <= self._in_flight:
            now = self._clock.now()
            return now, now
        deadline = self._ends.popleft()
        return deadline, self._clock.sleep_until(deadline)

    def shift(self, pause: int) -> None:
        """Move the time line by a pause of `pause` nanoseconds, during which host and device both stood still."""
        self._free += pause
        self._ends = deque(end + pause for end in self._ends)


@dataclass
class SimulatedStep(BatchConsumer):
    """A step on the simulated device."""

    device: SimulatedDevice
    size_of: Callable[[Any], int] | None = None

    def submit(self, batch: Any) -> tuple[int, int]:
        """Hand the batch to the device."""
        return self.device.submit(self.size_of(batch) if self.size_of else 0)

    def wait(self) -> tuple[int, int]:
        """Wait as the dispatch mode requires."""
        return self.device.wait()

    def shift(self, pause: int) -> None:
        """Move the device's time line."""
        self.device.shift(pause)


def simulated_step(duration: Duration, context: StepContext) -> SimulatedStep:
    """Make a step on a simulated device of its own, on the real clock."""
    device = SimulatedDevice(HostClock(context.waiting), duration, context.dispatch)
    return SimulatedStep(device, context.size_of if duration.needs_size else None)
