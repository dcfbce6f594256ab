"""References of nodes to other nodes, and the nodes that some need."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

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
