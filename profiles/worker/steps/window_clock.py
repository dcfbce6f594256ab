"""Time and CPU of a window of a script's steps, by the clock on the wall: epochs' ends are in it as well."""

from __future__ import annotations

from pipeprof.pipelines.clocks import time


class WindowClock:
    """CPU time of the process per step, from looks in which no epoch ended; of all where there are no such looks."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin a window."""
        self._began = time.perf_counter()
        self._cpu_began = self._cpu = time.process_time_ns()
        self._between: int | None = None
        self._clean_ns = self._clean_steps = 0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._began

    def look(self, steps: int, between_ns: int) -> None:
        """Take the steps since the last look.

        Args:
            between_ns: Time between epochs since the script began: validation, checkpoints and callbacks.
        """
        cpu, before = time.process_time_ns(), self._cpu
        if between_ns == self._between:
            self._clean_ns += cpu - before
            self._clean_steps += steps
        self._cpu, self._between = cpu, between_ns

    def cpu_ns(self, steps: int) -> int | None:
        """Return the CPU time of so many steps."""
        if self._clean_steps:
            return round(steps * self._clean_ns / self._clean_steps)
        return self._cpu - self._cpu_began if steps else None
