"""Functions of a graph's library as Python functions of tensors, and traced again for other inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement, base_of
from pipeprof.pipelines.graph.edit.inline import inlined

TensorFunction = Callable[[Sequence[Any]], "list[Any]"]


def imported(graph: EditableGraph, function: Any) -> TensorFunction:
    """Return a function of a graph's library as a function of tensors, with its ops in place.

    A call of the library's function itself would be one op, in which neither shapes are known nor pfor finds anything;
    so would be calls in it.
    Ops that must run in addition to the results run before them.

    Args:
        graph: The graph whose library has the functions that it calls.
        function: The function's definition.
    """
    import tensorflow as tf

    function = inlined(graph, function)
    body = _plain_graph(graph, function)
    arguments = [argument.name for argument in function.signature.input_arg]
    read = {base_of(reference) for node in body.node for reference in node.input}
    outputs = _outputs_of(function)
    references = [outputs(function.ret[result.name]) for result in function.signature.output_arg]
    extra = [name for name in function.control_ret.values() if base_of(name) not in arguments]

    def call(inputs: Sequence[Any]) -> list[Any]:
        given = dict(zip(arguments, inputs, strict=True))
        inside = [reference for reference in references if base_of(reference) not in given]
        made = tf.graph_util.import_graph_def(
            body,
            input_map={f"{name}:0": tensor for name, tensor in given.items() if name in read},
            return_elements=[*inside, *extra],
            name="",
        )
        found = dict(zip(inside, made, strict=False))
        with tf.control_dependencies(made[len(inside) :]):
            return [
                given[base_of(reference)] if base_of(reference) in given else tf.identity(found[reference])
                for reference in references
            ]

    return call


def retrace(
    graph: EditableGraph,
    function: Any,
    element: FlatElement,
    change: Callable[[TensorFunction], TensorFunction] | None = None,
) -> tuple[str, list[Any]]:
    """Trace a function again for other elements and add it to the graph.

    Args:
        graph: The graph.
        function: The function's definition: the components of an element, then captured tensors.
        element: The elements that it is called on.
        change: Makes another function of it; both take an element's components and the captured tensors.

    Returns:
        The new name, and the specs of its results.
    """
    call = imported(graph, function)
    call = change(call) if change is not None else call
    specs = [*component_specs(element), *captured_specs(function, len(element.types))]

    def traced(*inputs: Any) -> list[Any]:
        return call(inputs)

    return add_traced(graph, traced, specs)


def add_traced(graph: EditableGraph, function: Callable[..., list[Any]], specs: list[Any]) -> tuple[str, list[Any]]:
    """Trace a Python function and add it to a graph; return its name and the specs of its results."""
    import tensorflow as tf

    made = tf.function(function, input_signature=specs, autograph=False).get_concrete_function()
    outer = tf.function(made, input_signature=specs, autograph=False).get_concrete_function()
    graph_def = outer.graph.as_graph_def()
    called = next(
        function_.name
        for node in graph_def.node
        for function_ in (value.func for value in node.attr.values())
        if function_.name
    )
    renamed = graph.add_functions(graph_def.library.function)
    return renamed.get(called, called), [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in made.outputs]


def set_shapes(node: Any, shapes: list[Any]) -> None:
    """Set the static shapes of a dataset's elements."""
    listed = node.attr["output_shapes"].list
    del listed.shape[:]
    for shape in shapes:
        listed.shape.add().CopyFrom(shape.as_proto())


def component_specs(element: FlatElement) -> list[Any]:
    """Return the specs of an element's components."""
    import tensorflow as tf

    return [
        tf.TensorSpec(shape, tf.dtypes.as_dtype(kind))
        for kind, shape in zip(element.types, element.shapes, strict=True)
    ]


def captured_specs(function: Any, start: int) -> list[Any]:
    """Return the specs of a function's arguments from an index on."""
    import tensorflow as tf

    specs = []
    for index, argument in list(enumerate(function.signature.input_arg))[start:]:
        shapes = function.arg_attr[index].attr["_output_shapes"].list.shape if index in function.arg_attr else ()
        dtype = tf.dtypes.as_dtype(argument.type)
        shape = tf.TensorShape(shapes[0]) if shapes else tf.TensorShape([] if dtype == tf.resource else None)
        specs.append(tf.TensorSpec(shape, dtype))
    return specs


def _plain_graph(graph: EditableGraph, function: Any) -> Any:
    """Return a function's body as a graph; its arguments are references to nodes that it does not have."""
    import tensorflow as tf

    body = tf.compat.v1.GraphDef()
    body.versions.producer = graph.producer
    body.library.function.extend(graph.functions[name] for name in graph.used_functions(function.node_def))
    outputs = _outputs_of(function)
    for own in function.node_def:
        node = body.node.add()
        node.CopyFrom(own)
        node.input[:] = [outputs(reference) for reference in own.input]
        if "_class" in node.attr:
            del node.attr["_class"]
    return body


def _outputs_of(function: Any) -> Callable[[str], str]:
    """Return the translation of a function's references, ``node:output:index``, to those of a graph, ``node:index``."""
    definitions = op_definitions({node.op for node in function.node_def})
    nodes = {node.name: node for node in function.node_def}

    def translate(reference: str) -> str:
        parts = reference.split(":")
        if reference.startswith("^") or len(parts) != 3:
            return reference if reference.startswith("^") else f"{reference}:0"
        name, output, index = parts
        node, start = nodes[name], 0
        definition = definitions.get(node.op)
        for argument in definition.output_arg if definition is not None else ():
            if argument.name == output:
                break
            start += _width(node, argument)
        return f"{name}:{start + int(index)}"

    return translate


def _width(node: Any, argument: Any) -> int:
    """Return how many tensors an output is."""
    if argument.number_attr:
        return int(node.attr[argument.number_attr].i)
    if argument.type_list_attr:
        return len(node.attr[argument.type_list_attr].list.type)
    return 1


def op_definitions(ops: set[str]) -> dict[str, Any]:
    """Return TensorFlow's definitions of op types."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    for op in sorted(ops):
        graph.node.add(name=op, op=op)
    with tf.Graph().as_default():
        exported = tf.compat.v1.train.export_meta_graph(graph_def=graph)
    return {definition.name: definition for definition in exported.meta_info_def.stripped_op_list.op}
