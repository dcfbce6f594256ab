"""Means over the batches of a window: of all where reading one costs next to nothing, else of a random sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, sqrt
from random import Random
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COST_SHARE = 0.003
"""Of the time between two batches that reading them may take."""
SAME_COST_SHARE = 0.0005
"""The same while all batches had the same values: more of them would tell nothing new."""
SLOW_READ = 4
"""Times the quickest reading that one takes at most: a longer mean comes from those that were interrupted."""
SAME = 1e-9
"""Squared deviation, as a part of the squared mean, up to which values are the same."""
LARGEST_ERROR = 0.01
"""Standard error, as a part of the mean, above which a sample gives no mean."""
SMALLEST_SAMPLE = 30
"""Batches, each standing for as many others, that a standard error is computed from."""


@dataclass
class SampledMeans:
    """Weighted means of the values that `read` gives of batches.

    Between two batches of the sample lies a random number of others, so that no rhythm of the data set, such as a
    smaller batch at the end of each epoch, is met too often or never.

    Attributes:
        read: Gives the values of a batch, always as many; `None` for one that it has not.
        stride: How many batches one of the sample stands for; one while all are read.
    """

    read: Callable[[Any], Sequence[float | None]]
    stride: int = 1
    seen: int = 0
    spent_ns: int = 0
    _least_ns: int | None = None
    _is_sample: bool = False
    _sums: list[_Sums] = field(default_factory=list)
    _random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - a sample, no secret

    def take(self, batch: Any) -> int:
        """Read a batch; return how many batches later the next one is read."""
        began = time.perf_counter_ns()
        values = self.read(batch)
        if not self._sums:
            self._sums = [_Sums() for _ in values]
        self.seen += 1
        stride = self.stride
        for sums, value in zip(self._sums, values, strict=True):
            if value is not None:
                sums.weight += stride
                sums.squared_weight += stride * stride
                sums.values += stride * value
                sums.squares += stride * value * value
        left = 1 if stride == 1 else self._random.randint(1, 2 * stride - 1)
        # What the sums and the draw take counts as well: of a number, they take longer than its size.
        took = time.perf_counter_ns() - began
        self.spent_ns += took
        if self._least_ns is None or took < self._least_ns:
            self._least_ns = took
        return left

    def tune(self, interval_ns: float) -> None:
        """Choose how many batches to read, from the time between two of them."""
        if self._least_ns is None:
            return
        cost = min(self.spent_ns / self.seen, SLOW_READ * self._least_ns) / interval_ns
        self.stride = max(1, ceil(cost / COST_SHARE))
        if not any(sums.varies for sums in self._sums):
            # None counts for more than all that a mean needs so far.
            most = max((sums.weight for sums in self._sums), default=0) // (2 * SMALLEST_SAMPLE)
            self.stride = max(self.stride, min(ceil(cost / SAME_COST_SHARE), most))
        self._is_sample |= self.stride > 1

    def means(self) -> list[float | None]:
        """Return the means, none before the first batch; `None` where a sample does not tell one within one percent."""
        return [sums.mean(is_sample=self._is_sample) for sums in self._sums]


@dataclass(slots=True)
class _Sums:
    weight: int = 0
    squared_weight: int = 0
    values: float = 0.0
    squares: float = 0.0

    @property
    def varies(self) -> bool:
        return self.squares * self.weight - self.values**2 > SAME * self.values**2

    def mean(self, *, is_sample: bool) -> float | None:
        if not self.weight:
            return None
        mean = self.values / self.weight
        if not is_sample:
            return mean
        variance = max(0.0, self.squares / self.weight - mean * mean)
        size = self.weight**2 / self.squared_weight
        if size < SMALLEST_SAMPLE or sqrt(variance / size) > LARGEST_ERROR * abs(mean):
            return None
        return mean
