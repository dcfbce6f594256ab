"""The nodes of a graph in order: readers before what they read, or inputs first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from pipeprof.pipelines.graph.stages import Node, StageGraph

_Item = TypeVar("_Item", bound=Hashable)


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
