"""Clock readings of many steps, without an object for each: the garbage collector would look at them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from pipeprof.pipelines.late import np
from pipeprof.profiles.worker.steps.statistics import StepReading

if TYPE_CHECKING:
    from pipeprof.profiles.worker.steps.statistics import Nanoseconds


class Readings(Sequence[StepReading]):
    """Clock readings of steps, in order.

    Args:
        array: Shape (n, 6), in the order of `StepReading`; None for none.
    """

    def __init__(self, array: Nanoseconds | None = None) -> None:
        self._parts = [] if array is None else [array]
        self._rows: list[StepReading] = []
        self._length = 0 if array is None else len(array)

    def append(self, reading: StepReading) -> None:
        """Add a step."""
        self._rows.append(reading)
        self._length += 1

    def extend(self, readings: Sequence[StepReading] | Nanoseconds) -> None:
        """Add steps; an array has the shape (n, 6)."""
        if len(readings):
            self._close_rows()
            self._parts.append(np.asarray(readings, dtype=np.int64))
            self._length += len(readings)

    @property
    def array(self) -> Nanoseconds:
        """All of them, shape (n, 6)."""
        self._close_rows()
        if len(self._parts) != 1:
            self._parts = [np.concatenate(self._parts) if self._parts else np.empty((0, 6), np.int64)]
        return self._parts[0]

    def _close_rows(self) -> None:
        if self._rows:
            self._parts.append(np.asarray(self._rows, dtype=np.int64))
            self._rows = []

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Nanoseconds:
        """They are int64 already."""
        del dtype
        return self.array.copy() if copy else self.array

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> StepReading: ...

    @overload
    def __getitem__(self, index: slice) -> Readings: ...

    def __getitem__(self, index: int | slice) -> StepReading | Readings:
        found = self.array[index]
        return Readings(found) if isinstance(index, slice) else StepReading(*map(int, found))

    def __iter__(self) -> Iterator[StepReading]:
        return (StepReading(*row) for row in self.array.tolist())
