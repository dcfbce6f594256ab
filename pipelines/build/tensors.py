"""Ragged and sparse tensors of a spec (worker only: imports TensorFlow)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.ops.values.arrays import RaggedArray, SparseArray


def make_tensor(array: RaggedArray | SparseArray) -> Any:
    """The ragged or sparse tensor that ``array`` describes."""
    tf = importlib.import_module("tensorflow")
    dtype = array.dtype if isinstance(array, RaggedArray) else array.sparse.dtype
    of_dtype = None if dtype is None else tf.as_dtype(str(dtype))
    if isinstance(array, RaggedArray):
        return tf.ragged.constant(_lists(array.ragged), dtype=of_dtype, ragged_rank=array.ragged_rank)
    parts = array.sparse
    values = tf.constant(list(parts.values), dtype=of_dtype)
    indices = [list(index) for index in parts.indices]
    return tf.SparseTensor(
        tf.reshape(tf.constant(indices, tf.int64), [-1, len(parts.dense_shape)]), values, parts.dense_shape
    )


def held_by(array: Any) -> list[tuple[str, int]]:
    """Type and bytes of what an array holds in memory.

    Args:
        array: A NumPy array, a mapping of them, or a ragged or sparse tensor.
    """
    if isinstance(array, Mapping):
        return [held for column in array.values() for held in held_by(column)]
    if hasattr(array, "nbytes"):
        return [(array.dtype.name, array.nbytes)]
    tf = importlib.import_module("tensorflow")
    parts = tf.nest.flatten(array, expand_composites=True)
    return [(part.dtype.name, part.shape.num_elements() * part.dtype.size) for part in parts]


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value
