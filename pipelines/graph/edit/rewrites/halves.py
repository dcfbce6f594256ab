"""A map as two: what does not depend on random numbers, or numbers that are still narrow, and the rest."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement, new_name
from pipeprof.pipelines.graph.edit.errors import CannotEditError, first_line
from pipeprof.pipelines.graph.edit.functions import (
    add_traced,
    captured_specs,
    component_specs,
    imported,
    inlined,
    set_shapes,
)
from pipeprof.pipelines.graph.edit.scopes import captured_count, function_of, set_function
from pipeprof.pipelines.graph.read.random_part import random_part
from pipeprof.pipelines.graph.read.references import base_of, data_inputs, inputs_first
from pipeprof.pipelines.graph.read.widening import widening
from pipeprof.pipelines.graph.stages import WrittenStage


class Halves(NamedTuple):
    """The definitions of the two functions.

    Attributes:
        cut: References to what the first one gives and the second one takes.
    """

    first: Any
    second: Any
    cut: list[str]


def first_half(graph: EditableGraph, stage: WrittenStage, at: str, *, narrow: bool) -> str:
    """Put the first part of a map before it; return the reference to the new map.

    The map itself keeps the rest: it has to read what the new one gives, however that is passed on.

    Args:
        narrow: The rest is what makes narrow numbers wider at the end; else all that depends on random numbers.

    Raises:
        CannotEditError: All of it depends on random numbers, or none; or it makes no numbers wider at its end.
    """
    import tensorflow as tf

    node, element = graph.nodes[stage.head], graph.element_at(at)
    function = inlined(graph, function_of(graph, node), assertions=True)
    count = len(function.signature.input_arg) - captured_count(node)
    halves = _cut(graph, stage, function, count, narrow=narrow)
    try:
        name, specs = _traced(graph, halves.first, component_specs(element) + captured_specs(function, count))
        made = FlatElement(tuple(spec.dtype.as_datatype_enum for spec in specs), tuple(_shape(spec) for spec in specs))
        other, results = _traced(graph, halves.second, component_specs(made) + captured_specs(function, count))
    except (tf.errors.OpError, ValueError, TypeError) as error:
        msg = f"TensorFlow does not accept its function in two parts: {first_line(error)}"
        raise CannotEditError(msg, stage.address) from error
    added = deepcopy(node)
    added.name = new_name(node.name)
    added.input[0] = at
    set_function(added, name)
    added.attr["output_types"].list.type[:] = made.types
    set_shapes(added, [spec.shape for spec in specs])
    if "metadata" in added.attr:
        del added.attr["metadata"]
    set_function(node, other)
    if not narrow:
        set_shapes(node, [result.shape for result in results])
    return graph.add(added)


def _traced(graph: EditableGraph, function: Any, specs: list[Any]) -> tuple[str, list[Any]]:
    call = imported(graph, function)
    return add_traced(graph, lambda *inputs: call(inputs), specs)


def _shape(spec: Any) -> tuple[int | None, ...] | None:
    return None if spec.shape.rank is None else tuple(spec.shape.as_list())


def _cut(graph: EditableGraph, stage: WrittenStage, function: Any, count: int, *, narrow: bool) -> Halves:
    nodes = {node.name: node for node in function.node_def}
    late = {name for name, node in nodes.items() if node.op == "Const"}
    captured = {argument.name for argument in list(function.signature.input_arg)[count:]}
    if not narrow:
        part = random_part(graph.functions, function)
        late |= part.nodes
        if not part.nodes:
            raise CannotEditError("its function does not draw random numbers in TensorFlow", stage.address)
    cut = _frontier(function, late, captured)
    known = len(late)
    # Wide types are made of narrow ones after the cut: the narrow ones are what is kept.
    for reference in cut:
        wide = widening(nodes, late | captured, reference, _width)
        late |= set(wide.nodes if wide is not None else ())
    if narrow and len(late) == known:
        raise CannotEditError("its function does not end with a cast to a wider type", stage.address)
    cut = _frontier(function, late, captured)
    if not any(base_of(reference) in nodes for reference in cut):
        raise CannotEditError("all that its function does depends on random numbers", stage.address)
    return Halves(_first(function, cut), _second(function, late, cut, count), cut)


def _frontier(function: Any, late: set[str], captured: set[str]) -> list[str]:
    """What the later nodes, and the results, read of the earlier ones."""
    read = [reference for node in function.node_def if node.name in late for reference in data_inputs(node)]
    read += [function.ret[result.name] for result in function.signature.output_arg]
    return [one for one in dict.fromkeys(read) if base_of(one) not in late and base_of(one) not in captured]


def _width(kind: int) -> int:
    import tensorflow as tf

    return int(tf.dtypes.as_dtype(kind).size)


def _first(function: Any, cut: list[str]) -> Any:
    part = deepcopy(function)
    nodes = {node.name: node for node in function.node_def}

    def reads(name: str) -> list[str]:
        return [one for one in map(base_of, nodes[name].input) if one in nodes]

    _keep(part, set(inputs_first([one for one in map(base_of, cut) if one in nodes], reads)))
    del part.signature.output_arg[:]
    part.ret.clear()
    for index, reference in enumerate(cut):
        part.signature.output_arg.add(name=f"cut_{index}")
        part.ret[f"cut_{index}"] = reference
    part.control_ret.clear()
    return part


def _second(function: Any, late: set[str], cut: list[str], count: int) -> Any:
    """The definition of what depends on random numbers, with the cut in place of the components."""
    part = deepcopy(function)
    _keep(part, late)
    names = {reference: f"cut_{index}" for index, reference in enumerate(cut)}
    captured = list(function.signature.input_arg)[count:]
    del part.signature.input_arg[:]
    for name in names.values():
        part.signature.input_arg.add(name=name)
    part.signature.input_arg.extend(captured)
    part.arg_attr.clear()
    for index, _ in enumerate(captured):
        if count + index in function.arg_attr:
            part.arg_attr[len(cut) + index].CopyFrom(function.arg_attr[count + index])
    for node in part.node_def:
        node.input[:] = [names.get(reference, reference) for reference in node.input]
    for key, reference in function.ret.items():
        part.ret[key] = names.get(reference, reference)
    for key, name in [*part.control_ret.items()]:
        if name not in late:
            del part.control_ret[key]
    return part


def _keep(function: Any, kept: set[str]) -> None:
    nodes = [node for node in function.node_def if node.name in kept]
    for node in nodes:
        node.input[:] = [one for one in node.input if not one.startswith("^") or base_of(one) in kept]
    del function.node_def[:]
    function.node_def.extend(nodes)
