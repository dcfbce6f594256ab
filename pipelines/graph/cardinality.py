"""Element counts of the datasets in a graph, as far as the graph shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import Cardinality

_LAST_INT64: Final = 2**63 - 1
_Count = Callable[["Node", list[int | None]], int | None]
_CHANGES: Final[dict[Cardinality, _Count]] = {}
"""Functions that compute a dataset's number of elements from those of its inputs."""


def _count_of(rule: Cardinality) -> Callable[[_Count], _Count]:
    def register(count: _Count) -> _Count:
        _CHANGES[rule] = count
        return count

    return register


def cardinalities(graph: StageGraph) -> dict[str, int | None]:
    """Return the elements of one pass by id of the dataset: None if not known, `INFINITE` without end."""
    counts: dict[str, int | None] = {}

    for node in graph.dependencies_first():
        # In a cycle of a broken graph an input is not there yet.
        counts[node.id] = _count(node, [counts.get(input_) for input_ in node.inputs])
        if node.family == "Unbatch" and counts[node.id] is None and node.inputs:
            count = counts.get(node.inputs[0])
            lengths = {shape[0] if shape else None for shape in graph.nodes[node.inputs[0]].output_shapes}
            length = lengths.pop() if len(lengths) == 1 else None
            counts[node.id] = None if count is None or length is None else count * length
    return counts


def _count(node: Node, inputs: list[int | None]) -> int | None:
    if not inputs:
        return _of_source(node)
    if node.traits.cardinality is not None:
        return _CHANGES[node.traits.cardinality](node, inputs)
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


@_count_of("shortest")
def _zip_count(node: Node, inputs: list[int | None]) -> int | None:
    del node
    ends = [input_ for input_ in inputs if input_ != INFINITE]
    known = [end for end in ends if end is not None]
    return None if len(known) < len(ends) else min(known, default=INFINITE)


@_count_of("sum")
def _concatenate_count(node: Node, inputs: list[int | None]) -> int | None:
    del node
    known = [input_ for input_ in inputs if input_ is not None]
    if INFINITE in known:
        return INFINITE
    return sum(known) if len(known) == len(inputs) else None


@_count_of("times")
def _repeat_count(node: Node, inputs: list[int | None]) -> int | None:
    below, count = inputs[0], node.arguments.get("count")
    if below == 0 or count == 0:
        return 0
    if not isinstance(count, int):
        return None
    if count < 0 or below == INFINITE:
        return INFINITE
    return None if below is None else below * count


@_count_of("first")
def _take_count(node: Node, inputs: list[int | None]) -> int | None:
    below, count = inputs[0], node.arguments.get("count")
    if not isinstance(count, int) or below is None:
        return None
    if count < 0:
        return below
    return count if below == INFINITE else min(below, count)


@_count_of("rest")
def _skip_count(node: Node, inputs: list[int | None]) -> int | None:
    below, count = inputs[0], node.arguments.get("count")
    if not isinstance(count, int) or below is None or below == INFINITE:
        return below if below == INFINITE else None
    return 0 if count < 0 else max(0, below - count)


@_count_of("groups")
def _group_count(node: Node, inputs: list[int | None]) -> int | None:
    below, size = inputs[0], node.arguments.get("batch_size")
    if below is None or below == INFINITE:
        return below
    if not isinstance(size, int) or size <= 0:
        return None
    return below // size if node.arguments.get("drop_remainder") else -(-below // size)


@_count_of("told")
def _assert_count(node: Node, inputs: list[int | None]) -> int | None:
    number = node.arguments.get("cardinality")
    return number if isinstance(number, int) and number >= INFINITE else inputs[0]


@_count_of("chosen")
def _directed_count(node: Node, inputs: list[int | None]) -> int | None:
    """Count elements where the first input selects which other input gives the next one."""
    del node
    return inputs[0] if len(inputs) > 1 and all(input_ == INFINITE for input_ in inputs[1:]) else None


@_count_of("windows")
def _windows(node: Node, inputs: list[int | None]) -> int | None:
    below = inputs[0]
    size, shift, stride = (node.arguments.get(literal) for literal in ("size", "shift", "stride"))
    if below is None or below == INFINITE:
        return below
    if not (isinstance(size, int) and isinstance(shift, int) and isinstance(stride, int)) or shift <= 0:
        return None
    if node.arguments.get("drop_remainder"):
        reach = (size - 1) * stride + 1
        return 0 if below < reach else (below - reach) // shift + 1
    return -(-below // shift)


@_count_of("share")
def _shard_count(node: Node, inputs: list[int | None]) -> int | None:
    below, shards, index = inputs[0], node.arguments.get("num_shards"), node.arguments.get("index")
    if below is None or below == INFINITE:
        return below
    return len(range(index, below, shards)) if isinstance(shards, int) and isinstance(index, int) and shards else None
