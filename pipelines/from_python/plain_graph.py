"""Conversion of TensorFlow's ``GraphDef`` to plain dicts for comparison.

Works on the parsed message and needs no TensorFlow itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

Digest = Callable[[Any], Any]


class PlainNode(TypedDict):
    """A node: op, inputs (references unchanged), attributes, and functions by attribute."""

    op: str
    inputs: list[str]
    attributes: dict[str, Any]
    functions: dict[str, list[str]]


class PlainFunction(TypedDict):
    """A function: argument names, nodes, results, and ops that must run in addition."""

    arguments: list[str]
    nodes: dict[str, PlainNode]
    returns: list[str]
    controls: list[str]


class PlainGraph(TypedDict):
    """A graph; ``root`` is the reference that it returns."""

    root: str
    nodes: dict[str, PlainNode]
    functions: dict[str, PlainFunction]


def plain_graph(graph: Any, digest: Digest) -> PlainGraph:
    """Convert a ``GraphDef`` to plain dicts.

    Args:
        digest: Returns equal values for messages of equal tensors.
    """
    returned = next(node for node in graph.node if node.op == "_Retval")
    return {
        "root": returned.input[0],
        "nodes": {node.name: _node(node, digest) for node in graph.node},
        "functions": {one.signature.name: _function(one, digest) for one in graph.library.function},
    }


def _function(function: Any, digest: Digest) -> PlainFunction:
    signature = function.signature
    return {
        "arguments": [one.name for one in signature.input_arg],
        "nodes": {node.name: _node(node, digest) for node in function.node_def},
        "returns": [function.ret[one.name] for one in signature.output_arg],
        "controls": sorted(function.control_ret.values()),
    }


def _node(node: Any, digest: Digest) -> PlainNode:
    values: Mapping[str, Any] = node.attr
    functions = {}
    attributes = {}
    for name in sorted(values):
        value = values[name]
        names = [value.func.name] if value.func.name else [function.name for function in value.list.func]
        if names:
            functions[name] = names
        else:
            attributes[name] = _value(value, digest)
    return {"op": node.op, "inputs": list(node.input), "attributes": attributes, "functions": functions}


def _value(value: Any, digest: Digest) -> Any:
    kind = value.WhichOneof("value")
    if kind == "tensor":
        return digest(value.tensor)
    if kind == "shape":
        return _shape(value.shape)
    if kind == "list":
        listed = value.list
        return [
            *listed.s, *listed.i, *listed.f, *listed.b, *listed.type,
            *(_shape(length) for length in listed.shape), *(digest(one) for one in listed.tensor),
        ]  # fmt: skip
    return getattr(value, kind) if kind is not None else None


def _shape(shape: Any) -> Any:
    return None if shape.unknown_rank else [int(dim.size) for dim in shape.dim]
