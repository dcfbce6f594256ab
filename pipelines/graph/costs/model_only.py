"""Reconstruction of a pipeline's stages from the model of its iterator, where the graph cannot be read.

The model shows iterators: no names, no arguments, no functions, and of a stage that makes iterators only those that
are alive. Stages as written and TensorFlow's rewrites of them cannot be distinguished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.graph.align import match
from pipeprof.pipelines.graph.opnames import dataset_op, is_helper, is_option
from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict, ModelNodeDict, NodeDict
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.ops.traits import traits


def running_graph(snapshots: Sequence[ModelDict]) -> GraphDict:
    """Return the graph that places the most iterators of the ``snapshots``; without nodes if none of them shows any."""
    best, placed = GraphDict(root=None, reason="TensorFlow's model shows no stages", nodes=[]), 0
    for model in snapshots:
        graph = _ModelReader(model).read()
        count = len(match(StageGraph.from_dict(graph), model).places) if graph["root"] is not None else 0
        if count > placed:
            best, placed = graph, count
    return best


@dataclass
class _ModelReader:
    model: ModelDict
    found: list[NodeDict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes: dict[int, ModelNodeDict] = {node["id"]: node for node in self.model["nodes"]}

    def read(self) -> GraphDict:
        root = self.nodes.get(self.model["output"])
        ends = self._children(root) if root is not None else []
        identity = self._read(ends[0], "", None, 0) if len(ends) == 1 else None
        return {"root": identity, "reason": None if identity else "the model shows no stages", "nodes": self.found}

    def _read(self, node: ModelNodeDict, prefix: str, owner: str | None, depth: int) -> str:
        identity = f"{prefix}{node['id']}"
        children = self._children(node)
        makes = traits(node["name"]).nests
        # A stage that creates iterators reads one input, which was created together with it.
        made = [child for child in children if child["id"] != node["id"] + 1] if makes else []
        inputs = [self._read(child, prefix, owner, depth) for child in children if child not in made]
        record = dataset_node(identity, dataset_op(node["name"]), inputs, owner, depth)
        self.found.append(record)
        if made:
            largest = max(made, key=self._size)
            record["bodies"] = [self._read(largest, f"{identity}::model::", identity, depth + 1)]
        return identity

    def _size(self, node: ModelNodeDict) -> int:
        return 1 + sum(map(self._size, self._children(node)))

    def _children(self, node: ModelNodeDict) -> list[ModelNodeDict]:
        found = []
        for number in node["inputs"]:
            child = self.nodes.get(number)
            if child is None:
                continue
            skipped = is_helper(node["name"], child["name"]) or is_option(f"{child['name']}Dataset")
            found.extend(self._children(child) if skipped else [child])
        return found


def dataset_node(identity: str, op: str, inputs: list[str], owner: str | None = None, depth: int = 0) -> NodeDict:
    """Build the record of a dataset when only its op and inputs are known."""
    return {
        "id": identity,
        "op": op,
        "name": None,
        "key": None,
        "inputs": inputs,
        "owner": owner,
        "depth": depth,
        "functions": [],
        "calls": [],
        "bodies": [],
        "arguments": {},
        "stateful_op": None,
        "stateful": False,
        "ops": {},
        "output_types": [],
        "output_shapes": [],
        "files": False,
        "function": None,
        "held_bytes": None,
        "length": None,
        "constant": None,
    }
