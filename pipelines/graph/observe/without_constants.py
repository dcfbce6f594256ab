"""A traced function without the contents of its large constants (worker only: needs TensorFlow).

Reading the graph of a pipeline copies the constants of its functions many times. What a stage is does not depend on
what is in them: the function is made once more from its own graph, in which they have their type and shape only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

_LEAVE_OUT_FROM: Final = 10_000
"""Bytes: smaller constants may be arguments of ops, an axis or a shape."""


def without_constants(function: Any) -> Any:
    """Copy a function without the contents of its large constants; ops, names and arguments stay.

    Args:
        function: A ``ConcreteFunction``; its captured tensors are arguments of what is returned.
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
        found = tf.graph_util.import_graph_def(
            slim,
            input_map={name: one for name, one in mapped.items() if name in read},
            return_elements=inside,
            name="",
        )
        made = dict(zip(inside, found, strict=True)) | mapped
        return [made[name] for name in outputs]

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
        for field, _ in tensor.ListFields():
            if field.name not in ("dtype", "tensor_shape", "version_number", "string_val"):
                tensor.ClearField(field.name)


def _whole(reference: str) -> str:
    """Return the name of a tensor as TensorFlow's Python writes it, from a reference in a graph."""
    return reference if ":" in reference or reference.startswith("^") else f"{reference}:0"
