"""Python in the function of a map, whose body is calls of TensorFlow, as a graph.

TensorFlow keeps the functions of ``py_function`` and ``numpy_function`` in a registry, by a name that the graph has.
They are traced as `tf.function` would, those of ``numpy_function`` with ``tf.experimental.numpy`` in place of
NumPy. What needs the values of tensors is refused by TensorFlow; what gives another graph when it is traced again,
because it draws random numbers in Python or counts its calls, is refused here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from types import CellType, FunctionType
from typing import Any

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement
from pipeprof.pipelines.graph.edit.errors import CannotEditError, first_line
from pipeprof.pipelines.graph.edit.functions import (
    add_traced,
    captured_specs,
    component_specs,
    imported,
    inlined,
    ops_with_effects,
)
from pipeprof.pipelines.graph.edit.scopes import captured_count, function_of, set_function
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.graph.read.references import data_inputs
from pipeprof.pipelines.graph.stages import WrittenStage


def as_graph(graph: EditableGraph, stage: WrittenStage, node: Any, element: FlatElement, *, random: bool) -> None:
    """Put the ops of its Python functions into the function of a map.

    Args:
        random: It may draw random numbers with TensorFlow, others than before.

    Raises:
        CannotEditError: A function is not kept by TensorFlow, or does more than call TensorFlow.
    """
    import tensorflow as tf

    function = inlined(graph, function_of(graph, node))
    calls = [one for one in function.node_def if one.op in PYTHON]
    if not calls:
        raise CannotEditError("its function calls no Python", stage.address)
    count = len(function.signature.input_arg) - captured_count(node)
    specs = component_specs(element) + captured_specs(function, count)
    for call in calls:
        live = _live_function(call)
        if live is None:
            raise CannotEditError("TensorFlow does not keep its Python function where it can be read", stage.address)
        given = _specs_of_inputs(graph, function, call, specs)
        if call.op != "EagerPyFunc":
            live = _on_tensors(live)
        name = _traced(graph, stage, call, live, given)
        for op, kind in ops_with_effects(graph, graph.functions[name]):
            if kind == "python" or (kind == "random" and not random) or op in ("WriteFile", "PrintV2"):
                msg = f"{live.__name__}() as a graph has {op}: it would not do the same"
                raise CannotEditError(msg, stage.address)
        types = [*call.attr["Tin"].list.type], [*call.attr["Tout"].list.type]
        call.op = "StatefulPartitionedCall"
        call.attr.clear()
        call.attr["f"].func.name = name
        call.attr["Tin"].list.type[:], call.attr["Tout"].list.type[:] = types
    try:
        made = imported(graph, function)
        name, results = add_traced(graph, lambda *inputs: made(inputs), specs)
    except (tf.errors.OpError, ValueError, TypeError) as error:
        raise CannotEditError(f"its function does not fit as a graph: {first_line(error)}", stage.address) from error
    shapes = [tf.TensorShape(shape) for shape in node.attr["output_shapes"].list.shape]
    if not all(one.shape.is_compatible_with(shape) for one, shape in zip(results, shapes, strict=True)):
        raise CannotEditError("as a graph its function gives other shapes", stage.address)
    set_function(node, name)


def _live_function(call: Any) -> Callable[..., Any] | None:
    """The user's function that a node calls, as TensorFlow keeps it; None where this version does otherwise."""
    scripts = sys.modules.get("tensorflow.python.ops.script_ops")
    kind = getattr(scripts, "FuncRegistry", None)
    registry = next((one for one in vars(scripts).values() if kind and isinstance(one, kind)), None) if kind else None
    found = registry.get(call.attr["token"].s.decode(), None) if registry is not None else None
    if call.op == "EagerPyFunc":
        # It is called with devices and gradients by an object, whose one function is the user's.
        found = next((one for one in vars(found).values() if callable(one)), None) if found is not None else None
    return getattr(found, "__wrapped__", found)


def _on_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of arrays with `tf.experimental.numpy` in place of `numpy`; itself where it does not use that."""
    import numpy as np
    import tensorflow as tf

    def other(value: Any) -> Any:
        return tf.experimental.numpy if value is np else value

    if not isinstance(function, FunctionType):
        return function
    scope = function.__globals__
    swapped = {name: other(scope[name]) for name in function.__code__.co_names if scope.get(name) is np}
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    if not swapped and all(value is not np for value in cells):
        return function
    closure = tuple(CellType(other(value)) for value in cells)
    return FunctionType(function.__code__, scope | swapped, function.__name__, function.__defaults__, closure)


def _specs_of_inputs(graph: EditableGraph, function: Any, call: Any, specs: list[Any]) -> list[Any]:
    """The types and the static shapes of what a node of a function is given."""
    import tensorflow as tf

    part = deepcopy(function)
    del part.signature.output_arg[:]
    part.ret.clear()
    part.control_ret.clear()
    for index, reference in enumerate(data_inputs(call)):
        part.signature.output_arg.add(name=f"input_{index}")
        part.ret[f"input_{index}"] = reference
    made = imported(graph, part)
    traced = tf.function(lambda *inputs: made(inputs), input_signature=specs, autograph=False)
    return [tf.TensorSpec(one.shape, one.dtype) for one in traced.get_concrete_function().outputs]


def _traced(graph: EditableGraph, stage: WrittenStage, call: Any, live: Callable[..., Any], specs: list[Any]) -> str:
    """Trace a Python function twice; return its name in the graph."""
    import tensorflow as tf

    types = [tf.dtypes.as_dtype(kind) for kind in call.attr["Tout"].list.type]
    converted = tf.autograph.to_graph(live) if (hasattr(live, "__code__") and live.__name__ != "<lambda>") else live

    def body(*inputs: Any) -> list[Any]:
        result = converted(*inputs)
        parts: Sequence[Any] = result if isinstance(result, list | tuple) else [] if result is None else [result]
        # NumPy of TensorFlow may give another width, as for the square root of a whole number. A plain Python number is
        # made with the width of the result at once: through 32 bits it would lose digits.
        return [
            tf.cast(part, kind) if tf.is_tensor(part) else tf.convert_to_tensor(part, kind)
            for part, kind in zip(parts, types, strict=True)
        ]

    try:
        texts = [_constants(body, specs) for _ in range(2)]
        name, _ = add_traced(graph, body, specs)
    except Exception as error:
        # The user's code raises what it likes.
        msg = f"{_name(live)}() does not work as a graph: {first_line(error)}"
        raise CannotEditError(msg, stage.address) from error
    if texts[0] != texts[1]:
        msg = f"{_name(live)}() gives another graph each time: it draws random numbers in Python, or keeps a state"
        raise CannotEditError(msg, stage.address)
    return name


def _constants(body: Callable[..., Any], specs: list[Any]) -> list[bytes]:
    """The ops of a trace and the values that stand in it."""
    import tensorflow as tf

    made = tf.function(body, input_signature=specs, autograph=False).get_concrete_function()
    if made.captured_inputs:
        raise ValueError("it uses tensors or variables from outside")
    nodes = made.graph.as_graph_def().node
    return [
        b" ".join(
            [
                node.op.encode(),
                *(value.SerializeToString() for key, value in sorted(node.attr.items()) if key == "value"),
            ]
        )
        for node in nodes
    ]


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
