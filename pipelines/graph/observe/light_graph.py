"""The graph of a dataset without its large tensors.

Where the dataset was observed while it was built, TensorFlow's ops are called once more with marks in place of
large tensors, and nothing is copied. Elsewhere the whole graph is serialised once and its constants are cut out.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypedDict

from pipeprof.pipelines.graph.observe.held import SLICES, Held, LightGraph
from pipeprof.pipelines.graph.observe.in_memory_sources import SourceWatch
from pipeprof.pipelines.graph.observe.reading import LIGHT, serialise, serialised

SHARED_FROM: Final = 1_000_000
"""Bytes of tensors from which a pipeline is read without them; less is copied."""
MOST_COPIED_BYTES: Final = 50_000_000
"""From so many bytes in the graph itself, a pipeline is not made again: they would be copied with it."""
_MOST_VISITED: Final = 100_000
_KINDS: Final = ("tensorflow.python.data.", "tensorflow.python.eager.")
"""Modules of the objects in which a dataset keeps its tensors and functions."""


class Reading(TypedDict, total=False):
    """How a dataset's graph is read.

    Attributes:
        in_memory: Bytes that its sources and captured tensors hold in memory, at most.
        room: Bytes that reading may take; None for any number.
    """

    in_memory: int
    room: int | None
    watch: SourceWatch | None


def light_graph(
    dataset: Any, *, in_memory: int = 0, room: int | None = None, watch: SourceWatch | None = None
) -> LightGraph | str:
    """Return the graph of a dataset without its large tensors, or a text that says why there is none."""
    known: LightGraph | None = getattr(dataset, LIGHT, None)
    if known is not None:
        return known
    constants = sum(constant.nbytes for constant in watch.lines.constants) if watch is not None else 0
    if constants >= MOST_COPIED_BYTES:
        return copied(constants)
    marked = watch.lines.marked(dataset) if watch is not None and in_memory >= SHARED_FROM else None
    if marked is not None:
        variant, held, saved = marked
        # Where nothing was missed, constants of functions are left: the process may hold more than its graph.
        left = max(0, in_memory - saved)
        if watch is not None and watch.note is None:
            left = min(left, constants)
        graph = serialised(variant, in_memory=left, room=room)
        return graph if isinstance(graph, str) else LightGraph(graph, held)
    if in_memory >= MOST_COPIED_BYTES:
        return (
            f"the pipeline holds up to {in_memory / 1e6:,.0f} MB in memory in a way that is not known; from "
            f"{MOST_COPIED_BYTES / 1e6:.0f} MB on it is not made again from its graph, which would copy them"
        )
    whole = serialised(dataset, in_memory=in_memory, room=room)
    if isinstance(whole, str) or whole.ByteSize() < SHARED_FROM:
        return whole if isinstance(whole, str) else LightGraph(whole)
    light = cut(whole, list(tensors_of(dataset)), SHARED_FROM)
    # Serialising the whole graph is what costs: once is enough.
    setattr(dataset, LIGHT, light)
    return light


def copied(constants: int) -> str:
    """Say that so many bytes of constants prevent a pipeline from being made again."""
    return (
        f"{constants / 1e6:,.0f} MB of its arrays are constants of its graph; from {MOST_COPIED_BYTES / 1e6:.0f} MB on "
        "it is not made again from its graph, which would copy them"
    )


def light_again(dataset: Any, held: Held) -> LightGraph | str:
    """Return the graph of a dataset that was made of a part of a light graph."""
    import tensorflow as tf

    graph = serialise(tf.data.experimental.to_variant(dataset))
    return graph if isinstance(graph, str) else LightGraph(graph, held)


def tensors_of(dataset: Any) -> Iterator[Any]:
    """Yield the tensors of numbers that a dataset and those that it reads hold, each once."""
    import tensorflow as tf

    for value in _reached(dataset):
        if isinstance(value, tf.Tensor) and value.dtype.is_numpy_compatible and value.dtype != tf.string:
            yield value


def captured_of(dataset: Any) -> dict[str, list[Any]]:
    """Return the tensors that the functions of a dataset and of those that it reads capture, by the functions' names.

    They are the last arguments of each function, in this order; resources are among them.
    """
    import tensorflow as tf

    functions = (value for value in _reached(dataset) if isinstance(value, tf.types.experimental.ConcreteFunction))
    return {tf.compat.as_str(function.name): list(function.captured_inputs) for function in functions}


def _reached(dataset: Any) -> Iterator[Any]:
    """Yield the tensors and functions that a dataset and those that it reads hold, each once."""
    import tensorflow as tf

    seen: set[int] = set()
    todo: list[Any] = [dataset]
    while todo and len(seen) < _MOST_VISITED:
        value = todo.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, tf.Tensor):
            if not tf.is_symbolic_tensor(value):
                yield value
        elif isinstance(value, tf.types.experimental.ConcreteFunction):
            yield value
            todo.extend(value.captured_inputs)
        elif isinstance(value, dict | list | tuple) or type(value).__module__.startswith(_KINDS):
            todo.extend(inner for inner in gc.get_referents(value) if not isinstance(inner, type))


def cut(graph: Any, tensors: Sequence[Any], shared_from: int) -> LightGraph:
    """Return a graph without the large constants of its sources and captured by its functions.

    Args:
        tensors: What the dataset holds: a constant with the same contents is one of them.
    """
    import tensorflow as tf

    held = Held()
    nodes = {node.name: node for node in graph.node}
    large = (node for node in graph.node if node.op == "Const" and node.attr["value"].ByteSize() >= shared_from)
    constants = {node.name for node in large if _has_values(node)}
    for node in graph.node:
        inputs = [reference.partition(":")[0] for reference in node.input]
        if node.op == SLICES and constants.intersection(inputs) and all(_has_values(nodes[name]) for name in inputs):
            components = [_tensor(nodes[name], tensors) for name in inputs]
            node.attr["metadata"].s = held.slices(components, bytes(node.attr["metadata"].s))
            for name, tensor in zip(inputs, components, strict=True):
                _put(nodes[name], tf.zeros([1, *tensor.shape[1:]], tensor.dtype))
        elif any(value.func.name or value.list.func for value in node.attr.values()):
            for name in constants.intersection(inputs):
                _put(nodes[name], held.stand_in(_tensor(nodes[name], tensors)))
                constants.discard(name)
    # What was cut out is freed only with the message that had it.
    small = type(graph)()
    small.ParseFromString(graph.SerializeToString())
    return LightGraph(small, held)


def _has_values(node: Any) -> bool:
    """Whether a node is a constant of numbers or texts: the rows of a ragged tensor are in another form."""
    import tensorflow as tf

    return node.op == "Const" and node.attr["dtype"].type not in {
        tf.variant.as_datatype_enum,
        tf.resource.as_datatype_enum,
    }


def _put(node: Any, tensor: Any) -> None:
    import tensorflow as tf

    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(tensor))


def _tensor(node: Any, tensors: Sequence[Any]) -> Any:
    """Return the tensor that a constant is: one of those given, or a new one."""
    import numpy as np
    import tensorflow as tf

    with tf.device("CPU:0"):
        # Of texts, `tf.make_ndarray` reads none that TensorFlow itself has written.
        made = tf.io.parse_tensor(node.attr["value"].tensor.SerializeToString(), node.attr["dtype"].type)
    contents = _bits(made.numpy())
    for tensor in tensors:
        alike = tensor.dtype == made.dtype and tensor.shape == made.shape
        if alike and np.array_equal(_bits(tensor.numpy()), contents):
            return tensor
    return made


def _bits(array: Any) -> Any:
    """The bytes of an array, texts as they are: numbers that are none are equal too."""
    import numpy as np

    flat = np.ascontiguousarray(array).reshape(-1)
    return flat if flat.dtype.hasobject else flat.view(np.uint8)
