"""``StridedSlice`` of rows: an element, or a range, of each.

https://www.tensorflow.org/api_docs/python/tf/strided_slice has the meaning of the masks.
"""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.graph.edit.ragged.rows import (
    ColumnRows,
    NoRowsError,
    RaggedRows,
    RowCall,
    Rows,
    SharedRows,
    StackedRows,
    constant_of,
    rank_of,
    stacked,
)

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
_FIRST = 1
"""Bit of the first dimension in a mask."""
_SECOND = 2
"""Bit of the second one."""


def strided_slice(call: RowCall) -> list[Rows]:
    """Slice each row."""
    rows, begin, end, strides = call.inputs
    if isinstance(rows, ColumnRows):
        part = _of_columns(call, rows)
        if part is not None:
            return [part]
        rows = StackedRows(stacked(rows, call.size))
    if isinstance(rows, SharedRows) and all(isinstance(one, SharedRows) for one in (begin, end, strides)):
        return [
            SharedRows(call.run([one.tensor for one in (rows, begin, end, strides) if isinstance(one, SharedRows)])[0])
        ]
    if isinstance(rows, StackedRows):
        return [_of_stacked(call, rows)]
    if isinstance(rows, RaggedRows):
        return [_of_ragged(call, rows)]
    return [_of_shared(call, rows)]


def _of_columns(call: RowCall, rows: ColumnRows) -> Rows | None:
    """One column, or some of them; None where it is something else."""
    masks = _masks(call)
    begin, end, strides = (constant_of(one) for one in call.inputs[1:])
    if len(begin) != 1 or masks["ellipsis_mask"] or masks["new_axis_mask"]:
        return None
    if masks["shrink_axis_mask"]:
        return rows.parts[int(begin[0])]
    first = None if masks["begin_mask"] else int(begin[0])
    last = None if masks["end_mask"] else int(end[0])
    return ColumnRows(rows.parts[first : last : int(strides[0])])


def _of_stacked(call: RowCall, rows: StackedRows) -> Rows:
    import tensorflow as tf

    masks = {name: value << 1 for name, value in _masks(call).items()}
    masks["begin_mask"] |= _FIRST
    masks["end_mask"] |= _FIRST
    begin, end, strides = (
        tf.concat([tf.constant([first], one.dtype), one], 0)
        for first, one in zip((0, 0, 1), map(_shared, call.inputs[1:]), strict=True)
    )
    return StackedRows(tf.raw_ops.StridedSlice(input=rows.tensor, begin=begin, end=end, strides=strides, **masks))


def _of_shared(call: RowCall, rows: SharedRows) -> Rows:
    """A row or a range of a tensor that all elements share, at places that differ between them."""
    import tensorflow as tf

    masks = _masks(call)
    if masks["ellipsis_mask"] or masks["new_axis_mask"] or constant_of(call.inputs[3])[0] != 1:
        raise NoRowsError("it is cut at places that differ between elements, with steps or new dimensions")
    table = RaggedRows(rows.tensor, tf.repeat(tf.shape(rows.tensor, tf.int64)[:1], call.size))
    table = _other_dimensions(call, table, len(constant_of(call.inputs[3])))
    begin, end = (_first(one) for one in call.inputs[1:3])
    if masks["shrink_axis_mask"] & _FIRST:
        return StackedRows(tf.gather(table.flat, _inside(_per_row(begin, table.lengths), table.lengths)))
    first, last = _bounds(masks, begin, end, table.lengths)
    taken = tf.ragged.range(first, last, row_splits_dtype=tf.int64)
    return RaggedRows(tf.gather(table.flat, taken.values), last - first)


def _is_zero(rows: Rows) -> bool:
    import tensorflow as tf

    return isinstance(rows, SharedRows) and tf.get_static_value(rows.tensor) == 0


def _shared(rows: Rows) -> Any:
    if not isinstance(rows, SharedRows):
        raise NoRowsError("it is cut at places that differ between elements")
    return rows.tensor


def _of_ragged(call: RowCall, rows: RaggedRows) -> Rows:
    """An element or a range of each row, and of its other dimensions what is the same for all."""
    masks = _masks(call)
    strides = constant_of(call.inputs[3])
    if not len(strides):
        return rows
    if (masks["ellipsis_mask"] or masks["new_axis_mask"]) and _keeps_first(masks, strides, rank_of(rows)):
        return RaggedRows(_sliced(call, rows, masks), rows.lengths)
    if strides[0] != 1 or masks["ellipsis_mask"] or masks["new_axis_mask"]:
        raise NoRowsError("a slice of rows of different lengths with steps or new dimensions")
    lengths = rows.lengths
    begin, end = (_first(one) for one in call.inputs[1:3])
    rows = _other_dimensions(call, rows, len(strides))
    if masks["shrink_axis_mask"] & _FIRST:
        return element_of(rows, _per_row(begin, lengths))
    from_start = bool(masks["begin_mask"] & _FIRST) or _is_zero(begin)
    to_end = bool(masks["end_mask"] & _FIRST) or (isinstance(end, StackedRows) and end.tensor is lengths)
    if from_start and to_end:
        return rows
    return range_of(rows, *_bounds(masks, begin, end, lengths))


