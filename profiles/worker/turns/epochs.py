"""Whether a cache would keep what each epoch makes anew: two epochs compared, in whatever order their elements come.

TensorFlow cannot tell whether a Python function draws random numbers, or reads what changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from pipeprof.pipelines.graph.edit.errors import CannotEditError, first_line
from pipeprof.profiles.worker.turns.digest import hash_of


def elements_of_each_epoch(dataset: Iterable[Any]) -> int:
    """Return how many elements two epochs have, both the same.

    Args:
        dataset: A ``tf.data.Dataset`` that ends.

    Raises:
        CannotEditError: They do not have the same elements, or it is not known.
    """
    import tensorflow as tf

    try:
        first, second = (Counter(map(hash_of, dataset)) for _ in range(2))
    except tf.errors.OpError as error:
        msg = f"what a cache would keep cannot be read twice: {first_line(error)}"
        raise CannotEditError(msg) from error
    if None in first:
        msg = "what a cache would keep is not data that can be compared"
        raise CannotEditError(msg)
    if first != second:
        msg = "what a cache would keep differs from epoch to epoch"
        raise CannotEditError(msg)
    return first.total()
