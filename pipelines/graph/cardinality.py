"""Element counts of the datasets in a graph, as far as the graph shows them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.ops import counts
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import Cardinality

_LAST_INT64: Final = 2**63 - 1
_BY_NUMBERS: Final[dict[Cardinality, tuple[Callable[..., int | None], tuple[str, ...]]]] = {
    "times": (counts.repeated, ("count",)),
    "first": (counts.taken, ("count",)),
    "rest": (partial(counts.skipped, strict=True), ("count",)),
    "groups": (counts.batches, ("batch_size",)),
    "windows": (counts.windows, ("size", "shift", "stride")),
    "share": (counts.sharded, ("num_shards", "index")),
}
"""How arguments, which are whole numbers, change the number of elements."""
_DIVISORS: Final = ("batch_size", "shift", "num_shards")


def cardinalities(graph: StageGraph) -> dict[str, int | None]:
    """Return the elements of one pass by id of the dataset: None if not known, `INFINITE` without end."""
    found: dict[str, int | None] = {}
    for node in graph.dependencies_first():
        # In a cycle of a broken graph an input is not there yet.
        found[node.id] = _count(node, [found.get(input_) for input_ in node.inputs])
        if node.family == "Unbatch" and found[node.id] is None and node.inputs:
            count = found.get(node.inputs[0])
            lengths = {shape[0] if shape else None for shape in graph.nodes[node.inputs[0]].output_shapes}
            length = lengths.pop() if len(lengths) == 1 else None
            found[node.id] = None if count is None or length is None else count * length
    return found


def _count(node: Node, inputs: list[int | None]) -> int | None:
    if not inputs:
        return _of_source(node)
    if node.traits.cardinality is not None:
        return _by_rule(node, node.traits.cardinality, inputs)
    # Marks of options and checks have one input and pass its elements through.
    if node.traits.one_to_one or is_option(node.op):
        return inputs[0]
    return INFINITE if node.traits.endless and inputs[0] == INFINITE else None


def _of_source(node: Node) -> int | None:
    if node.family == "Random":
        return INFINITE
    if node.family == "Range":
        start, stop, step = (node.arguments.get(literal) for literal in ("start", "stop", "step"))
        if stop == _LAST_INT64:
            return INFINITE
        if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int) and step:
            return max(0, -(-(stop - start) // step))
    return node.length


def _by_rule(node: Node, rule: Cardinality, inputs: list[int | None]) -> int | None:
    below = inputs[0]
    if rule in ("shortest", "sum"):
        return counts.shortest(inputs) if rule == "shortest" else counts.added(inputs)
    if rule == "chosen":
        # The first input selects which other input gives the next element.
        return below if len(inputs) > 1 and all(input_ == INFINITE for input_ in inputs[1:]) else None
    if rule == "told":
        number = node.arguments.get("cardinality")
        return number if isinstance(number, int) and number >= INFINITE else below
    change, names = _BY_NUMBERS[rule]
    numbers = {name: node.arguments.get(name) for name in names}
    if all(isinstance(number, int) and (number > 0 or name not in _DIVISORS) for name, number in numbers.items()):
        drop = {"drop": bool(node.arguments.get("drop_remainder"))} if rule in ("groups", "windows") else {}
        return change(below, *numbers.values(), **drop)
    if rule in ("times", "first"):
        return 0 if below == 0 and rule == "times" else None
    return INFINITE if below == INFINITE else None
