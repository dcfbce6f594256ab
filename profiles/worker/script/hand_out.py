"""Datasets that a training script gets instead of its own: one for each of its objects, with as many elements."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.profiles.worker.error_text import first_line


class HandOut:
    """The datasets that were handed out. Those of the script are held weakly.

    Args:
        make: Makes what the script gets instead of a dataset; called once for each object.

    Attributes:
        handed: Whether there was one.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self.handed = False
        self._made: dict[int, tuple[Callable[[], Any], Any]] = {}

    def has(self, dataset: Any) -> bool:
        """Whether another dataset was handed out for this one."""
        owner, _ = self._made.get(id(dataset), (lambda: None, None))
        return owner() is dataset

    def of(self, dataset: Any) -> Any:
        """Return the dataset that is iterated instead of this one; the same one each time."""
        self.handed = True
        number = id(dataset)
        owner, made = self._made.get(number, (lambda: None, None))
        if owner() is not dataset:
            # A dataset knows what it was made from: that would keep the script's own alive.
            made = detached(as_long_as(dataset, self._make(dataset)))
            self._made[number] = weakref.ref(dataset, lambda _: self._made.pop(number, None)), made
        return made


def as_long_as(dataset: Any, made: Any) -> Any:
    """Return a dataset that ends where another one does: `fit` counts its steps by the script's own object."""
    length = int(dataset.cardinality())
    return made.take(length) if length >= 0 and int(made.cardinality()) != length else made


def detached(dataset: Any) -> Any:
    """Return a dataset that does not know what it was made from."""
    import tensorflow as tf

    return tf.data.experimental.from_variant(tf.data.experimental.to_variant(dataset), dataset.element_spec)


def as_refusal(error: Exception) -> CannotEditError:
    """Return why a change cannot be made, also where TensorFlow's own error says it."""
    if isinstance(error, CannotEditError):
        return error
    return CannotEditError(f"the changed dataset could not be made: {first_line(error)}")
