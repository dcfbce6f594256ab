"""The nodes of a graph in order, readers before what they read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from pipeprof.pipelines.graph.stages import Node, StageGraph


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
