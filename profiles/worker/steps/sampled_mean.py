"""Mean over the batches of a window: of all where reading one costs next to nothing, else of a random sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, sqrt
from random import Random
from typing import TYPE_CHECKING, Any

from pipeprof.profiles.worker.clocks import time

if TYPE_CHECKING:
    from collections.abc import Callable

COST_SHARE = 0.003
"""Of the time between two batches that reading them may take."""
LARGEST_ERROR = 0.01
"""Standard error, as a part of the mean, above which a sample gives no mean."""
SMALLEST_SAMPLE = 30
"""Batches, each standing for as many others, that a standard error is computed from."""


@dataclass
class SampledMean:
    """Weighted mean of what `read` gives of batches.

    Between two batches of the sample lies a random number of others, so that no rhythm of the data set, such as a
    smaller batch at the end of each epoch, is met too often or never.

    Attributes:
        read: Gives the value of a batch; `None` where it has none.
        stride: How many batches one of the sample stands for; one while all are read.
        left: How many batches later the next one is read.
        seen: Batches that were read.
        spent_ns: Time that the reading took.
    """

    read: Callable[[Any], float | None]
    stride: int = 1
    left: int = 1
    seen: int = 0
    spent_ns: int = 0
    _least_ns: int | None = None
    _is_sample: bool = False
    _weight: int = 0
    _squared_weight: int = 0
    _sum: float = 0.0
    _squares: float = 0.0
    _random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - a sample, no secret

    def take(self, batch: Any) -> None:
        """Read a batch, and choose the next one."""
        began = time.perf_counter_ns()
        value = self.read(batch)
        self.seen += 1
        stride = self.stride
        if value is not None:
            self._weight += stride
            self._squared_weight += stride * stride
            self._sum += stride * value
            self._squares += stride * value * value
        self.left = 1 if stride == 1 else self._random.randint(1, 2 * stride - 1)
        # What the sums and the draw take counts as well: of a number, they take longer than its size.
        took = time.perf_counter_ns() - began
        self.spent_ns += took
        if self._least_ns is None or took < self._least_ns:
            self._least_ns = took

    def tune(self, interval_ns: float) -> None:
        """Choose how many batches to read, from the time between two of them."""
        if self._least_ns is None:
            return
        self.stride = max(1, ceil(self._least_ns / (COST_SHARE * interval_ns)))
        self._is_sample |= self.stride > 1

    def mean(self) -> float | None:
        """Return the mean; `None` without a batch, and where the sample does not tell it within one percent."""
        if not self._weight:
            return None
        mean = self._sum / self._weight
        if not self._is_sample:
            return mean
        variance = max(0.0, self._squares / self._weight - mean * mean)
        size = self._weight**2 / self._squared_weight
        if size < SMALLEST_SAMPLE or sqrt(variance / size) > LARGEST_ERROR * abs(mean):
            return None
        return mean
