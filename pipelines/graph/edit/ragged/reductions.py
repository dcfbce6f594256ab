"""Sums, means and extreme values of rows."""

from __future__ import annotations

from typing import Any, Final

from pipeprof.pipelines.graph.edit.ragged.call import RowCall
from pipeprof.pipelines.graph.edit.ragged.rows import (
    NoRowsError,
    RaggedRows,
    Rows,
    StackedRows,
    constant_of,
    ragged_tensor,
    rank_of,
)

REDUCTIONS: Final = {"Sum": "reduce_sum", "Max": "reduce_max", "Min": "reduce_min", "Mean": "reduce_mean"}


def reduce_rows(call: RowCall) -> list[Rows]:
    """Reduce each of the rows that differ in length."""
    import tensorflow as tf

    rows = call.inputs[0]
    assert isinstance(rows, RaggedRows)  # noqa: S101 - the caller looks
    rank, keep = rank_of(rows), bool(call.node.attr["keep_dims"].b)
    axes = sorted({int(one) % rank for one in constant_of(call.inputs[1]).reshape(-1)})
    reduce = getattr(tf, REDUCTIONS[call.node.op])
    if 0 not in axes:
        return [RaggedRows(reduce(rows.flat, axes, keepdims=keep), rows.lengths)]
    if rows.flat.dtype.is_bool or None in rows.flat.shape[1:]:
        raise NoRowsError(f"its op {call.node.op} of rows of different lengths, in this form")
    if call.node.op in {"Max", "Min"} and not rows.flat.dtype.is_integer:
        # The greatest of no values is -inf here; TensorFlow's segments have the smallest number there.
        tensor = ragged_tensor(rows, call.size).to_tensor(default_value=_none_of(call.node.op, rows.flat.dtype))
        return [StackedRows(reduce(tensor, [axis + 1 for axis in axes], keepdims=keep))]
    made = reduce(ragged_tensor(rows, call.size), axis=1)
    made = tf.expand_dims(made, 1) if keep else made
    others = [axis + (1 if keep else 0) for axis in axes[1:]]
    return [StackedRows(reduce(made, others, keepdims=keep) if others else made)]


def _none_of(op: str, dtype: Any) -> Any:
    """Return the reduction of no values."""
    import tensorflow as tf

    return tf.constant(float("-inf") if op == "Max" else float("inf"), dtype)
