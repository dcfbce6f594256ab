"""The window of one turn: some steps are dropped, the rest is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.worker.steps.loop import CountedSizes, NoSizes

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.profiles.protocol.turns import TurnRequest
    from pipeprof.profiles.worker.steps.statistics import StepReading

CHECK_NS = 10_000_000
"""Between two looks at the steps: at most so much is a block longer than asked."""


class BlockWindow:
    """A window of the step loop that drops the first steps and counts the rest.

    Attributes:
        ns: Nanoseconds that they took.
        wait_ns: Of these, those in which the device had no work.

    Args:
        stop: Whether it has to end early.
        look: Called with the number of counted steps: when counting begins, and at each look after that.
    """

    def __init__(
        self, turn: TurnRequest, stop: Callable[[], bool], look: Callable[[int], None] = lambda _steps: None
    ) -> None:
        self.sizes: CountedSizes = NoSizes()
        self._turn = turn
        self._stop = stop
        self._settle_ns = turn.settle_seconds * 1e9
        self._settled_ns = 0
        self._settled_steps = 0
        self._last_got: int | None = None
        self._last_end: int | None = None
        self.steps = 0
        self.ns = 0
        self.wait_ns = 0
        self._look = look
        if not self._settle_ns:
            look(0)
        self.check_at = time.perf_counter_ns() + CHECK_NS

    def most(self) -> int | None:
        """Take any number of steps."""
        return None

    def drained(self, base: int, times: list[int]) -> bool:
        """Take steps without a device."""
        if times:
            self._add(len(times), times[-1] - base, 0)
        return self._is_over()

    def followed(self, readings: list[StepReading], restarts: list[int]) -> bool:
        """Take steps with a device."""
        del restarts
        if self._last_got is not None and self._last_end is not None:
            ends = [self._last_end, *(reading.end for reading in readings)]
            wait = sum(max(0, reading.start - end) for reading, end in zip(readings, ends, strict=False))
            self._add(len(readings), readings[-1].got - self._last_got, wait)
        self._last_got, self._last_end = readings[-1].got, readings[-1].end
        return self._is_over()

    def _add(self, steps: int, ns: int, wait_ns: int) -> None:
        if self._settled_ns < self._settle_ns or (self._settle_ns and not self._settled_steps):
            self._settled_ns += ns
            self._settled_steps += steps
            if self._settled_ns >= self._settle_ns and self._settled_steps:
                self._look(0)
            return
        self.steps += steps
        self.ns += ns
        self.wait_ns += wait_ns
        self._look(self.steps)

    def _is_over(self) -> bool:
        self.check_at = time.perf_counter_ns() + CHECK_NS
        return (self.ns >= self._turn.seconds * 1e9 and self.steps >= self._turn.steps) or self._stop()
