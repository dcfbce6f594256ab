"""A filter before maps whose results its predicate reads: the predicate gets the part of the maps that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from pipeprof.pipelines.graph.read.references import base_of, data_inputs, inputs_first
from pipeprof.pipelines.graph.stages import WrittenStage


@dataclass(frozen=True)
class FunctionPart:
    """The part of a stage's function that makes some of its results."""

    function: Any
    count: int
    captured: tuple[str, ...]

    @property
    def reads(self) -> frozenset[int]:
        """Indices of the components that it reads, or gives as they are."""
        names = [argument.name for argument in self.function.signature.input_arg][: self.count]
        read = {base_of(reference) for node in self.function.node_def for reference in node.input}
        read |= {base_of(reference) for reference in self.function.ret.values()}
        return frozenset(index for index, name in enumerate(names) if name in read)


def move_over(graph: EditableGraph, stage: WrittenStage, over: Sequence[WrittenStage], element: FlatElement) -> None:
    """Give a filter the part of the maps after it that its predicate reads.

    Raises:
        CannotEditError: What it reads is something else if elements are dropped before the map that makes it, or if
            that map is called twice. What other results of a map are then, the class of the change has to allow.
    """
    import tensorflow as tf

    node = graph.nodes[stage.head]
    parts = [_part(graph, node, None)]
    for crossed in reversed(over):
        part = _part(graph, graph.nodes[crossed.head], parts[0].reads)
        _check(graph, crossed, part.function)
        parts.insert(0, part)
    calls = [imported(graph, part.function) for part in parts]
    specs = component_specs(element)
    for part in parts:
        specs += captured_specs(part.function, part.count)

    def predicate(*inputs: Any) -> list[Any]:
        count = len(element.types)
        components, captured = list(inputs[:count]), list(inputs[count:])
        for call, part in zip(calls, parts, strict=True):
            given, captured = captured[: len(part.captured)], captured[len(part.captured) :]
            components = call([*components, *given])
        return components

    try:
        name, _ = add_traced(graph, predicate, specs)
    except (tf.errors.OpError, ValueError, TypeError) as error:
        msg = f"TensorFlow does not accept its predicate before the map: {first_line(error)}"
        raise CannotEditError(msg, stage.address) from error
    node.input[:] = [node.input[0], *(reference for part in parts for reference in part.captured)]
    kinds = node.attr["Targuments"].list.type
    kinds[:] = [kind for part in parts for kind in _captured_types(part)]
    set_function(node, name)


def _captured_types(part: FunctionPart) -> list[int]:
    return [argument.type for argument in part.function.signature.input_arg][part.count :]


def _part(graph: EditableGraph, node: Any, wanted: frozenset[int] | None) -> FunctionPart:
    """Return the part of a node's function that makes some results; all if None."""
    function = inlined(graph, function_of(graph, node), assertions=wanted is not None)
    captured = captured_count(node)
    if wanted is not None:
        _prune(function, wanted)
    references = tuple(data_inputs(node)[1 : 1 + captured])
    return FunctionPart(function, len(function.signature.input_arg) - captured, references)


def _prune(function: Any, wanted: frozenset[int]) -> None:
    """Remove all ops that the wanted results do not need; the other results become a component of the element."""
    nodes = {node.name: node for node in function.node_def}
    results = [result.name for result in function.signature.output_arg]

    def reads(name: str) -> list[str]:
        return [one for one in map(base_of, data_inputs(nodes[name])) if one in nodes]

    ends = [base_of(function.ret[name]) for index, name in enumerate(results) if index in wanted]
    kept = set(inputs_first([end for end in ends if end in nodes], reads))
    for name in nodes.keys() - kept:
        function.node_def.remove(nodes[name])
    for node in function.node_def:
        node.input[:] = data_inputs(node)
    function.control_ret.clear()
    unused = function.signature.input_arg[0].name
    for index, name in enumerate(results):
        if index not in wanted:
            function.ret[name] = unused


def _check(graph: EditableGraph, stage: WrittenStage, function: Any) -> None:
    for op, kind in ops_with_effects(graph, function):
        if kind == "python":
            msg = f"its function runs Python ({op}), which may depend on the elements before"
        elif kind == "random":
            msg = f"its function draws random numbers ({op}): with fewer elements it draws others"
        elif op != "Assert" and not op.startswith("LookupTable"):
            msg = f"its function has an op with state ({op}), which may depend on the elements before"
        else:
            continue
        raise CannotEditError(msg, stage.address)
