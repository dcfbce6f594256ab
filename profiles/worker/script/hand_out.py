"""Datasets that a training script gets instead of its own: one for each of its objects, with as many elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.profiles.worker.error_text import first_line

HANDED: Final = "pipeprof_handed_out"
"""Attribute of a dataset of the script's with the one that is iterated instead, which may know it."""


class HandOut:
    """The datasets that were handed out; each is freed with the script's own.

    Args:
        make: Makes what the script gets instead of a dataset; called once for each object.

    Attributes:
        handed: Whether there was one.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self.handed = False

    def has(self, dataset: Any) -> bool:
        """Whether another dataset was handed out for this one."""
        return HANDED in vars(dataset)

    def of(self, dataset: Any) -> Any:
        """Return the dataset that is iterated instead of this one; the same one each time."""
        self.handed = True
        if not self.has(dataset):
            vars(dataset)[HANDED] = as_long_as(dataset, self._make(dataset))
        return vars(dataset)[HANDED]


def as_long_as(dataset: Any, made: Any) -> Any:
    """Return a dataset that ends where another one does: `fit` counts its steps by the script's own object."""
    length = int(dataset.cardinality())
    return made.take(length) if length >= 0 and int(made.cardinality()) != length else made


def as_refusal(error: Exception) -> CannotChangeError:
    """Return why a change cannot be made, also where TensorFlow's own error says it."""
    if isinstance(error, CannotChangeError):
        return error
    return CannotChangeError(None, f"the changed dataset could not be made: {first_line(error)}")
