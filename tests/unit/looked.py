"""What TensorFlow makes of the targets of unit tests, in which it is not loaded: chains of what is written."""

from __future__ import annotations

import math
from typing import Any

from pipeprof.pipelines.addresses import node_name
from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict, dataset_node
from pipeprof.pipelines.meaning.constants import WIDTHS
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.protocol.messages import Sketch
from pipeprof.profiles.protocol.options import LookAnswer

_OPS = {
    "batch": "BatchDatasetV2",
    "cache": "CacheDataset",
    "filter": "FilterDataset",
    "from_tensor_slices": "TensorSliceDataset",
    "map": "MapDataset",
    "prefetch": "PrefetchDataset",
    "range": "RangeDataset",
    "repeat": "RepeatDataset",
    "shuffle": "ShuffleDatasetV3",
}


def graph_of(loaded: LoadedSpec) -> GraphDict:
    """The graph of a spec without pipelines inside; the shape of an array is known up to the first function."""
    nodes: list[NodeDict] = []
    shape: list[int | None] | None = []
    dtype = "int64"
    for placed in loaded.spec.placed():
        data: Any = loaded.data
        for key in placed.place:
            data = data[key]
        arguments = {name: value for name, value in (data or {}).items() if isinstance(value, int | float)}
        node = dataset_node(placed.address, _OPS.get(placed.op, "OtherDataset"), [nodes[-1]["id"]] if nodes else [])
        given = data.get("tensors") if isinstance(data, dict) else None
        if placed.op == "from_tensor_slices" and isinstance(given, dict) and isinstance(given.get("array"), dict):
            given = given["array"]
            whole, dtype = given["shape"], given.get("dtype", "float32")
            shape = list(whole[1:])
            node["length"], node["held_bytes"] = whole[0], math.prod(whole) * WIDTHS[dtype]
        elif placed.op == "range":
            arguments = {"start": 0, "step": 1, **arguments}
        elif placed.op == "batch" and shape is not None:
            shape = [None, *shape]
        elif placed.op == "map":
            shape = None
        node.update(name=node_name(placed.address), key=node_name(placed.address), arguments=arguments)
        node.update(output_types=[dtype], output_shapes=[shape])
        nodes.append(node)
    return {"root": nodes[-1]["id"], "reason": None, "nodes": nodes, "options": {}, "keys": None}


class Looker:
    """In place of the process that builds targets."""

    def __init__(self, _seconds: float = 0.0) -> None:
        pass

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def look_at(self, target: ParsedTarget, loaded: LoadedSpec | None) -> LookAnswer:
        """See `graph_of`; a function counts to 9."""
        if loaded is not None:
            return LookAnswer(Sketch(graph_of(loaded)))
        node = dataset_node("a", "RangeDataset", [])
        node.update(arguments={"start": 0, "step": 1, "stop": 9}, output_types=["int64"], output_shapes=[[]])
        graph: GraphDict = {"root": "a", "reason": None, "nodes": [node], "options": {}, "keys": None}
        place: Any = {"file": str(target.path), "line": 3, "column": None, "call": "range"}
        return LookAnswer(Sketch(graph, {"a": place}), notes=[("flags", "They have their defaults.")])
