"""Comparison of two datasets by their graphs, as written and as executed."""

from __future__ import annotations

from typing import Any

from integration.graph_compare import Difference, PlainGraph, differences
from integration.plain_graphs import GraphPair


def graph_differences(one: Any, other: Any, in_memory: int = 0) -> list[Difference]:
    """Differences as written, then as executed.

    Args:
        in_memory: Bytes of the arrays that each of them holds.
    """
    import tensorflow as tf

    first, second = GraphPair(tf, one, in_memory), GraphPair(tf, other, in_memory)
    assert first.element == second.element
    graphs = ((first.written, second.written), (first.executed, second.executed))
    return [difference for a, b in graphs for difference in differences(_read(a), _read(b))]


def _read(graph: PlainGraph | str) -> PlainGraph:
    assert not isinstance(graph, str), graph
    return graph
