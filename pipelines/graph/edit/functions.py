"""Functions of a graph's library: inlined, as Python functions of tensors, and traced again for other inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement
from pipeprof.pipelines.graph.read.function_facts import CALLS, ELEMENTWISE, PYTHON, is_random, uses_variable
from pipeprof.pipelines.graph.read.references import base_of, data_inputs

EffectKind: TypeAlias = Literal["python", "random", "state"]
TensorFunction = Callable[[Sequence[Any]], "list[Any]"]
_GUARDS: Final = frozenset({"If", "StatelessIf"})
_BRANCHES: Final = ("then_branch", "else_branch")
_DIVISIONS: Final = frozenset({"Div", "FloorDiv", "FloorMod", "Mod", "TruncateDiv", "TruncateMod"})
_FAILING: Final = _DIVISIONS | {"LeftShift", "Pow", "RightShift", "StringToNumber"}
"""Of the ops that treat each value alone, those that fail for some values."""
_OTHERS: Final = (
    "All Any Const ExpandDims Identity Max Mean Min Pack Prod Rank Shape Size Squeeze StaticRegexFullMatch Sum"
)
_TOTAL: Final = (ELEMENTWISE - _FAILING) | frozenset(_OTHERS.split())
"""Ops that give a result for all values of tensors whose shapes are known."""
_SILENT: Final = frozenset({"Assert", "Const", "Identity", "NoOp"})
"""Ops of a guarded assertion's branches."""


def imported(graph: EditableGraph, function: Any) -> TensorFunction:
    """Return a function of a graph's library as a function of tensors, with its ops in place.

    A call of the library's function itself would be one op, in which neither shapes are known nor pfor finds anything;
    so would be calls in it.
    Ops that must run in addition to the results run before them.
    """
    import tensorflow as tf

    function = inlined(graph, function)
    body = plain_graph(graph, function)
    arguments = [argument.name for argument in function.signature.input_arg]
    read = {base_of(reference) for node in body.node for reference in node.input}
    outputs = outputs_of(function)
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
        function: The function's definition: the components of an element, then captured tensors.
        change: Makes another function of it; both take an element's components and the captured tensors.
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


def plain_graph(graph: EditableGraph, function: Any) -> Any:
    """Return a function's body as a graph; its arguments are references to nodes that it does not have."""
    import tensorflow as tf

    body = tf.compat.v1.GraphDef()
    body.versions.producer = graph.producer
    body.library.function.extend(graph.functions[name] for name in graph.used_functions(function.node_def))
    outputs = outputs_of(function)
    for own in function.node_def:
        node = body.node.add()
        node.CopyFrom(own)
        node.input[:] = [outputs(reference) for reference in own.input]
        if "_class" in node.attr:
            del node.attr["_class"]
    return body


def outputs_of(function: Any) -> Callable[[str], str]:
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
            start += width(node, argument)
        return f"{name}:{start + int(index)}"

    return translate


def width(node: Any, argument: Any) -> int:
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


class Callee(NamedTuple):
    """The function that a node calls."""

    body: Any
    start: int


def inlined(graph: EditableGraph, function: Any, *, assertions: bool = False) -> Any:
    """Copy a function with the bodies of the functions that it calls, however deep.

    Args:
        assertions: Also those of assertions that TensorFlow calls only where the condition is false.
    """
    copy = deepcopy(function)
    while True:
        found = ((node, callee) for node in copy.node_def if (callee := _callee(graph, node, assertions)) is not None)
        call = next(found, None)
        if call is None:
            return copy
        replace_call(copy, *call)


def without_branches(graph: EditableGraph, function: Any) -> Any:
    """Copy a function with everything that it calls, and with a choice between two results in place of each branch.

    Both branches run then. Those with an op that may fail, draw or write stay branches.
    """
    copy = inlined(graph, function, assertions=True)
    while True:
        branch = next((node for node in copy.node_def if _is_choice(graph, node)), None)
        if branch is None:
            return copy
        _choose(copy, branch)
        copy = inlined(graph, copy, assertions=True)


def _is_choice(graph: EditableGraph, node: Any) -> bool:
    """Whether the branches of a node can both run: their results have one shape, and no op in them can fail."""
    import tensorflow as tf

    if node.op not in _GUARDS or node.attr["Tcond"].type != tf.bool.as_datatype_enum:
        return False
    named = [graph.functions.get(node.attr[name].func.name) for name in _BRANCHES]
    bodies = [inlined(graph, body) for body in named if body is not None]
    shapes = [tf.TensorShape(shape) for shape in node.attr["output_shapes"].list.shape]
    kinds = {tf.dtypes.as_dtype(kind) for kind in node.attr["Tout"].list.type}
    return (
        len(bodies) == len(_BRANCHES)
        and kinds.isdisjoint({tf.variant, tf.resource})
        and all(map(_has_known_shapes, bodies))
        and all(shape.is_fully_defined() for shape in shapes)
        and all(_never_fails(body, own) or _is_choice(graph, own) for body in bodies for own in body.node_def)
    )


def _never_fails(function: Any, node: Any) -> bool:
    """Whether an op of a function gives a result for all that it may be given, and does nothing else."""
    import tensorflow as tf

    if node.op in _DIVISIONS:
        by = {own.name: own for own in function.node_def}.get(base_of(data_inputs(node)[1]))
        floats = tf.dtypes.as_dtype(node.attr["T"].type).is_floating
        return floats or (by is not None and by.op == "Const" and bool(tf.make_ndarray(by.attr["value"].tensor).all()))
    constants = {own.name for own in function.node_def if own.op == "Const"}
    at = [base_of(reference) in constants for reference in data_inputs(node)[1:]]
    return node.op in _TOTAL or (node.op == "StridedSlice" and all(at))


