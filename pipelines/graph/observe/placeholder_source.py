"""Copy of a pipeline without its large arrays, to read its graph where these are too large.

What its stages are does not depend on what is in the arrays: TensorFlow's ops are called once more with what they were
given when the pipeline was made, but for the large arrays (worker only: needs TensorFlow).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.graph.observe.provenance import CreatedDataset, Large, Resource, Variant
from pipeprof.pipelines.graph.read.references import inputs_first

_CAPTURES: Final = ("other_arguments", "other_args")
"""Ends of the names of the arguments that are tensors which a function captures."""
_LEAVE_OUT_FROM: Final = 10_000
"""Bytes of a function's constant: smaller ones may be arguments of ops, an axis or a shape."""
_DUMMIES: Final = {"cache": "DummyMemoryCache", "seed_generator": "DummySeedGenerator"}
"""Op types whose resource handles TensorFlow creates for one op call and frees after it."""


class _NotAgainError(Exception):
    """The dataset cannot be created again."""


Slim = Callable[[Any], "tuple[Any, int] | None"]
"""A function without its constants, and the bytes less; None where it has none that are large."""


@dataclass
class StandIn:
    """Copy of a pipeline over small sources.

    Attributes:
        again: Variant tensors of all its datasets, by the original datasets.
        left_out: For each dataset that holds less: the number of elements of a source, and the bytes of all.
    """

    variant: Any = None
    again: dict[CreatedDataset, Any] = field(default_factory=dict)
    left_out: dict[CreatedDataset, tuple[int | None, int]] = field(default_factory=dict)
    constants: int = 0

    @property
    def saved(self) -> int:
        """Bytes left out in all."""
        return self.constants + sum(nbytes for _, nbytes in self.left_out.values())


def stand_in(made: CreatedDataset, slim: Slim) -> StandIn | None:
    """Copy the pipeline that ends with ``made``; None where that is impossible or saves nothing."""
    import tensorflow as tf

    copy = StandIn()
    try:
        for dataset in datasets_of(made):
            copy.again[dataset] = _recreate(dataset, copy, slim)
    except (_NotAgainError, tf.errors.OpError, TypeError, ValueError):
        return None
    copy.variant = copy.again[made]
    return copy if copy.saved else None


def held_by(made: CreatedDataset) -> int:
    """Return the bytes of the large tensors that the functions of a pipeline capture."""
    return sum(large.nbytes for dataset in datasets_of(made) for large in _captured(dataset))


def _captured(made: CreatedDataset) -> list[Large]:
    values = (value for name, value in (made.arguments or {}).items() if name.endswith(_CAPTURES))
    return [item for value in values if isinstance(value, list) for item in value if _holds(item)]


def datasets_of(end: CreatedDataset) -> Iterator[CreatedDataset]:
    """Yield all datasets of a pipeline, each once, inputs first."""
    return inputs_first([end], lambda made: [below for below in made.reads if below is not None])


def _recreate(made: CreatedDataset, copy: StandIn, slim: Slim) -> Any:
    import tensorflow as tf

    if made.arguments is None:
        raise _NotAgainError
    reads = iter(made.reads)
    arguments = dict(made.arguments)
    if made.op == "TensorSliceDataset" and any(isinstance(component, Large) for component in arguments["components"]):
        components = arguments["components"]
        arguments["components"], copy.left_out[made] = _one_element(components)
    if captured := _captured(made):
        copy.left_out[made] = None, sum(large.nbytes for large in captured)
        for name, value in arguments.items():
            if name.endswith(_CAPTURES) and isinstance(value, list):
                arguments[name] = [_captured_value(item) if _holds(item) else item for item in value]
    for name, op in _DUMMIES.items():
        if isinstance(arguments.get(name), Resource) and arguments[name].tensor() is None:
            arguments[name] = getattr(tf.raw_ops, op)()
    values = {name: _value(value, reads, copy.again) for name, value in arguments.items()}
    for name, value in values.items():
        if not isinstance(value, tf.types.experimental.ConcreteFunction):
            continue
        if (slimmed := slim(value)) is not None:
            values[name], nbytes = slimmed
            copy.constants += nbytes
    return getattr(tf.raw_ops, made.op)(**values)


def _holds(value: Any) -> bool:
    return isinstance(value, Large) and value.nbytes > 0


def _captured_value(large: Large) -> Any:
    import tensorflow as tf

    return tf.zeros([1] * (large.spec.shape.rank or 0), large.spec.dtype)


def _value(value: Any, reads: Iterator[CreatedDataset | None], again: dict[CreatedDataset, Any]) -> Any:
    if value is Variant:
        input_ = next(reads)
        if input_ is None:
            raise _NotAgainError
        return again[input_]
    if isinstance(value, list):
        return [_value(item, reads, again) for item in value]
    if isinstance(value, (Large, Resource, weakref.ref)):
        held = value() if isinstance(value, weakref.ref) else value.tensor()
        if held is None:
            raise _NotAgainError
        return held
    return value


def _one_element(components: list[Any]) -> tuple[list[Any], tuple[int, int]]:
    """Return the components cut to one element, with the number of elements and the bytes of all."""
    import tensorflow as tf

    if any(component is Variant for component in components):
        raise _NotAgainError
    specs = [
        component.spec if isinstance(component, Large) else tf.TensorSpec.from_tensor(component)
        for component in components
    ]
    nbytes = sum(component.nbytes for component in components if isinstance(component, Large))
    return [tf.zeros([1, *spec.shape[1:]], spec.dtype) for spec in specs], (int(specs[0].shape[0]), nbytes)


def without_constants(function: Any) -> Any:
    """Copy a function without the contents of its large constants; ops, names and arguments stay.

    Args:
        function: A ``ConcreteFunction``; its captured tensors are arguments of the copy.
    """
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
    """Return the name of a tensor as TensorFlow's Python writes it, from a reference in a graph."""
    return reference if ":" in reference or reference.startswith("^") else f"{reference}:0"
