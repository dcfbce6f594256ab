"""Reconstruction of a pipeline's stages from the model of its iterator, where the graph cannot be read.

The model shows iterators: no names, no arguments, no functions, and of a stage that makes iterators only those that
are alive. Stages as written and TensorFlow's rewrites of them cannot be distinguished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.align import match
from pipeprof.pipelines.graph.opnames import dataset_op, is_helper, is_option
from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict, ModelNodeDict, NodeDict, dataset_node
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.traits import traits


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
