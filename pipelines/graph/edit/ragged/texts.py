"""Texts split into words, those of each element: one text, or several; and the words of several as a tensor."""

from __future__ import annotations

from typing import Any, Final

from pipeprof.pipelines.graph.edit.ragged.parsing import one_text
from pipeprof.pipelines.graph.edit.ragged.rows import (
    ColumnRows,
    NoRowsError,
    RaggedRows,
    RowCall,
    Rows,
    SharedRows,
    StackedRows,
    constant_of,
    ragged_rows,
    ragged_tensor,
    rank_of,
    shared,
    stacked,
)

_BY_ROW: Final = [b"FIRST_DIM_SIZE", b"VALUE_ROWIDS"]
"""How `tf.strings.split` states which row a word is of."""


def split(call: RowCall) -> list[Rows]:
    """Split texts at separators: places, words and shape of each element's own."""
    import tensorflow as tf

    given, separator = call.inputs[0], call.inputs[1]
    if not isinstance(separator, SharedRows):
        raise NoRowsError("the separator differs between elements")
    several = isinstance(given, RaggedRows) or (isinstance(given, StackedRows) and _count(given) not in (None, 1))
    if several and rank_of(given) == 1:
        return _split_several(call, given, separator.tensor)
    places, words, _ = call.run([one_text(call), separator.tensor])
    lengths = tf.math.unsorted_segment_sum(tf.ones_like(places[:, 0]), places[:, 0], call.size)
    own = tf.stack([tf.zeros_like(places[:, 0]), places[:, 1]], 1)
    shape = ColumnRows((SharedRows(tf.constant(1, tf.int64)), StackedRows(lengths)))
    return [RaggedRows(own, lengths, zero_column=True), RaggedRows(words, lengths), shape]


def _count(rows: StackedRows) -> int | None:
    return rows.tensor.shape[1] if rank_of(rows) == 1 else None


def _split_several(call: RowCall, given: Rows, separator: Any) -> list[Rows]:
    import tensorflow as tf

    texts = given if isinstance(given, RaggedRows) else ragged_rows(ragged_tensor(given, call.size))
    places, words, _ = call.run([texts.flat, separator])
    owner = tf.repeat(tf.range(call.size), texts.lengths)
    starts = tf.cumsum(texts.lengths, exclusive=True)
    element = tf.gather(owner, places[:, 0])
    lengths = tf.math.unsorted_segment_sum(tf.ones_like(element), element, call.size)
    own = tf.stack([places[:, 0] - tf.gather(starts, element), places[:, 1]], 1)
    widest = tf.maximum(tf.math.unsorted_segment_max(places[:, 1] + 1, element, call.size), 0)
    shape = ColumnRows((StackedRows(texts.lengths), StackedRows(widest)))
    return [RaggedRows(own, lengths), RaggedRows(words, lengths), shape]


def to_tensor(call: RowCall) -> list[Rows]:
    """Make the words of an element's texts a tensor with a row for each text.

    Its width is that of the text with most words. Rows of elements stand after each other, so it has to be the same in
    all of them: else the pipeline fails, as a batch of them would.
    """
    import tensorflow as tf

    wanted, words, default, *parts = call.inputs
    if list(call.node.attr["row_partition_types"].list.s) != _BY_ROW or not isinstance(words, RaggedRows):
        raise NoRowsError(f"its op {call.node.op} pads other rows than those of split texts")
    count, rows = parts
    if not isinstance(rows, RaggedRows) or rows.lengths is not words.lengths or rank_of(words) != 1:
        raise NoRowsError(f"its op {call.node.op} pads other rows than those of split texts")
    shape = constant_of(wanted).reshape(-1)
    if len(shape) == 2 and shape[0] >= 0:
        raise NoRowsError(f"its op {call.node.op} makes a fixed number of rows")
    width = int(shape[1]) if len(shape) == 2 and shape[1] >= 0 else None
    lengths = tf.cast(stacked(count, call.size), tf.int64)
    total = tf.reduce_sum(lengths)
    starts = tf.cumsum(lengths, exclusive=True)
    row = tf.cast(rows.flat, tf.int64) + tf.repeat(starts, words.lengths)
    made = tf.raw_ops.RaggedTensorToTensor(
        shape=tf.constant([-1, -1 if width is None else width], tf.int64),
        values=words.flat,
        default_value=shared(default),
        row_partition_tensors=[total, row],
        row_partition_types=["FIRST_DIM_SIZE", "VALUE_ROWIDS"],
    )
    made.set_shape([None, width])
    return [RaggedRows(made if width is not None else _as_wide(made, row, lengths, total), lengths)]


def _as_wide(made: Any, row: Any, lengths: Any, total: Any) -> Any:
    """Rows of all elements, if those of each one alone would be as wide."""
    import tensorflow as tf

    per_row = tf.math.unsorted_segment_sum(tf.ones_like(row), row, total)
    size = tf.size(lengths, tf.int64)
    widest = tf.math.unsorted_segment_max(per_row, tf.repeat(tf.range(size), lengths), size)
    width = tf.shape(made, tf.int64)[1]
    same = tf.reduce_all(tf.equal(widest, width) | tf.equal(lengths, 0))
    check = tf.debugging.Assert(same, ["rows of a batch differ in their numbers of words", widest])
    with tf.control_dependencies([check]):
        return tf.identity(made)
