"""Records parsed a batch at a time: features whose number of values differs are rows of different lengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from pipeprof.pipelines.graph.edit.ragged.rows import (
    ColumnRows,
    NoRowsError,
    RaggedRows,
    RowCall,
    Rows,
    SharedRows,
    StackedRows,
    constant_of,
    shape_of,
    shared,
    stacked,
)
from pipeprof.pipelines.graph.read.function_facts import ELEMENTWISE
from pipeprof.pipelines.graph.read.references import base_of, data_inputs, inputs_first

PARSES: Final = "ParseExampleV2"
PARSES_SEQUENCES: Final = "ParseSequenceExampleV2"
_PASSING_ON: Final = frozenset({PARSES, "SerializeSparse", "Identity", "IdentityN"})


def one_text(call: RowCall) -> Any:
    """Return the first input of an op for all elements, one text for each."""
    import tensorflow as tf

    given = call.inputs[0]
    if isinstance(given, ColumnRows) and len(given.parts) == 1:
        return stacked(given.parts[0], call.size)
    if isinstance(given, StackedRows) and shape_of(given) in ([], [1]):
        return tf.reshape(given.tensor, [-1])
    raise NoRowsError(f"its op {call.node.op} takes several texts for each element")


def parses_alone(function: Any) -> bool:
    """Whether a function without calls parses its record and only passes on what comes out: so it does with a batch."""
    nodes = {node.name: node for node in function.node_def}
    depends = {argument.name for argument in function.signature.input_arg}
    ends = [result.partition(":")[0] for result in function.ret.values()]

    def reads(name: str) -> list[str]:
        return [base_of(one) for one in data_inputs(nodes[name])] if name in nodes else []

    for name in inputs_first(ends, reads):
        if not depends.isdisjoint(reads(name)):
            depends.add(name)

    def passes_on(node: Any) -> bool:
        others = [one for one in reads(node.name) if one not in depends]
        alone = len(reads(node.name)) - len(others) == 1
        return node.op in _PASSING_ON or (
            node.op in ELEMENTWISE and alone and all(_is_number(nodes.get(one)) for one in others)
        )

    made = [nodes[name] for name in depends if name in nodes]
    return any(node.op == PARSES for node in made) and all(map(passes_on, made))


def _is_number(node: Any | None) -> bool:
    return node is not None and node.op == "Const" and not node.attr["value"].tensor.tensor_shape.dim


def parses_lists(node: Any) -> bool:
    """Whether an op parses features whose number of values differs, which pfor does not convert as they are."""
    if node.op == PARSES_SEQUENCES:
        return True
    if node.op != PARSES:
        return False
    shapes = [shape.unknown_rank or any(dim.size < 0 for dim in shape.dim) for shape in _shapes(node)]
    return bool(node.attr["num_sparse"].i) or bool(node.attr["ragged_value_types"].list.type) or any(shapes)


def _shapes(node: Any) -> Any:
    return node.attr["dense_shapes"].list.shape


def parse_example(call: RowCall) -> list[Rows]:
    """``ParseExampleV2`` of a record: a feature that is a sparse tensor or a list is a row with a length of its own.

    Both are read as ragged features: the op pads the lists of a batch, and a sparse tensor has an index per value.
    """
    import tensorflow as tf

    attributes = call.node.attr
    sparse, dense, ragged = ([bytes(key) for key in constant_of(one)] for one in call.inputs[2:5])
    sparse_types, dense_types, ragged_types, split_types = (
        [tf.dtypes.as_dtype(one) for one in attributes[name].list.type]
        for name in ("sparse_types", "Tdense", "ragged_value_types", "ragged_split_types")
    )
    shapes = [tf.TensorShape(shape) for shape in _shapes(call.node)]
    fixed = [place for place, shape in enumerate(shapes) if shape.is_fully_defined()]
    listed = [place for place in range(len(dense)) if place not in fixed]
    uneven = [*sparse_types, *(dense_types[place] for place in listed), *ragged_types]
    parsed = tf.raw_ops.ParseExampleV2(
        serialized=one_text(call),
        names=tf.constant([], tf.string),
        sparse_keys=tf.constant([], tf.string),
        dense_keys=tf.constant([dense[place] for place in fixed], tf.string),
        ragged_keys=tf.constant([*sparse, *(dense[place] for place in listed), *ragged], tf.string),
        dense_defaults=[shared(call.inputs[5 + place]) for place in fixed],
        num_sparse=0,
        sparse_types=[],
        ragged_value_types=uneven,
        ragged_split_types=[tf.int64] * len(uneven),
        dense_shapes=[shapes[place] for place in fixed],
    )
    rows = _ragged(parsed.ragged_values, parsed.ragged_row_splits)
    first = len(sparse)
    lists = dict(zip(listed, rows[first : first + len(listed)], strict=True))
    even = dict(zip(fixed, parsed.dense_values, strict=True))
    return [
        *_sparse(rows[:first]),
        *(
            StackedRows(even[place]) if place in even else in_parts(lists[place], list(shapes[place])[1:])
            for place in range(len(dense))
        ),
        *rows[first + len(listed) :],
        *(SharedRows(tf.zeros([0], split)) for split in split_types),
    ]


def parse_sequence_example(call: RowCall) -> list[Rows]:
    """``ParseSequenceExampleV2`` of a record: the lists of a feature are rows with a length of their own.

    The op pads the lists of a batch and states their lengths.
    """
    import tensorflow as tf

    attributes = call.node.attr
    if attributes["Nfeature_list_sparse"].i or attributes["feature_list_ragged_value_types"].list.type:
        raise NoRowsError("it parses a sequence of lists that differ in length")
    sparse, dense, ragged = ([bytes(key) for key in constant_of(one)] for one in call.inputs[2:5])
    sparse_types, ragged_types, split_types, listed_types = (
        [tf.dtypes.as_dtype(one) for one in attributes[name].list.type]
        for name in (
            "context_sparse_types",
            "context_ragged_value_types",
            "context_ragged_split_types",
            "feature_list_dense_types",
        )
    )
    uneven = [*sparse_types, *ragged_types]
    none = tf.constant([], tf.string)
    parsed = tf.raw_ops.ParseSequenceExampleV2(
        serialized=one_text(call),
        debug_name=none,
        context_sparse_keys=none,
        context_dense_keys=tf.constant(dense, tf.string),
        context_ragged_keys=tf.constant([*sparse, *ragged], tf.string),
        feature_list_sparse_keys=none,
        feature_list_dense_keys=shared(call.inputs[6]),
        feature_list_ragged_keys=none,
        feature_list_dense_missing_assumed_empty=shared(call.inputs[8]),
        context_dense_defaults=[shared(one) for one in call.inputs[9:]],
        context_ragged_value_types=uneven,
        context_ragged_split_types=[tf.int64] * len(uneven),
        context_dense_shapes=[tf.TensorShape(one) for one in attributes["context_dense_shapes"].list.shape],
        Nfeature_list_dense=len(listed_types),
        feature_list_dense_types=listed_types,
        feature_list_dense_shapes=[tf.TensorShape(one) for one in attributes["feature_list_dense_shapes"].list.shape],
    )
    rows = _ragged(parsed.context_ragged_values, parsed.context_ragged_row_splits)
    return [
        *_sparse(rows[: len(sparse)]),
        *(StackedRows(context_dense_value) for context_dense_value in parsed.context_dense_values),
        *rows[len(sparse) :],
        *(SharedRows(tf.zeros([0], split)) for split in split_types),
        *(
            RaggedRows(tf.RaggedTensor.from_tensor(padded, lengths).values, lengths)
            for padded, lengths in zip(parsed.feature_list_dense_values, parsed.feature_list_dense_lengths, strict=True)
        ),
        *(StackedRows(feature_list_dense_length) for feature_list_dense_length in parsed.feature_list_dense_lengths),
    ]


def _ragged(values: Sequence[Any], splits: Sequence[Any]) -> list[RaggedRows]:
    return [RaggedRows(flat, ends[1:] - ends[:-1]) for flat, ends in zip(values, splits, strict=True)]


def _sparse(rows: Sequence[RaggedRows]) -> list[Rows]:
    """Return sparse features in the order of a parsing op: all indices, all values, all shapes."""
    shapes = [ColumnRows((StackedRows(row.lengths),)) for row in rows]
    return [*(_places(row) for row in rows), *rows, *shapes]


def _places(rows: RaggedRows) -> RaggedRows:
    """The index of each value in its row, as ``SparseTensor`` has it: a column."""
    import tensorflow as tf

    counted = tf.ragged.range(rows.lengths, row_splits_dtype=tf.int64).values
    return RaggedRows(tf.expand_dims(counted, 1), rows.lengths, counted=True)


def sparse_to_dense(call: RowCall) -> list[Rows]:
    """``SparseToDense`` of a row that has a value at each of its places: the row."""
    places, shape, values, _ = call.inputs
    length = shape.parts[0] if isinstance(shape, ColumnRows) and len(shape.parts) == 1 else None
    if (
        isinstance(places, RaggedRows)
        and places.counted
        and isinstance(values, RaggedRows)
        and isinstance(length, StackedRows)
        and places.lengths is values.lengths is length.tensor
    ):
        return [values]
    raise NoRowsError("it makes a sparse tensor dense that is not a feature as it was parsed")


def decode_raw(call: RowCall) -> list[Rows]:
    """``DecodeRaw`` of a text: the bytes of all elements are decoded together. Texts of a list are of one length."""
    import tensorflow as tf

    given = call.inputs[0]
    if isinstance(given, RaggedRows):
        return [RaggedRows(call.run([given.flat])[0], given.lengths)]
    texts = one_text(call)
    (values,) = call.run([tf.strings.reduce_join(texts)])
    size = tf.dtypes.as_dtype(call.node.attr["out_type"].type).size
    lengths = tf.strings.length(texts)
    return [in_parts(RaggedRows(values, tf.cast(lengths // size, tf.int64)), (), rest=lengths % size)]


def as_vectors(rows: RaggedRows) -> RaggedRows:
    """Return the values of each row one after the other."""
    import tensorflow as tf

    if rows.flat.shape.rank == 1:
        return rows
    each = tf.reduce_prod(tf.shape(rows.flat, tf.int64)[1:])
    return RaggedRows(tf.reshape(rows.flat, [-1]), rows.lengths * each)


def in_parts(rows: RaggedRows, inner: Sequence[int | None], rest: Any = None) -> RaggedRows:
    """Return rows whose values have a shape; the pipeline fails where a row has not enough for its last one.

    Args:
        rest: What is left of each row; None: of the division by the number of values in one.
    """
    import tensorflow as tf

    if None in inner:
        raise NoRowsError("the shape of its values is not known")
    each = math.prod(one for one in inner if one is not None)
    if rest is None and each == 1:
        return RaggedRows(tf.reshape(rows.flat, [-1, *inner]), rows.lengths)
    if each == 0:
        raise NoRowsError("its values are empty")
    left = rest if rest is not None else rows.lengths % each
    whole = tf.debugging.Assert(tf.reduce_all(tf.equal(left, 0)), ["a row does not have whole values", left])
    with tf.control_dependencies([whole]):
        flat = tf.reshape(rows.flat, [-1, *inner])
    return RaggedRows(flat, rows.lengths // each if each > 1 else rows.lengths)
