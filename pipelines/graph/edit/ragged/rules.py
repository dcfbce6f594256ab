"""Ops on the rows of many elements: one rule each.

An op without a rule takes rows of one shape alone; TensorFlow's pfor makes it one of batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from pipeprof.pipelines.graph.edit.ragged.parsing import (
    PARSES,
    PARSES_SEQUENCES,
    as_vectors,
    decode_raw,
    in_parts,
    one_text,
    parse_example,
    parse_sequence_example,
    sparse_to_dense,
)
from pipeprof.pipelines.graph.edit.ragged.resizing import cut, filled, padded
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
from pipeprof.pipelines.graph.edit.ragged.slices import element_of, strided_slice
from pipeprof.pipelines.graph.edit.ragged.texts import split, to_tensor
from pipeprof.pipelines.graph.read.function_facts import ELEMENTWISE, HANDING_ON

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


_TEXT_OPS: Final = """
    DecodeBase64 EncodeBase64 LookupTableFindV2 RegexFullMatch RegexReplace StaticRegexFullMatch StaticRegexReplace
    StringJoin StringToHashBucket StringToHashBucketStrong Substr UnicodeTranscode
"""
"""Element by element, with arguments that are the same for all."""
_BY_ELEMENT: Final = ELEMENTWISE | HANDING_ON | frozenset(_TEXT_OPS.split())


def apply(call: RowCall) -> list[Rows]:
    """Return what an op gives for many elements."""
    if call.node.op in {"Print", "PrintV2"}:
        raise NoRowsError("it prints, which it would do once per batch")
    rule = _RULES.get(call.node.op)
    if rule is not None:
        return rule(call)
    if call.node.op in _BY_ELEMENT:
        return _by_element(call)
    return _by_pfor(call)


def _by_element(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    if call.node.op in HANDING_ON:
        return list(call.inputs)
    inputs = [StackedRows(stacked(one, call.size)) if isinstance(one, ColumnRows) else one for one in call.inputs]
    ragged = [one for one in inputs if isinstance(one, RaggedRows)]
    if not ragged:
        return _same_shapes(call, inputs)
    first = ragged[0]
    rank = rank_of(first)
    if any(one.lengths is not first.lengths or rank_of(one) != rank for one in ragged):
        raise NoRowsError("it combines rows whose lengths may differ")
    tensors = []
    for one in inputs:
        if isinstance(one, RaggedRows):
            tensors.append(one.flat)
            continue
        if rank_of(one) > (0 if isinstance(one, StackedRows) else rank - 1):
            raise NoRowsError("it combines rows of different lengths with vectors")
        tensor = one.tensor
        if isinstance(one, StackedRows):
            tensor = tf.repeat(tensor, first.lengths)
            tensor = tf.reshape(tensor, [-1, *([1] * (rank - 1))])
        tensors.append(tensor)
    zero = first.zero and call.node.op == "Cast"
    return [RaggedRows(made, first.lengths, zero=zero) for made in _with_rank(call.run(tensors), rank)]


def _same_shapes(call: RowCall, inputs: list[Any]) -> list[Rows]:
    """An op that treats each value alone, on rows of one shape."""
    import tensorflow as tf

    if all(isinstance(one, SharedRows) for one in inputs):
        return [SharedRows(made) for made in call.run([one.tensor for one in inputs])]
    rank = max(rank_of(one) for one in inputs)
    tensors = []
    for one in inputs:
        tensor = one.tensor
        # Dimensions are aligned at the last one: a row of fewer has them after that of the elements.
        for _ in range(rank - rank_of(one) if isinstance(one, StackedRows) else 0):
            tensor = tf.expand_dims(tensor, 1)
        tensors.append(tensor)
    return [StackedRows(made) for made in _with_rank(call.run(tensors), rank + 1)]


def _with_rank(made: list[Any], rank: int) -> list[Any]:
    """Results of an op element by element; TensorFlow does not know the shape of what a captured table gives."""
    for one in made:
        if one.shape.rank is None:
            one.set_shape([None] * rank)
    return made


def _by_pfor(call: RowCall) -> list[Rows]:
    """Any other op, on rows of one shape."""
    import tensorflow as tf

    if any(isinstance(one, RaggedRows) for one in call.inputs):
        raise NoRowsError(f"TensorFlow cannot apply its op {call.node.op} to rows of different lengths")
    inputs = [StackedRows(stacked(one, call.size)) if isinstance(one, ColumnRows) else one for one in call.inputs]
    shared = {place: one.tensor for place, one in enumerate(inputs) if isinstance(one, SharedRows)}
    rows = [one.tensor for one in inputs if isinstance(one, StackedRows)]
    if not rows:
        return [SharedRows(made) for made in call.run([shared[place] for place in range(len(inputs))])]

    def of_one(given: Any) -> list[Any]:
        left = iter(given)
        return call.run([shared[place] if place in shared else next(left) for place in range(len(inputs))])

    try:
        made = tf.vectorized_map(of_one, tuple(rows), fallback_to_while_loop=False, warn=False)
    except Exception as error:
        # pfor raises errors of many classes.
        raise NoRowsError(f"TensorFlow cannot apply its op {call.node.op} to many elements") from error
    return [StackedRows(one) for one in made]


def _decode_unicode(call: RowCall) -> list[Rows]:
    """The code points of texts; ``UnicodeDecodeWithOffsets`` gives their places in the bytes, too."""
    import tensorflow as tf

    splits, *values = call.run([one_text(call)])
    lengths = tf.cast(splits[1:] - splits[:-1], tf.int64)
    own = ColumnRows((SharedRows(tf.zeros([], splits.dtype)), StackedRows(splits[1:] - splits[:-1])))
    return [own, *(RaggedRows(value, lengths) for value in values)]


def _pack(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    axis = int(call.node.attr["axis"].i)
    inputs = call.inputs
    if all(isinstance(one, SharedRows) for one in inputs):
        return _by_element(call)
    if all(isinstance(one, SharedRows | StackedRows) and rank_of(one) == 0 for one in inputs):
        return [ColumnRows(tuple(one for one in inputs if isinstance(one, SharedRows | StackedRows)))]
    if any(isinstance(one, RaggedRows) for one in inputs):
        if axis == 0 or -axis > rank_of(inputs[0]):
            raise NoRowsError("it stacks rows of different lengths")
        return _by_element(replace(call, inputs=_of_equal_lengths(inputs)))
    return [StackedRows(tf.stack([stacked(one, call.size) for one in inputs], axis + 1 if axis >= 0 else axis))]


def _unpack(call: RowCall) -> list[Rows]:
    rows = call.inputs[0]
    return list(rows.parts) if isinstance(rows, ColumnRows) else _by_pfor(call)


def _expand(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    rows, dim = call.inputs[0], int(constant_of(call.inputs[1]))
    if isinstance(rows, RaggedRows):
        if dim == 0 or -dim > rank_of(rows):
            raise NoRowsError("it stacks rows of different lengths")
        return [RaggedRows(tf.expand_dims(rows.flat, dim), rows.lengths)]
    if isinstance(rows, SharedRows):
        return [SharedRows(tf.expand_dims(rows.tensor, dim))]
    if isinstance(rows, StackedRows) and rank_of(rows) == 0:
        return [ColumnRows((rows,))]
    return [StackedRows(tf.expand_dims(stacked(rows, call.size), dim + 1 if dim >= 0 else dim))]


def _reshape(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    rows = call.inputs[0]
    if isinstance(rows, SharedRows) and isinstance(call.inputs[1], SharedRows):
        return [SharedRows(call.run([rows.tensor, call.inputs[1].tensor])[0])]
    shape = [int(one) for one in constant_of(call.inputs[1])]
    if isinstance(rows, RaggedRows):
        return [_reshape_ragged(rows, shape, call.size)]
    if isinstance(rows, ColumnRows):
        if shape in ([-1], [len(rows.parts)]):
            return [rows]
        if shape == [] and len(rows.parts) == 1:
            return [rows.parts[0]]
    tensor = stacked(rows, call.size)
    known = [*tensor.shape][1:]
    if None not in known and -1 in shape:
        total, others = 1, 1
        for one in known:
            total *= one
        for one in shape:
            others *= one if one != -1 else 1
        shape = [total // others if one == -1 and others else one for one in shape]
    made = tf.reshape(tensor, tf.concat([[call.size], tf.constant(shape, tf.int64)], 0))
    made.set_shape([None, *(one if one >= 0 else None for one in shape)])
    return [ColumnRows((StackedRows(tf.reshape(tensor, [-1])),)) if shape == [1] else StackedRows(made)]


def _reshape_ragged(rows: RaggedRows, shape: list[int], size: Any) -> Rows:
    """Rows of different lengths with values of another shape, or all of one."""
    import tensorflow as tf

    if shape[:1] == [-1] and min(shape[1:], default=1) > 0:
        return in_parts(as_vectors(rows), shape[1:])
    if shape and min(shape) > 0:
        made = tf.reshape(of_one_length(rows, size), tf.concat([[size], tf.constant(shape, tf.int64)], 0))
        made.set_shape([None, *shape])
        return StackedRows(made)
    raise NoRowsError("it gives rows of different lengths another shape")


def _shape(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    rows = call.inputs[0]
    dtype = tf.dtypes.as_dtype(call.node.attr["out_type"].type)
    if isinstance(rows, RaggedRows):
        rank = rank_of(rows)
        inner = tf.shape(rows.flat, dtype)
        others = [SharedRows(inner[axis]) for axis in range(1, rank)]
        return [ColumnRows((StackedRows(tf.cast(rows.lengths, dtype)), *others))]
    if isinstance(rows, ColumnRows):
        return [SharedRows(tf.constant([len(rows.parts)], dtype))]
    whole = tf.shape(rows.tensor, dtype)
    return [SharedRows(whole if isinstance(rows, SharedRows) else whole[1:])]


def _size(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    rows = call.inputs[0]
    dtype = tf.dtypes.as_dtype(call.node.attr["out_type"].type)
    if isinstance(rows, RaggedRows):
        each = tf.reduce_prod(tf.shape(rows.flat, tf.int64)[1:])
        return [StackedRows(tf.cast(rows.lengths * each, dtype))]
    if isinstance(rows, ColumnRows):
        return [SharedRows(tf.constant(len(rows.parts), dtype))]
    shape = tf.shape(rows.tensor, dtype)
    return [SharedRows(tf.reduce_prod(shape if isinstance(rows, SharedRows) else shape[1:]))]


def _rank(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    return [SharedRows(tf.constant(rank_of(call.inputs[0]), tf.int32))]


def _concat(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    *inputs, last = call.inputs
    axis = int(constant_of(last))
    if all(isinstance(one, SharedRows) for one in inputs):
        return [SharedRows(tf.concat([one.tensor for one in inputs if isinstance(one, SharedRows)], axis))]
    rank = rank_of(inputs[0])
    axis = axis + rank if axis < 0 else axis
    if not any(isinstance(one, RaggedRows) for one in inputs):
        if rank == 1 and all(isinstance(one, ColumnRows) or _is_known_vector(one) for one in inputs):
            return [ColumnRows(tuple(part for one in inputs for part in _parts_of(one)))]
        return [StackedRows(tf.concat([stacked(one, call.size) for one in inputs], axis + 1))]
    if axis == 0:
        return [ragged_rows(tf.concat([ragged_tensor(one, call.size) for one in inputs], 1))]
    joined = [row for row in _of_equal_lengths(inputs) if isinstance(row, RaggedRows)]
    if len(joined) < len(inputs):
        raise NoRowsError("it joins rows whose lengths may differ")
    return [RaggedRows(tf.concat([one.flat for one in joined], axis), joined[0].lengths)]


def _of_equal_lengths(inputs: Sequence[Rows]) -> list[Rows]:
    """Rows for an op that fails where its inputs differ in length, as the pipeline does then."""
    import tensorflow as tf

    first = next(one for one in inputs if isinstance(one, RaggedRows))
    lengths = {id(one.lengths): one.lengths for one in inputs if isinstance(one, RaggedRows)}
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(tf.equal(length, first.lengths)), ["rows differ in length", length, first.lengths]
        )
        for length in lengths.values()
        if length is not first.lengths
    ]
    with tf.control_dependencies(checks):
        return [
            RaggedRows(tf.identity(one.flat) if checks else one.flat, first.lengths)
            if isinstance(one, RaggedRows)
            else one
            for one in inputs
        ]


def _is_known_vector(rows: Rows) -> bool:
    return isinstance(rows, SharedRows) and rows.tensor.shape.num_elements() is not None


def _parts_of(rows: Rows) -> tuple[SharedRows | StackedRows, ...]:
    if isinstance(rows, ColumnRows):
        return rows.parts
    return (
        tuple(SharedRows(rows.tensor[place]) for place in range(rows.tensor.shape[0]))
        if isinstance(rows, SharedRows)
        else ()
    )


def _count(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    rows, size, weights = call.inputs
    if not isinstance(rows, RaggedRows):
        return _by_pfor(call)
    if (
        not isinstance(size, SharedRows)
        or not isinstance(weights, SharedRows)
        or weights.tensor.shape.num_elements() != 0
    ):
        raise NoRowsError("it counts with weights, or up to a number that differs between elements")
    if rows.zero and tf.get_static_value(size.tensor) == 1 and not call.node.attr["binary_output"].b:
        # The rows of a single text: all of its words are in the first one.
        same = weights.tensor.dtype == rows.lengths.dtype
        return [ColumnRows((StackedRows(rows.lengths if same else tf.cast(rows.lengths, weights.tensor.dtype)),))]
    splits = tf.concat([[tf.constant(0, tf.int64)], tf.cumsum(rows.lengths)], 0)
    made = tf.raw_ops.RaggedBincount(
        splits=splits,
        values=rows.flat,
        size=size.tensor,
        weights=weights.tensor,
        binary_output=bool(call.node.attr["binary_output"].b),
    )
    made.set_shape([None, tf.get_static_value(size.tensor)])
    return [StackedRows(made)]


def _sum_up(call: RowCall) -> list[Rows]:
    """Running sums; of a single value it is the value."""
    rows = call.inputs[0]
    single = isinstance(rows, ColumnRows) and len(rows.parts) == 1 and not call.node.attr["exclusive"].b
    return [rows] if single else _by_pfor(call)


def _gather(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    values, places, axis = call.inputs
    if isinstance(values, RaggedRows) and isinstance(places, SharedRows | StackedRows) and rank_of(places) == 0:
        if constant_of(axis) == 0:
            return [element_of(values, tf.zeros_like(values.lengths) + tf.cast(places.tensor, tf.int64))]
    elif isinstance(values, SharedRows) and isinstance(places, RaggedRows) and constant_of(axis) == 0:
        return [RaggedRows(tf.gather(values.tensor, places.flat), places.lengths)]
    return _by_pfor(call)


def _one_hot(call: RowCall) -> list[Rows]:
    rows, *others = call.inputs
    if not isinstance(rows, RaggedRows) or int(call.node.attr["axis"].i) == 0:
        return _by_pfor(call)
    return [RaggedRows(call.run([rows.flat, *(shared(other) for other in others)])[0], rows.lengths)]


def _reduce(call: RowCall) -> list[Rows]:
    return reduce_rows(call) if isinstance(call.inputs[0], RaggedRows) else _by_pfor(call)


def _resized(rule: Callable[[RowCall], list[Rows] | None]) -> Callable[[RowCall], list[Rows]]:
    """A rule for rows that differ in length; pfor has one for the others."""
    return lambda call: rule(call) or _by_pfor(call)


def _range(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    if all(isinstance(one, SharedRows) for one in call.inputs):
        return _by_element(call)
    start, limit, delta = (stacked(one, call.size) for one in call.inputs)
    return [ragged_rows(tf.ragged.range(start, limit, delta, row_splits_dtype=tf.int64))]


def _ensure_shape(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    rows = call.inputs[0]
    if isinstance(rows, SharedRows):
        return _by_element(call)
    shape = tf.TensorShape(call.node.attr["shape"].shape)
    if isinstance(rows, RaggedRows):
        if shape.rank is not None and shape[0] is None:
            return [RaggedRows(tf.ensure_shape(rows.flat, shape), rows.lengths)]
        return [StackedRows(tf.ensure_shape(of_one_length(rows, call.size), tf.TensorShape([None]).concatenate(shape)))]
    return [StackedRows(tf.ensure_shape(stacked(rows, call.size), tf.TensorShape([None]).concatenate(shape)))]


def of_one_length(rows: RaggedRows, size: Any) -> Any:
    """Return rows as one tensor; the pipeline fails where they differ in length, as a batch of them would."""
    import tensorflow as tf

    shortest, longest = tf.reduce_min(rows.lengths), tf.reduce_max(rows.lengths)
    same = tf.debugging.Assert(tf.equal(shortest, longest), ["rows of a batch differ in length", shortest, longest])
    with tf.control_dependencies([same]):
        shape = tf.concat([[size, longest], tf.shape(rows.flat, tf.int64)[1:]], 0)
        made = tf.reshape(rows.flat, shape)
    made.set_shape([None, None, *rows.flat.shape[1:]])
    return made


def _assert(call: RowCall) -> list[Rows]:
    import tensorflow as tf

    condition, *data = call.inputs
    shown = [one.flat if isinstance(one, RaggedRows) else stacked(one, call.size) for one in data]
    checked = tf.reduce_all(stacked(condition, call.size))
    tf.raw_ops.Assert(condition=checked, data=shown, summarize=int(call.node.attr["summarize"].i))
    return []


_RULES: Final[dict[str, Callable[[RowCall], list[Rows]]]] = {
    "Assert": _assert,
    "ConcatV2": _concat,
    "Cumsum": _sum_up,
    "DecodeRaw": decode_raw,
    "DenseBincount": _count,
    "EnsureShape": _ensure_shape,
    "ExpandDims": _expand,
    "GatherV2": _gather,
    "OneHot": _one_hot,
    "Pack": _pack,
    "Fill": _resized(filled),
    "Pad": _resized(padded),
    "PadV2": _resized(padded),
    PARSES: parse_example,
    PARSES_SEQUENCES: parse_sequence_example,
    "RaggedTensorToTensor": to_tensor,
    "Range": _range,
    "Rank": _rank,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _resized(cut),
    "SparseToDense": sparse_to_dense,
    "StridedSlice": strided_slice,
    "StringSplit": split,
    "StringSplitV2": split,
    "Unpack": _unpack,
    "UnicodeDecode": _decode_unicode,
    "UnicodeDecodeWithOffsets": _decode_unicode,
    **dict.fromkeys(REDUCTIONS, _reduce),
}
OPS: Final = frozenset(_RULES) | _BY_ELEMENT
"""Ops with a form for many elements that does not need TensorFlow's own vectorisation."""
