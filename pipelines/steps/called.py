"""A step that is a function of the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.device_sync import finish
from pipeprof.pipelines.steps.kind import BatchConsumer


class CalledStep(BatchConsumer):
    """A function as the step: the device is busy until everything it started is computed.

    Args:
        finish: Waits for what the function returned, and for all that it has put on a device.
    """

    def __init__(self, function: Callable[[Any], object], finish: Callable[[object], None] = finish) -> None:
        self._function = function
        self._finish = finish

    def submit(self, batch: Any) -> tuple[int, int]:
        """Call the function with the batch."""
        start = time.perf_counter_ns()
        self._finish(self._function(batch))
        return start, time.perf_counter_ns()

    def wait(self) -> tuple[int, int]:
        """Return at once: the step is over."""
        now = time.perf_counter_ns()
        return now, now