def _has_known_shapes(function: Any) -> bool:
    """Whether the shapes of all arguments of a function are known, so that those of what it makes of them are."""
    import tensorflow as tf

    arguments = range(len(function.signature.input_arg))
    shapes = [shape for index in arguments for shape in function.arg_attr[index].attr["_output_shapes"].list.shape]
    return len(shapes) == len(arguments) and all(tf.TensorShape(shape).is_fully_defined() for shape in shapes)


def _choose(function: Any, branch: Any) -> None:
    """Put two calls and a choice between their results in place of a branch."""
    condition, *given = data_inputs(branch)
    controls = [reference for reference in branch.input if reference.startswith("^")]
    kinds = [*branch.attr["Tout"].list.type]
    calls = [f"{branch.name}/{name}" for name in _BRANCHES]
    added = []
    for name, attribute in zip(calls, _BRANCHES, strict=True):
        call = type(branch)(name=name, op="PartitionedCall", input=[*given, *controls])
        call.attr["f"].CopyFrom(branch.attr[attribute])
        call.attr["Tin"].CopyFrom(branch.attr["Tin"])
        call.attr["Tout"].CopyFrom(branch.attr["Tout"])
        added.append(call)
    for place, kind in enumerate(kinds):
        inputs = [condition, *(f"{name}:output:{place}" for name in calls)]
        chosen = type(branch)(name=f"{branch.name}/chosen_{place}", op="SelectV2", input=inputs)
        chosen.attr["T"].type = kind
        added.append(chosen)

    def outside(reference: str) -> list[str]:
        if base_of(reference) != branch.name:
            return [reference]
        if reference.startswith("^"):
            return [f"^{name}" for name in calls]
        return [f"{branch.name}/chosen_{reference.rpartition(':')[2]}:output:0"]

    kept = [node for node in function.node_def if node.name != branch.name]
    for node in kept:
        node.input[:] = [found for reference in node.input for found in outside(reference)]
    for key in [key for key, name in function.control_ret.items() if name == branch.name]:
        del function.control_ret[key]
    for key, reference in [*function.ret.items()]:
        function.ret[key] = outside(reference)[0]
    del function.node_def[:]
    function.node_def.extend([*kept, *added])


def _callee(graph: EditableGraph, node: Any, assertions: bool) -> Callee | None:
    if node.op in CALLS and node.attr["f"].func.name in graph.functions:
        return Callee(graph.functions[node.attr["f"].func.name], 0)
    if node.op in _GUARDS and assertions:
        branches = [graph.functions.get(node.attr[name].func.name) for name in ("then_branch", "else_branch")]
        ops = [{inner.op for inner in branch.node_def} if branch is not None else {""} for branch in branches]
        # An assertion of a condition that is true does nothing.
        if ops[0] <= _SILENT - {"Assert"} and ops[1] <= _SILENT:
            return Callee(branches[1], 1)
    return None


def replace_call(function: Any, call: Any, callee: Callee) -> list[str]:
    """Put the body of a called function in place of the call; return the references to its results."""
    body, start = callee
    name = call.name
    given = dict(zip((one.name for one in body.signature.input_arg), data_inputs(call)[start:], strict=True))
    before = [reference for reference in call.input if reference.startswith("^")]

    def inside(reference: str) -> str:
        base = base_of(reference)
        if base in given:
            return f"^{base_of(given[base])}" if reference.startswith("^") else given[base]
        control, plain = reference[: reference.startswith("^")], reference.lstrip("^")
        return f"{control}{name}/{plain}"

    returned = [inside(body.ret[one.name]) for one in body.signature.output_arg]
    last = [f"{name}/{node}" for node in dict.fromkeys(body.control_ret.values())]
    after = [f"^{node}" for node in dict.fromkeys([*last, *map(base_of, returned)])]
    added = []
    for own in body.node_def:
        node = deepcopy(own)
        node.name = f"{name}/{own.name}"
        node.input[:] = [*map(inside, own.input), *before]
        added.append(node)

    def outside(reference: str) -> list[str]:
        if base_of(reference) != name:
            return [reference]
        return after if reference.startswith("^") else [returned[int(reference.rpartition(":")[2])]]

    kept = [node for node in function.node_def if node.name != name]
    for node in kept:
        node.input[:] = [found for reference in node.input for found in outside(reference)]
    results = {key: outside(reference)[0] for key, reference in function.ret.items()}
    controls = {key: node for key, node in function.control_ret.items() if node != name}
    controls |= {node: node for node in last} if len(controls) < len(function.control_ret) else {}
    del function.node_def[:]
    function.node_def.extend([*kept, *added])
    for key, reference in results.items():
        function.ret[key] = reference
    function.control_ret.clear()
    for key, node in controls.items():
        function.control_ret[key] = node
    return returned


def ops_with_effects(graph: EditableGraph, function: Any) -> Iterator[tuple[str, EffectKind]]:
    """Yield the ops of a function, and of those that it calls, whose result does not depend on their inputs alone.

    A variable is an input: those that a function changes hold the state of random numbers (`hand_through`).
    """
    nodes = [*function.node_def]
    for name in graph.used_functions(function.node_def):
        nodes.extend(graph.functions[name].node_def)
    ops = list(dict.fromkeys(node.op for node in nodes))
    definitions = op_definitions(set(ops))
    variables = [op for op in ops if uses_variable(op)]
    for op in ops:
        if op in PYTHON:
            yield op, "python"
        elif is_random([op, *variables]):
            yield op, "random"
        elif op not in variables and op in definitions and definitions[op].is_stateful:
            yield op, "state"
