"""Faults that a self-test puts into a pipeline: batches that come later, and memory that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pipeprof.pipelines.clocks import time

SPIN_SECONDS = 0.0005
"""Before a batch is due: a sleep ends later than asked by some 0.1 ms."""


class Paced:
    """A dataset whose batches come no earlier than a schedule says.

    A wait after each batch would not do: meanwhile, a pipeline that prefetches works on. The schedule is that of all
    batches since its beginning: one that is late does not delay those after it.
    """

    def __init__(self, dataset: Iterable[Any]) -> None:
        self._dataset = dataset
        self._seconds = 0.0
        self._due = 0.0

    def begin(self, seconds: float) -> None:
        """Begin a schedule.

        Args:
            seconds: From batch to batch; 0 for as they come.
        """
        self._seconds = seconds
        self._due = time.perf_counter()

    def __iter__(self) -> Iterator[Any]:
        """Give the batches of one epoch, each when it is due."""
        for batch in self._dataset:
            if self._seconds:
                self._due += self._seconds
                _wait_until(self._due)
            yield batch


def _wait_until(due: float) -> None:
    """Sleep, so that the pipeline has its cores, and wait on the processor at the end: a sleep alone ends late."""
    while (left := due - time.perf_counter()) > 0:
        if left > SPIN_SECONDS:
            time.sleep(left - SPIN_SECONDS)


def hold(nbytes: int) -> Any:
    """Allocate memory that is resident: every page is written.

    Args:
        nbytes: How much; 0 for none.
    """
    import numpy as np

    return np.ones(nbytes, dtype=np.uint8) if nbytes else None
