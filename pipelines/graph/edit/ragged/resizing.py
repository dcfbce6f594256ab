"""Rows that are cut, padded or filled to lengths of their own: ``Slice``, ``Pad`` and ``Fill``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeprof.pipelines.graph.edit.ragged.rows import (
    ColumnRows,
    RaggedRows,
    RowCall,
    Rows,
    SharedRows,
    StackedRows,
    ragged_rows,
    ragged_tensor,
    rank_of,
    shared,
    stacked,
)
from pipeprof.pipelines.graph.edit.ragged.slices import range_of


def cut(call: RowCall) -> list[Rows] | None:
    """``Slice``: a part of each row, and of its other dimensions the same part of all; None where none differ."""
    import tensorflow as tf

    rows = call.inputs[0]
    if isinstance(rows, SharedRows):
        return _of_table(call, rows.tensor)
    if not isinstance(rows, RaggedRows):
        return None
    begin, size = (tf.cast(stacked(one, call.size), tf.int64) for one in call.inputs[1:])
    first = begin[:, 0]
    last = tf.where(size[:, 0] < 0, rows.lengths, first + size[:, 0])
    inside = tf.reduce_all((first >= 0) & (first <= last) & (last <= rows.lengths))
    checks = [tf.debugging.Assert(inside, ["a slice is out of bounds", first, last, rows.lengths])]
    flat = rows.flat
    if rank_of(rows) > 1:
        checks += [_same_for_all(begin[:, 1:]), _same_for_all(size[:, 1:])]
        flat = tf.slice(flat, tf.concat([[0], begin[0, 1:]], 0), tf.concat([[-1], size[0, 1:]], 0))
        flat.set_shape([None, *_known_sizes(call, rows.flat.shape)[1:]])
    with tf.control_dependencies(checks):
        return [range_of(RaggedRows(tf.identity(flat), rows.lengths), first, last)]


def _of_table(call: RowCall, table: Any) -> list[Rows] | None:
    """As many rows of one tensor for each element, from places that differ; None for other parts of it."""
    import tensorflow as tf

    begins, sizes = (_known(rows, table.shape.rank or 0) for rows in call.inputs[1:])
    if not sizes or any(one in {None, -1} for one in sizes[:1]) or None in (*begins[1:], *sizes[1:]):
        return None
    first = stacked(call.inputs[1], call.size)[:, 0]
    # On a CPU, a gather fails for a row that is not there, as a slice does.
    taken = tf.gather(table, first[:, None] + tf.range(sizes[0], dtype=first.dtype))
    return [StackedRows(tf.slice(taken, [0, 0, *begins[1:]], [-1, -1, *sizes[1:]]))]


def _known_sizes(call: RowCall, shape: Sequence[int | None]) -> list[int | None]:
    """The sizes of a slice of rows of a shape, where they are known before the pipeline runs."""
    found = []
    for whole, begin, size in zip(shape, *(_known(rows, len(shape)) for rows in call.inputs[1:]), strict=True):
        to_end = whole - begin if whole is not None and begin is not None else None
        found.append(to_end if size == -1 else size)
    return found


def _known(rows: Rows, count: int) -> list[int | None]:
    """The values of vectors, where they are the same for all elements and known before the pipeline runs."""
    import tensorflow as tf

    found: list[Any] = [None] * count
    if isinstance(rows, SharedRows):
        value = tf.get_static_value(rows.tensor)
        found = found if value is None else list(value)
    elif isinstance(rows, ColumnRows):
        found = [tf.get_static_value(part.tensor) if isinstance(part, SharedRows) else None for part in rows.parts]
    return [None if one is None else int(one) for one in found]


def padded(call: RowCall) -> list[Rows] | None:
    """``Pad``: values before and after each row, and as many in its other dimensions; None where no lengths differ."""
    import tensorflow as tf

    rows, paddings, *value = call.inputs
    if not isinstance(rows, RaggedRows):
        return None
    rank, given = rank_of(rows), tf.cast(stacked(paddings, call.size), tf.int64)
    fill = shared(value[0]) if value else tf.zeros([], rows.flat.dtype)
    checks = [tf.debugging.Assert(tf.reduce_all(given >= 0), ["Paddings must be non-negative", given])]
    flat = rows.flat
    if rank > 1:
        checks.append(_same_for_all(given[:, 1:]))
        before = flat.shape
        flat = tf.pad(flat, tf.concat([[[0, 0]], given[0, 1:]], 0), constant_values=fill)
        known = tf.get_static_value(paddings.tensor) if isinstance(paddings, SharedRows) else None
        if known is not None:
            sizes = [
                None if one is None else one + int(sum(around))
                for one, around in zip(before[1:], known[1:], strict=True)
            ]
            flat.set_shape([None, *sizes])
    with tf.control_dependencies(checks):
        inner = tf.shape(flat, tf.int64)[1:]
        sides = [ragged_tensor(_of_value(fill, given[:, 0, side], inner), call.size) for side in (0, 1)]
    return [ragged_rows(tf.concat([sides[0], ragged_tensor(RaggedRows(flat, rows.lengths), call.size), sides[1]], 1))]


def filled(call: RowCall) -> list[Rows] | None:
    """``Fill``: rows of one value, whose first dimension differs; None where none does, or another one."""
    import tensorflow as tf

    dims, value = call.inputs
    if not isinstance(dims, ColumnRows) or isinstance(dims.parts[0], SharedRows) or not isinstance(value, SharedRows):
        return None
    if not all(isinstance(part, SharedRows) for part in dims.parts[1:]):
        return None
    lengths = tf.cast(dims.parts[0].tensor, tf.int64)
    possible = tf.debugging.Assert(tf.reduce_all(lengths >= 0), ["dimensions must be non-negative", lengths])
    with tf.control_dependencies([possible]):
        return [
            _of_value(value.tensor, tf.identity(lengths), [tf.cast(shared(part), tf.int64) for part in dims.parts[1:]])
        ]


def _of_value(value: Any, lengths: Any, inner: Any) -> RaggedRows:
    import tensorflow as tf

    shape = tf.concat([[tf.reduce_sum(lengths)], tf.cast(inner, tf.int64)], 0)
    return RaggedRows(tf.fill(shape, value), lengths)


def _same_for_all(places: Any) -> Any:
    import tensorflow as tf

    same = tf.reduce_all(tf.equal(places, places[:1]))
    return tf.debugging.Assert(same, ["other dimensions than the first differ between elements", places])
