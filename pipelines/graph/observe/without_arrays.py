"""Large arrays of a pipeline: a copy without them, to read its graph, and those that become constants of a graph.

What the stages are does not depend on what is in the arrays: TensorFlow's ops are called once more with what they were
given when the pipeline was made, but for the large arrays. Calls of tf.data would not do: they trace functions again,
with their arrays. Of an array that becomes a constant, size and line are noted when it happens: afterwards the graph
has it only as bytes, which take many times their size to read. Arrays are neither called, copied nor kept (worker only:
needs TensorFlow).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.graph.observe.created import (
    CreatedDataset,
    Spot,
    Variant,
    Weak,
    captured,
    datasets_of,
    held_in_memory,
    nbytes,
)
from pipeprof.pipelines.graph.read.records import ConstantDict

_LEAVE_OUT_FROM: Final = 10_000
"""Bytes of a function's constant: smaller ones may be arguments of ops, an axis or a shape."""
_DUMMIES: Final = {"cache": "DummyMemoryCache", "seed_generator": "DummySeedGenerator"}
"""Op types whose resource handles TensorFlow creates for one op call and frees after it."""


class _NotAgainError(Exception):
    """The dataset cannot be created again."""


Slim = Callable[[Any], "tuple[Any, int] | None"]
"""A function without its constants, and the bytes less; None where it has none that are large."""


@dataclass
class SmallCopy:
    """Copy of a pipeline over small sources, by the original datasets."""

    variants: dict[CreatedDataset, Any] = field(default_factory=dict)
    left_out: dict[CreatedDataset, tuple[int | None, int]] = field(default_factory=dict)
    """For each dataset that holds less: the number of elements of a source, and the bytes of all."""
    constants: int = 0

    @property
    def saved(self) -> int:
        """Bytes left out in all."""
        return self.constants + sum(size for _, size in self.left_out.values())


def copy_without_arrays(end: CreatedDataset, slim: Slim) -> SmallCopy | None:
    """Copy the pipeline that ends with a dataset; None where that is impossible or saves nothing."""
    import tensorflow as tf

    copy = SmallCopy()
    try:
        for dataset in datasets_of(end):
            copy.variants[dataset] = _recreate(dataset, copy, slim)
    except (_NotAgainError, tf.errors.OpError, TypeError, ValueError):
        return None
    return copy if copy.saved else None


def _recreate(made: CreatedDataset, copy: SmallCopy, slim: Slim) -> Any:
    import tensorflow as tf

    if made.arguments is None:
        raise _NotAgainError
    arguments = dict(made.arguments)
    if made.op == "TensorSliceDataset" and any(isinstance(one, Weak) for one in arguments["components"]):
        held, length = held_in_memory(made)
        if held is None:
            raise _NotAgainError
        copy.left_out[made] = length, held
        specs = [one.spec if isinstance(one, Weak) else one for one in arguments["components"]]
        arguments["components"] = [tf.zeros([1, *spec.shape[1:]], spec.dtype) for spec in specs]
    if large := captured(made):
        copy.left_out[made] = None, sum(nbytes(one.spec) for one in large)
    for name, op in _DUMMIES.items():
        if isinstance(arguments.get(name), Weak) and arguments[name].get() is None:
            arguments[name] = getattr(tf.raw_ops, op)()
    reads = iter(made.reads)
    values = {name: _value(value, reads, copy, large) for name, value in arguments.items()}
    for name, value in values.items():
        if isinstance(value, tf.types.experimental.ConcreteFunction) and (slimmed := slim(value)) is not None:
            values[name], less = slimmed
            copy.constants += less
    return getattr(tf.raw_ops, made.op)(**values)


def _value(value: Any, reads: Iterator[CreatedDataset | None], copy: SmallCopy, large: Sequence[Weak]) -> Any:
    import tensorflow as tf

    if value is Variant:
        input_ = next(reads)
        if input_ is None:
            raise _NotAgainError
        return copy.variants[input_]
    if isinstance(value, list):
        return [_value(item, reads, copy, large) for item in value]
    if not isinstance(value, Weak):
        return value
    if value in large:
        return tf.zeros([1] * (value.spec.shape.rank or 0), value.spec.dtype)
    if (held := value.get()) is None:
        raise _NotAgainError
    return held


def without_constants(function: Any) -> Any:
    """Copy a ``ConcreteFunction`` without the contents of its large constants; captured tensors become arguments."""
    import tensorflow as tf

    graph = function.graph.as_graph_def()
    for nodes in (graph.node, *(inner.node_def for inner in graph.library.function)):
        _empty(nodes)
    given = {tensor.name: f"given_{number}" for number, tensor in enumerate(function.inputs)}
    names = {_whole(name) for name in given}
    kept = [node for node in graph.node if f"{node.name}:0" not in names]
    read = {_whole(reference) for node in kept for reference in node.input}
    slim = tf.compat.v1.GraphDef(versions=graph.versions, library=graph.library, node=kept)
    outputs = [tensor.name for tensor in function.outputs]

    def body(*arguments: Any) -> list[Any]:
        mapped = dict(zip(given, arguments, strict=True))
        inside = [name for name in outputs if name not in mapped]
        used = {name: tensor for name, tensor in mapped.items() if name in read}
        results = tf.graph_util.import_graph_def(slim, input_map=used, return_elements=inside, name="")
        tensors = dict(zip(inside, results, strict=True)) | mapped
        return [tensors[name] for name in outputs]

    specs = [
        tf.TensorSpec(input_.shape, input_.dtype, name=f"pipeprof_{given[input_.name]}") for input_ in function.inputs
    ]
    return tf.function(body, input_signature=specs, autograph=False).get_concrete_function()


def _empty(nodes: Iterable[Any]) -> None:
    """Clear large constants: TensorFlow reads a tensor without values as zeros."""
    for node in nodes:
        if node.op != "Const" or node.attr["value"].tensor.ByteSize() < _LEAVE_OUT_FROM:
            continue
        tensor = node.attr["value"].tensor
        for kind, _ in tensor.ListFields():
            if kind.name not in ("dtype", "tensor_shape", "version_number", "string_val"):
                tensor.ClearField(kind.name)


def _whole(reference: str) -> str:
    return reference if ":" in reference or reference.startswith("^") else f"{reference}:0"


NOTED_FROM: Final = 100_000
"""Bytes; every function has smaller ones."""
_LISTED_FROM: Final = 1_000


@dataclass(frozen=True)
class ObservedConstant:
    """An array that became a constant."""

    nbytes: int
    """Its size as a tensor; of texts their lengths."""
    dtype: str
    shape: tuple[int, ...]
    graphs: tuple[int, ...]
    """Numbers of the graph that has it and of those around that one, innermost first."""
    spot: Spot | None = None

    def to_dict(self, node: str | None) -> ConstantDict:
        """Return plain data for JSON."""
        return {
            "bytes": self.nbytes,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "file": self.spot.file if self.spot is not None else None,
            "line": self.spot.line if self.spot is not None else None,
            "node": node,
        }


def constant_size(operation: Any) -> int | None:
    """Return the bytes of the tensor that an op of a graph holds as a constant; None for other ops."""
    if operation.type != "Const":
        return None
    tensor = operation.outputs[0]
    count = tensor.shape.num_elements() or 0
    if tensor.dtype.name != "string":
        return count * int(tensor.dtype.size)
    # Texts have no fixed size: where there are many, the op itself is read.
    return sum(map(len, operation.node_def.attr["value"].tensor.string_val)) if count >= _LISTED_FROM else 0
