"""A function of one element made one of many, whose rows may differ in length.

Each op is applied to the rows of all elements at once, in the order of the data. A batch of the results is what
`padded_batch` or `batch` makes of the elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph
from pipeprof.pipelines.graph.edit.functions import op_definitions, outputs_of, plain_graph, width
from pipeprof.pipelines.graph.edit.ragged.rows import (
    NoRowsError,
    RaggedRows,
    RowCall,
    Rows,
    SharedRows,
    StackedRows,
    rank_of,
    shape_of,
    stacked,
)
from pipeprof.pipelines.graph.edit.ragged.rules import apply, of_one_length
from pipeprof.pipelines.graph.read.references import base_of, data_inputs, inputs_first

_RUN: Final = frozenset({"Assert", "Print", "PrintV2"})
"""Ops that run whether or not a result needs them."""


@dataclass(frozen=True)
class RowPadding:
    """Padding of one component by `padded_batch`.

    Attributes:
        shape: Of an element after padding; None for the longest of the batch.
        value: What is put there, a scalar tensor or array of the component's type.
    """

    shape: tuple[int | None, ...]
    value: Any


class ManyElements:
    """A function applied to many elements at once.

    Args:
        count: How many of its inputs are components of an element; the others are captured.
        paddings: Of each result; None where a batch stacks rows of one shape.
    """

    def __init__(
        self, graph: EditableGraph, function: Any, count: int, paddings: Sequence[RowPadding] | None = None
    ) -> None:
        translate = outputs_of(function)
        self._arguments = [one.name for one in function.signature.input_arg]
        self._count = count
        self._paddings = paddings
        self._nodes = {node.name: node for node in plain_graph(graph, function).node}
        self._results = [translate(function.ret[one.name]) for one in function.signature.output_arg]
        self._checks = [name for name, node in self._nodes.items() if node.op in _RUN]
        self._definitions = op_definitions({node.op for node in self._nodes.values()})
        self._same = _clamped(self._nodes)
        self._producer = graph.producer

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the batched results of batched components and captured tensors."""
        import tensorflow as tf

        size = tf.shape(inputs[0], tf.int64)[0]
        known: dict[str, Rows] = {
            f"{name}:0": StackedRows(tensor) if place < self._count else SharedRows(tensor)
            for place, (name, tensor) in enumerate(zip(self._arguments, inputs, strict=True))
        }
        same = dict(self._same)
        calls: dict[tuple[bytes, tuple[str, ...]], str] = {}
        for name in self._in_order():
            node = self._nodes[name]
            read = tuple(_real(reference, same) for reference in map(_with_output, data_inputs(node)))
            # Two calls of one function on the same texts give rows of the same lengths.
            first = calls.setdefault((bytes(_bare(node, "").SerializeToString(deterministic=True)), read), name)
            if first == name:
                known.update(self._apply(node, [known[reference] for reference in read], size))
            else:
                same.update({f"{name}:{place}": f"{first}:{place}" for place in range(self._outputs(node))})
        rows = [known[_real(reference, same)] for reference in self._results]
        if self._paddings is None:
            return [of_one_length(row, size) if isinstance(row, RaggedRows) else stacked(row, size) for row in rows]
        return [_padded(one, padding, size) for one, padding in zip(rows, self._paddings, strict=True)]

    def _apply(self, node: Any, inputs: Sequence[Rows], size: Any) -> dict[str, Rows]:
        def run(tensors: Sequence[Any]) -> list[Any]:
            import tensorflow as tf

            part = tf.compat.v1.GraphDef()
            part.versions.producer = self._producer
            own = part.node.add()
            own.CopyFrom(_bare(node, "op"))
            own.input[:] = [f"given_{place}:0" for place in range(len(tensors))]
            given = {f"given_{place}:0": tensor for place, tensor in enumerate(tensors)}
            names = [f"op:{place}" for place in range(self._outputs(node))]
            return list(tf.graph_util.import_graph_def(part, input_map=given, return_elements=names, name=""))

        made = apply(RowCall(node, inputs, size, run))
        return {f"{node.name}:{place}": one for place, one in enumerate(made)}

    def _outputs(self, node: Any) -> int:
        return sum(width(node, argument) for argument in self._definitions[node.op].output_arg)

    def _in_order(self) -> list[str]:
        def reads(name: str) -> list[str]:
            given = map(_with_output, data_inputs(self._nodes[name])) if name not in self._arguments else ()
            return [base_of(_real(reference, self._same)) for reference in given]

        ends = [base_of(_real(reference, self._same)) for reference in [*self._results, *self._checks]]
        return [name for name in inputs_first(ends, reads) if name not in self._arguments]


def _real(reference: str, same: Mapping[str, str]) -> str:
    """The reference to what is the same as one."""
    while reference in same:
        reference = same[reference]
    return reference


def _bare(node: Any, name: str) -> Any:
    """A copy of a node without its inputs and what TensorFlow has noted about it."""
    copy = deepcopy(node)
    copy.name = name
    del copy.input[:]
    for noted in [noted for noted in copy.attr if noted.startswith("_")]:
        del copy.attr[noted]
    return copy


def _with_output(reference: str) -> str:
    return reference if ":" in reference else f"{reference}:0"


def _clamped(nodes: Mapping[str, Any]) -> dict[str, str]:
    """References to the smaller one of a whole number and of the larger one of it and another: it is that number."""
    import tensorflow as tf

    found = {}
    for name, node in nodes.items():
        if node.op != "Minimum" or not tf.dtypes.as_dtype(node.attr["T"].type).is_integer:
            continue
        first, second = map(_with_output, data_inputs(node))
        for one, other in ((first, second), (second, first)):
            inner = nodes.get(base_of(other))
            if inner is not None and inner.op == "Maximum" and one in map(_with_output, data_inputs(inner)):
                found[f"{name}:0"] = one
    return found


def _padded(rows: Rows, padding: RowPadding, size: Any) -> Any:
    import tensorflow as tf

    shape = padding.shape
    if not isinstance(rows, RaggedRows):
        rows = rows if isinstance(rows, StackedRows) else StackedRows(stacked(rows, size))
        if any(wanted is not None and wanted != own for wanted, own in zip(shape, shape_of(rows), strict=True)):
            raise NoRowsError("it pads rows of one shape")
        return rows.tensor
    inner = zip(shape[1:], rows.flat.shape[1:], strict=False)
    if rank_of(rows) != len(shape) or any(own is None or wanted not in (None, own) for wanted, own in inner):
        raise NoRowsError("it pads rows of different lengths in several dimensions")
    tensor = tf.RaggedTensor.from_row_lengths(rows.flat, rows.lengths, validate=False)
    value = tf.convert_to_tensor(padding.value, rows.flat.dtype)
    if shape[0] is None:
        return tensor.to_tensor(default_value=value)
    longest = tf.reduce_max(rows.lengths)
    fits = tf.debugging.Assert(longest <= shape[0], ["a row is longer than the shape that it is padded to", longest])
    with tf.control_dependencies([fits]):
        return tensor.to_tensor(default_value=value, shape=[None, shape[0], *rows.flat.shape[1:]])
