"""Tensors of a function that is applied to many elements at once.

A row is what the tensor was for one element. Rows may all be the same, of one shape, or vectors of different lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


class NoRowsError(Exception):
    """An op has no form for many elements at once; the message says why."""


@dataclass(frozen=True, eq=False)
class SharedRows:
    """Tensor that all elements share."""

    tensor: Any


@dataclass(frozen=True, eq=False)
class StackedRows:
    """Rows of one shape: a tensor of shape ``[elements, …]``."""

    tensor: Any


@dataclass(frozen=True, eq=False)
class RaggedRows:
    """Rows that differ in their first dimension.

    Attributes:
        flat: All rows one after the other, of shape ``[sum of lengths, …]``.
        lengths: Of each row, int64 of shape ``[elements]``. Rows with the same tensor have the same lengths.
        zero: Whether all values are known to be 0.
        zero_column: Whether the first column of the values is.
        counted: Whether each row is a column of 0, 1, 2 and so on.
    """

    flat: Any
    lengths: Any
    zero: bool = False
    zero_column: bool = False
    counted: bool = False


@dataclass(frozen=True, eq=False)
class ColumnRows:
    """Vectors as their values, such as shapes that differ between elements in some dimensions."""

    parts: tuple[SharedRows | StackedRows, ...]


Rows: TypeAlias = "SharedRows | StackedRows | RaggedRows | ColumnRows"


def rank_of(rows: Rows) -> int:
    """Return the rank of a row."""
    if isinstance(rows, ColumnRows):
        return 1
    tensor = rows.flat if isinstance(rows, RaggedRows) else rows.tensor
    rank = tensor.shape.rank
    if rank is None:
        raise NoRowsError("the rank of a tensor is not known")
    return int(rank) - isinstance(rows, StackedRows)


def shape_of(rows: StackedRows) -> list[int | None]:
    """Return the static shape of a row."""
    rank_of(rows)
    return list(rows.tensor.shape)[1:]


def stacked(rows: Rows, size: Any) -> Any:
    """Return rows of one shape as one tensor of shape ``[elements, …]``."""
    import tensorflow as tf

    if isinstance(rows, StackedRows):
        return rows.tensor
    if isinstance(rows, SharedRows):
        row = rows.tensor
        made = tf.broadcast_to(row, tf.concat([[size], tf.shape(row, tf.int64)], 0))
        made.set_shape([None, *row.shape])
        return made
    if isinstance(rows, ColumnRows):
        return tf.stack([stacked(part, size) for part in rows.parts], axis=1)
    raise NoRowsError("rows of different lengths are no tensor")


def shared(rows: Rows) -> Any:
    """Return the tensor that is the same for every element."""
    if not isinstance(rows, SharedRows):
        raise NoRowsError("an argument differs between elements")
    return rows.tensor


def ragged_tensor(rows: Rows, size: Any) -> Any:
    """Return rows that are vectors as a ``RaggedTensor`` of shape ``[elements, None, …]``."""
    import tensorflow as tf

    if isinstance(rows, RaggedRows):
        return tf.RaggedTensor.from_row_lengths(rows.flat, rows.lengths, validate=False)
    return tf.RaggedTensor.from_tensor(stacked(rows, size), row_splits_dtype=tf.int64)


def ragged_rows(tensor: Any) -> RaggedRows:
    """Return the rows of a ``RaggedTensor``."""
    return RaggedRows(tensor.values, tensor.row_lengths())


def constant_of(rows: Rows) -> Any:
    """Return what is the same for every element, as a NumPy array."""
    import numpy as np
    import tensorflow as tf

    if isinstance(rows, ColumnRows):
        return np.stack([constant_of(part) for part in rows.parts])
    found = tf.get_static_value(rows.tensor) if isinstance(rows, SharedRows) else None
    if found is None:
        raise NoRowsError("an argument that has to be a constant is none")
    return found


@dataclass(frozen=True)
class RowCall:
    """One op of a function.

    Attributes:
        size: How many elements there are, an int64 scalar.
        run: Adds the op with tensors as inputs; returns its outputs.
    """

    node: Any
    inputs: Sequence[Rows]
    size: Any
    run: Callable[[Sequence[Any]], list[Any]]
