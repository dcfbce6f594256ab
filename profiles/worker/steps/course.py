"""Steps over time: means of stretches of equally many steps, in little memory however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.late import np
from pipeprof.profiles.document.shared import StepCourse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Nanoseconds = NDArray[np.int64]

MOST = 120
"""Stretches that are kept; twice as many are put together two by two."""


class Course:
    """Accumulator of intervals, waits and busy times, in order.

    A row has the number of steps and the sums of their intervals, waits and busy times in nanoseconds.
    """

    def __init__(self) -> None:
        self._each = 1
        self._rows: Nanoseconds | None = None
        self._partial: Nanoseconds | None = None
        self._has_waits = False

    def add(self, intervals: Nanoseconds, waits: Nanoseconds | None = None, busy: Nanoseconds | None = None) -> None:
        """Fold in steps, in nanoseconds, shape (n,); without a device there are intervals alone."""
        self._has_waits = self._has_waits or waits is not None
        nothing = np.zeros_like(intervals)
        columns = (np.ones_like(intervals), intervals, *(nothing if one is None else one for one in (waits, busy)))
        left: Nanoseconds = np.stack(columns, axis=1)
        while len(left):
            left = self._filled(left)

    def _filled(self, left: Nanoseconds) -> Nanoseconds:
        """Take rows of single steps into stretches, and return those for which there is no room yet."""
        rows = self._rows if self._rows is not None else np.zeros((0, 4), dtype=np.int64)
        if self._partial is not None or len(left) < self._each:
            begun = self._partial if self._partial is not None else np.zeros(4, dtype=np.int64)
            taken = min(self._each - int(begun[0]), len(left))
            begun = begun + left[:taken].sum(axis=0)
            whole = int(begun[0]) == self._each
            added, self._partial = (begun[None, :], None) if whole else (rows[:0], begun)
        else:
            groups = min(len(left) // self._each, 2 * MOST - len(rows))
            taken = groups * self._each
            added = left[:taken].reshape(groups, self._each, 4).sum(axis=1)
        rows = np.concatenate((rows, added))
        if len(rows) == 2 * MOST:
            rows = rows.reshape(MOST, 2, 4).sum(axis=1)
            self._each *= 2
        self._rows = rows
        return left[taken:]

    def summary(self) -> StepCourse | None:
        """Return the means of each stretch; None without a step."""
        parts = [one for one in (self._rows, self._partial) if one is not None and len(one)]
        if not parts:
            return None
        rows = np.concatenate([part.reshape(-1, 4) for part in parts]).astype(float)
        interval, wait, busy = (rows[:, column] / rows[:, 0] / 1e6 for column in (1, 2, 3))
        return StepCourse(
            seconds=_rounded(np.cumsum(rows[:, 1]) / 1e9, 6),
            interval_ms=_rounded(interval, 6),
            wait_ms=_rounded(wait, 6) if self._has_waits else None,
            busy_ms=_rounded(busy, 6) if self._has_waits else None,
        )


def _rounded(values: NDArray[np.float64], digits: int) -> list[float]:
    found: list[float] = np.round(values, digits).tolist()
    return found
