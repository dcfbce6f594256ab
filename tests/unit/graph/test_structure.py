"""The hash of a pipeline's structure: equal where only values differ, another one where a dataset or an op does."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict, dataset_node
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.graph.structure import structure_hash


def chain(*ops: str, ids: str = "n", **last: Any) -> str | None:
    """The hash of a chain of datasets; `last` are fields of the last one."""
    nodes: list[NodeDict] = []
    for number, op in enumerate(ops):
        inputs = [nodes[-1]["id"]] if nodes else []
        nodes.append(dataset_node(f"{ids}{number}", op, inputs) | {"output_types": ["int64"]})  # type: ignore[arg-type]
    nodes[-1].update(last)  # type: ignore[typeddict-item]
    graph: GraphDict = {"root": nodes[-1]["id"], "reason": None, "nodes": nodes, "options": {}, "keys": None}
    return structure_hash(StageGraph.from_dict(graph))


BASE = ("RangeDataset", "MapDataset", "BatchDatasetV2")


def test_values_names_and_options_do_not_count() -> None:
    assert chain(*BASE) == chain(*BASE, ids="other", arguments={"batch_size": 32}, name="mine")
    assert chain(*BASE) == chain(*BASE, output_shapes=[[32]])
    assert chain("RangeDataset", "OptionsDataset", *BASE[1:]) == chain(*BASE)


def test_datasets_types_and_ops_of_functions_do() -> None:
    function = {"ops": ["Mul"]}
    found = [
        chain(*BASE),
        chain(*BASE[:2]),
        chain("RangeDataset", "ParallelMapDatasetV2", "BatchDatasetV2"),
        chain(*BASE, output_types=["string"]),
        chain(*BASE, function=function),
        chain(*BASE, function={"ops": ["Add"]}),
    ]
    assert len(set(found)) == len(found)
    assert all(one is not None and len(one) == 64 for one in found)


def test_without_a_graph_there_is_none() -> None:
    assert structure_hash(StageGraph({}, None, "no graph")) is None
