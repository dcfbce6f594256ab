"""Element counts of the datasets in a graph, as far as the graph shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.traits import Cardinality

_LAST_INT64: Final = 2**63 - 1


def _shortest(inputs: list[int | None]) -> int | None:
    finite = [count for count in inputs if count is not None and count != INFINITE]
    return None if None in inputs else min(finite, default=INFINITE)


def _sum(inputs: list[int | None]) -> int | None:
    known = [count for count in inputs if count is not None]
    return INFINITE if INFINITE in inputs else sum(known) if len(known) == len(inputs) else None


def _repeated(count: int | None, times: int | None) -> int | None:
    if count == 0 or times == 0:
        return 0
    if times is None:
        return None
    if times < 0:
        return INFINITE
    return count if count is None or count == INFINITE else count * times


def _taken(count: int | None, most: int | None) -> int | None:
    if most is None:
        return None
    if most < 0:
        return count
    return most if count == INFINITE else None if count is None else min(count, most)


def _skipped(count: int, first: int) -> int:
    return 0 if first < 0 else max(0, count - first)


def _batches(count: int, size: int, *, drop: bool) -> int:
    return count // size if drop else -(-count // size)


def _windows(count: int, size: int, shift: int, stride: int, *, drop: bool) -> int:
    if not drop:
        return -(-count // shift)
    rest = count - ((size - 1) * stride + 1)
    return 0 if rest < 0 else rest // shift + 1


def _sharded(count: int, shards: int, index: int) -> int:
    return count // shards + (index < count % shards)


_OF_SEVERAL: Final[dict[Cardinality, Callable[[list[int | None]], int | None]]] = {"shortest": _shortest, "sum": _sum}
_OF_ANY: Final[dict[Cardinality, Callable[..., int | None]]] = {"times": _repeated, "first": _taken}
_OF_KNOWN: Final[dict[Cardinality, tuple[Callable[..., int], tuple[str, ...]]]] = {
    "rest": (_skipped, ("count",)),
    "groups": (_batches, ("batch_size",)),
    "windows": (_windows, ("size", "shift", "stride")),
    "share": (_sharded, ("num_shards", "index")),
}
"""How arguments, which are whole numbers, change a known number of elements."""
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
    if rule == "chosen":
        # The first input selects which other input gives the next element.
        return below if len(inputs) > 1 and all(input_ == INFINITE for input_ in inputs[1:]) else None
    if rule in _OF_SEVERAL:
        return _OF_SEVERAL[rule](inputs)
    if rule == "told":
        number = node.arguments.get("cardinality")
        return number if isinstance(number, int) and number >= INFINITE else below
    if rule in _OF_ANY:
        number = node.arguments.get("count")
        return _OF_ANY[rule](below, number if isinstance(number, int) else None)
    return below if below is None or below == INFINITE else _of_known(node, rule, below)


def _of_known(node: Node, rule: Cardinality, below: int) -> int | None:
    change, names = _OF_KNOWN[rule]
    numbers = {name: node.arguments.get(name) for name in names}
    if not all(isinstance(number, int) and (number > 0 or name not in _DIVISORS) for name, number in numbers.items()):
        return None
    drop = {"drop": bool(node.arguments.get("drop_remainder"))} if rule in ("groups", "windows") else {}
    return change(below, *numbers.values(), **drop)
