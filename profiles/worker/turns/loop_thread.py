"""The thread of the loop: how long it computes between two steps, and the same on a slower machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.kind import BatchConsumer, StepFacts


class LoopThread(BatchConsumer):
    """A step, and what the thread computes from the end of its wait until it has the next batch.

    Where all is scaled down by one factor, a process that is held to its share is stopped only while it uses more, and
    this thread alone rarely does. So what it would compute longer comes on top of the step, and counts as a wait
    of the device. It sleeps through both at once: between the batch and the step, it would lose its core to threads
    that have just been given work.

    Attributes:
        seconds: CPU time of the thread so far.

    Args:
        step: A simulated one that the host does not run ahead of, unless the factor is 1.
        factor: Speed of the thread; 1 for that of the machine.
        cpu: The thread's CPU time in nanoseconds.
    """

    def __init__(self, step: BatchConsumer, factor: float = 1.0, cpu: Callable[[], int] = time.thread_time_ns) -> None:
        self._step = step
        self._cpu = cpu
        self._longer = 1 / factor - 1
        self._since = cpu()
        self.seconds = 0.0

    def wait(self) -> tuple[int, int]:
        """Wait as the step does; what the thread computes counts from then on."""
        waited = self._step.wait()
        self._since = self._cpu()
        return waited

    def submit(self, batch: Any) -> tuple[int, int]:
        """Hand over a batch; the thread gets the next one as late as if it had this speed."""
        used = self._cpu() - self._since
        self.seconds += used / 1e9
        busy = self._step.submit(batch)
        if self._longer:
            self._step.shift(round(used * self._longer))
        return busy

    def shift(self, pause: int) -> None:
        """Move the step's time line."""
        self._step.shift(pause)

    def told(self) -> StepFacts:
        """What is known of the step."""
        return self._step.told()
