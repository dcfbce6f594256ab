"""Faults that a self-test puts into a pipeline: a stall in each batch, and memory that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeprof.profiles.worker.clocks import time


@dataclass(frozen=True)
class Stalled:
    """A dataset each of whose batches comes later.

    Attributes:
        dataset: The user's.
        seconds: By which each batch is late.
    """

    dataset: Iterable[Any]
    seconds: float

    def __iter__(self) -> Iterator[Any]:
        """Give the batches of one epoch, each after a wait on the processor: a sleep would end late by itself."""
        for batch in self.dataset:
            until = time.perf_counter() + self.seconds
            while time.perf_counter() < until:
                pass
            yield batch


def hold(nbytes: int) -> Any:
    """Allocate memory that is resident: every page is written.

    Args:
        nbytes: How much; 0 for none.
    """
    import numpy as np

    return np.ones(nbytes, dtype=np.uint8) if nbytes else None
