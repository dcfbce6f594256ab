"""Calls of ``Dataset.save`` while the user's code builds a dataset."""

from __future__ import annotations

from types import TracebackType
from typing import Any


class SaveGuard:
    """Stops a build that saves a dataset, inside a ``with`` block."""

    def __init__(self) -> None:
        self.asked = False
        self._own: Any = None

    def __enter__(self) -> SaveGuard:
        import tensorflow as tf

        self._own = own = tf.data.Dataset.save

        def save(dataset: Any, *arguments: Any, **named: Any) -> Any:
            if tf.inside_function():
                # Nothing is written yet, and the graph will show it.
                return own(dataset, *arguments, **named)
            self.asked = True
            raise RuntimeError("Dataset.save is not called while several processes build the dataset")

        tf.data.Dataset.save = save
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import tensorflow as tf

        tf.data.Dataset.save = self._own