def _bounds(masks: dict[str, int], begin: Rows, end: Rows, lengths: Any) -> tuple[Any, Any]:
    """The first place of each row's range, and the one after its last."""
    import tensorflow as tf

    first = tf.zeros_like(lengths) if masks["begin_mask"] & _FIRST else _clamped(_per_row(begin, lengths), lengths)
    last = lengths if masks["end_mask"] & _FIRST else _clamped(_per_row(end, lengths), lengths)
    return first, tf.maximum(first, last)


def _other_dimensions(call: RowCall, rows: RaggedRows, count: int) -> RaggedRows:
    masks = _masks(call)
    others = (1 << count) - 1 - _FIRST
    whole = masks["begin_mask"] & masks["end_mask"] & ~masks["shrink_axis_mask"]
    if whole & others == others and all(constant_of(call.inputs[3])[1:] == 1):
        return rows
    masks["begin_mask"] |= _FIRST
    masks["end_mask"] |= _FIRST
    masks["shrink_axis_mask"] &= ~_FIRST
    column = masks["shrink_axis_mask"] == _SECOND and count == len(rows.flat.shape) == 2
    zero = rows.zero or (rows.zero_column and column and constant_of(call.inputs[1])[1] == 0)
    return RaggedRows(_sliced(call, rows, masks), rows.lengths, zero=zero)


def _sliced(call: RowCall, rows: RaggedRows, masks: dict[str, int]) -> Any:
    import tensorflow as tf

    begin, end, strides = map(_rest, call.inputs[1:])
    return tf.raw_ops.StridedSlice(input=rows.flat, begin=begin, end=end, strides=strides, **masks)


def _rest(rows: Rows) -> Any:
    """Places in all dimensions but the first, whose own is not read."""
    import tensorflow as tf

    if not isinstance(rows, ColumnRows):
        return _shared(rows)
    others = [_shared(part) for part in rows.parts[1:]]
    return tf.stack([tf.zeros_like(others[0]), *others])


def _keeps_first(masks: dict[str, int], strides: Any, rank: int) -> bool:
    """Whether a slice takes the first dimension of rows as a whole, and leaves it the first."""
    if masks["ellipsis_mask"] & _FIRST:
        new = (masks["new_axis_mask"] & ~_FIRST).bit_count()
        return len(strides) - 1 - new < rank
    whole = masks["begin_mask"] & masks["end_mask"] & ~masks["shrink_axis_mask"] & ~masks["new_axis_mask"]
    return bool(whole & _FIRST) and int(strides[0]) == 1


def element_of(rows: RaggedRows, index: Any) -> StackedRows:
    """Return the element at an index of each row, which may be negative; the pipeline fails where a row has none."""
    import tensorflow as tf

    return StackedRows(tf.gather(rows.flat, tf.cumsum(rows.lengths, exclusive=True) + _inside(index, rows.lengths)))


def _inside(index: Any, lengths: Any) -> Any:
    """Places from the start; the pipeline fails where a row has none."""
    import tensorflow as tf

    at = tf.where(index < 0, index + lengths, index)
    inside = tf.debugging.Assert(tf.reduce_all((at >= 0) & (at < lengths)), ["slice index out of bounds", index])
    with tf.control_dependencies([inside]):
        return tf.identity(at)


def range_of(rows: RaggedRows, first: Any, last: Any) -> RaggedRows:
    """Return a range of each row, from the first to before the last."""
    import tensorflow as tf

    starts = tf.cumsum(rows.lengths, exclusive=True)
    taken = tf.ragged.range(starts + first, starts + last, row_splits_dtype=tf.int64)
    return RaggedRows(tf.gather(rows.flat, taken.values), last - first)


def _first(rows: Rows) -> Rows:
    """The bound of the first dimension: the same for all rows, or one for each."""
    if isinstance(rows, ColumnRows):
        return rows.parts[0]
    return SharedRows(rows.tensor[0]) if isinstance(rows, SharedRows) else StackedRows(_stacked_tensor(rows)[:, 0])


def _stacked_tensor(rows: Rows) -> Any:
    if not isinstance(rows, StackedRows) or rank_of(rows) != 1:
        raise NoRowsError("it is cut at places of different numbers")
    return rows.tensor


def _per_row(bound: Rows, lengths: Any) -> Any:
    import tensorflow as tf

    if not isinstance(bound, SharedRows | StackedRows):
        raise NoRowsError("it is cut at places of different numbers")
    return tf.zeros_like(lengths) + tf.cast(bound.tensor, lengths.dtype)


def _clamped(bound: Any, lengths: Any) -> Any:
    import tensorflow as tf

    return tf.minimum(tf.maximum(tf.where(bound < 0, bound + lengths, bound), 0), lengths)


def _masks(call: RowCall) -> dict[str, int]:
    return {name: int(call.node.attr[name].i) for name in _MASKS}
