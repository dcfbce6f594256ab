"""References of a graph's nodes to other nodes: which nodes some need, and an order with readers first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from pipeprof.pipelines.graph.stages import Node, StageGraph

_Item = TypeVar("_Item", bound=Hashable)


def base_of(reference: str) -> str:
    """Return the name of the node that a reference is to."""
    return reference.lstrip("^").partition(":")[0]


def data_inputs(node: Any) -> list[str]:
    """List the inputs of a node without control inputs."""
    return [reference for reference in node.input if not reference.startswith("^")]


def function_names(node: Any) -> Iterator[str]:
    """Yield the names of the functions that a node has as attributes."""
    for value in node.attr.values():
        if value.func.name:
            yield value.func.name
        yield from (function.name for function in value.list.func)


def inputs_first(ends: Iterable[_Item], reads: Callable[[_Item], Iterable[_Item]]) -> Iterator[_Item]:
    """Yield all nodes that some nodes need, each once; iterative, because pipelines in loops grow long.

    Example:
        >>> list(inputs_first("a", {"a": "bc", "b": "c", "c": ""}.__getitem__))
        ['c', 'b', 'a']
    """
    seen: set[_Item] = set()
    todo = [(end, False) for end in ends]
    while todo:
        node, ready = todo.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            todo.append((node, True))
            todo.extend((below, False) for below in reads(node))


class Read(NamedTuple):
    """Edge from a dataset to one it takes elements of: an input, or the result of its function (`body`)."""

    place: str
    body: bool


def reads(graph: StageGraph, node: Node) -> Iterator[Read]:
    """Yield what a dataset takes elements of, without options."""
    for input_ in node.inputs:
        yield Read(graph.skip_options(input_), body=False)
    for body in node.bodies:
        yield Read(graph.skip_options(body), body=True)


def readers_first(graph: StageGraph) -> list[Node]:
    """List all datasets but options, each after all that read it; a loop, because pipelines may be long."""
    if graph.root is None:
        return []
    root = graph.skip_options(graph.root)
    found, open_ = {root}, [root]
    waiting: Counter[str] = Counter()
    while open_:
        for one, _ in reads(graph, graph.nodes[open_.pop()]):
            waiting[one] += 1
            if one not in found:
                found.add(one)
                open_.append(one)
    order, ready = [], [root]
    while ready:
        node = graph.nodes[ready.pop()]
        order.append(node)
        for one, _ in reads(graph, node):
            waiting[one] -= 1
            if not waiting[one]:
                ready.append(one)
    return order
