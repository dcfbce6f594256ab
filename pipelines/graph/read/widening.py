"""Ops at the end of a function that make narrow numbers wider, read from its definition without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from pipeprof.pipelines.graph.read.function_facts import ELEMENTWISE, SILENT
from pipeprof.pipelines.graph.read.references import base_of, data_inputs

_ALONE: Final = ELEMENTWISE | SILENT - {"Const"}

Width = Callable[[int], int | None]
"""Bytes of a number, by TensorFlow's number of its type; None where they are not known."""


class Widening(NamedTuple):
    """From a cast on, ops that treat each number alone.

    Attributes:
        nodes: Names of the ops, the last one first; the cast is the last.
        before: TensorFlow's number of the narrow type.
    """

    nodes: tuple[str, ...]
    before: int
    after: int


def widening(nodes: Mapping[str, Any], known: Collection[str], reference: str, width: Width) -> Widening | None:
    """Return the ops up to what a reference reads that are nothing but a cast to a wider type and what follows it.

    Args:
        known: Names of nodes and arguments that are the same for each element, which an op may read as well.
    """
    found: list[str] = []
    while (node := nodes.get(base_of(reference))) is not None and node.op in _ALONE:
        found.append(node.name)
        inputs = [one for one in data_inputs(node) if base_of(one) not in known]
        if node.op == "Cast":
            before, after = (int(node.attr[key].type) for key in ("SrcT", "DstT"))
            narrow = 0 < (width(before) or 0) < (width(after) or 0)
            return Widening(tuple(found), before, after) if narrow else None
        if len(inputs) != 1:
            return None
        reference = inputs[0]
    return None


def widened(function: Any, known: Collection[str], width: Width) -> dict[int, Widening]:
    """Return the results of a function that are narrow numbers made wider at its end, by their place.

    Args:
        known: Names of its arguments that are the same for each element.
    """
    nodes = {node.name: node for node in function.node_def}
    same = {*known, *(node.name for node in function.node_def if node.op == "Const")}
    found = [widening(nodes, same, function.ret[result.name], width) for result in function.signature.output_arg]
    return {place: one for place, one in enumerate(found) if one is not None}


def largest(places: Collection[int], shapes: Sequence[Sequence[int | None]]) -> int:
    """Return which of some results has most numbers: a picture has many more of them than its label."""
    return max(places, key=lambda place: (len(shapes[place]), math.prod(size or 1 for size in shapes[place])))
