"""What an iterator's model says of stages without a graph, and of those without a live iterator at each reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.align import match
from pipeprof.pipelines.graph.costs.costs import Costs
from pipeprof.pipelines.graph.opnames import dataset_op, is_helper, is_option
from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict, ModelNodeDict, NodeDict, dataset_node
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.meaning.traits import traits

_ALL_FROM, _NONE_BELOW = 0.9, 0.02
"""Traced input elements of a cache per output element: at least this many if it is filled again, fewer if it serves."""


def unread_elements(executed: StageGraph, costs: Costs, traced: Mapping[str, float]) -> dict[str, float]:
    """Return element counts in the measured window for executed datasets without a cost, where known."""
    walk = _CountInference(executed, costs, traced)
    if executed.root is not None and traced:
        top = executed.skip_options(executed.root)
        if walk.is_read(top):
            walk.below(top, costs.by_id[top].elements)
    return walk.found


@dataclass
class _CountInference:
    executed: StageGraph
    costs: Costs
    traced: Mapping[str, float]
    found: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        readers = (node for node in self.executed.walk() if not is_option(node.op))
        self._readers = Counter(
            self.executed.skip_options(name) for node in readers for name in (*node.inputs, *node.bodies)
        )

    def is_read(self, place: str) -> bool:
        return place in self.costs.by_id and not self.costs.by_id[place].unseen

    def below(self, top: str, elements_of_top: float | None) -> None:
        todo = [(top, elements_of_top)]
        while todo:
            place, elements = todo.pop()
            node = self.executed.nodes[place]
            for name in (*node.inputs, *node.bodies):
                below = self.executed.skip_options(name)
                if self._readers[below] > 1:
                    # It is unknown for which of them it ran.
                    continue
                if self.is_read(below):
                    todo.append((below, self.costs.by_id[below].elements))
                    continue
                barely = self.costs.by_id[below].elements if below in self.costs.by_id else 0.0
                through = self.costs.of_parts.get(below) or barely or self._input_count(node, below, elements)
                if through is not None:
                    self.found[below] = through
                todo.append((below, through))

    def _input_count(self, node: Node, below: str, elements: float | None) -> float | None:
        """Return how many elements the unsampled ``below`` produced for ``elements`` of ``node``."""
        if elements is None:
            return None
        traits = node.traits
        if traits.buffers and self.is_read(node.id):
            inputs = self.costs.by_id[node.id].inputs
            return inputs if inputs is not None else elements
        if elements <= 0:
            # A live iterator may have run ahead.
            return None if below in self.costs.by_id else 0.0
        size = node.arguments.get("batch_size")
        if traits.buffers or traits.takes_one or (traits.one_to_one and not traits.stores):
            return elements
        if traits.stacks and isinstance(size, int) and size > 0:
            return elements * size
        return self._traced_count(node, below, elements)

    def _traced_count(self, node: Node, below: str, elements: float) -> float | None:
        mine, theirs = self.traced.get(node.id, 0.0), self.traced.get(below, 0.0)
        each = theirs / mine if mine else 0.0
        if not node.traits.stores:
            return elements * each if each else None
        if mine and each <= _NONE_BELOW:
            return None if below in self.costs.by_id else 0.0
        return elements if each >= _ALL_FROM else None


def running_graph(snapshots: Sequence[ModelDict]) -> GraphDict:
    """Return the graph that places the most iterators of the ``snapshots``; without nodes if none of them shows any."""
    best, placed = GraphDict(root=None, reason="TensorFlow's model shows no stages", nodes=[]), 0
    for model in snapshots:
        graph = _ModelReader(model).read()
        count = len(match(StageGraph.from_dict(graph), model).places) if graph["root"] is not None else 0
        if count > placed:
            best, placed = graph, count
    return best


@dataclass(frozen=True)
class _Place:
    """Pipeline that records belong to: the main one, or one that a function makes."""

    prefix: str = ""
    owner: str | None = None
    depth: int = 0


@dataclass
class _ModelReader:
    model: ModelDict
    found: list[NodeDict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes: dict[int, ModelNodeDict] = {node["id"]: node for node in self.model["nodes"]}

    def read(self) -> GraphDict:
        root = self.nodes.get(self.model["output"])
        ends = self._children(root) if root is not None else []
        if len(ends) != 1:
            return {"root": None, "reason": "the model shows no stages", "nodes": []}
        todo: list[tuple[ModelNodeDict, _Place]] = [(ends[0], _Place())]
        while todo:
            todo += self._add(*todo.pop())
        return {"root": str(ends[0]["id"]), "reason": None, "nodes": self.found}

    def _add(self, node: ModelNodeDict, place: _Place) -> Iterator[tuple[ModelNodeDict, _Place]]:
        identity = f"{place.prefix}{node['id']}"
        children = self._children(node)
        # A stage that creates iterators reads one input, which was created together with it.
        makes = traits(node["name"]).nests
        made = [child for child in children if makes and child["id"] != node["id"] + 1]
        read = [child for child in children if child not in made]
        inputs = [f"{place.prefix}{child['id']}" for child in read]
        record = dataset_node(identity, dataset_op(node["name"]), inputs, place.owner, place.depth)
        self.found.append(record)
        yield from ((child, place) for child in read)
        if made:
            largest = max(made, key=self._size)
            inside = _Place(f"{identity}::model::", identity, place.depth + 1)
            record["bodies"] = [f"{inside.prefix}{largest['id']}"]
            yield largest, inside

    def _size(self, node: ModelNodeDict) -> int:
        count, todo = 0, [node]
        while todo:
            count += 1
            todo += self._children(todo.pop())
        return count

    def _children(self, node: ModelNodeDict) -> list[ModelNodeDict]:
        """Return the live inputs of ``node`` in order; parts of an iterator and options are skipped."""
        found: list[ModelNodeDict] = []
        todo = [(node, number) for number in reversed(node["inputs"])]
        while todo:
            reader, number = todo.pop()
            child = self.nodes.get(number)
            if child is None:
                continue
            if is_helper(reader["name"], child["name"]) or is_option(f"{child['name']}Dataset"):
                todo += [(child, below) for below in reversed(child["inputs"])]
            else:
                found.append(child)
        return found
