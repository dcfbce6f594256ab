"""Addresses of a spec's datasets, also of those for which TensorFlow takes no name."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.addresses import ADDED, node_name
from pipeprof.pipelines.graph.read.graphdef import given_name
from pipeprof.pipelines.graph.read.records import dataset_node
from pipeprof.pipelines.graph.stages import StageGraph


def node(identity: str, op: str, key: str | None, *inputs: str, **more: Any) -> dict[str, Any]:
    """The record of a dataset of numbers."""
    plain = dataset_node(identity, op, list(inputs))
    return {**plain, "key": key, "name": key, "output_types": ["int64"], "output_shapes": [[]], **more}


def stages(nodes: list[dict[str, Any]], ops: dict[str, str]) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    graph: Any = {"root": nodes[-1]["id"], "reason": None, "nodes": nodes, "options": {}, "keys": None}
    found = StageGraph.from_dict(graph).stages(by_address=True, ops=ops)
    return [(stage.address, stage.op, stage.nodes, stage.inputs) for stage in found]


SIDES = ("source.datasets.0", "source.datasets.1")
BRANCH_NODES = [
    node("r0", "RangeDataset", "source_datasets_0_source"),
    node("m0", "MapDataset", "source_datasets_0_stages_0", "r0"),
    node("r1", "RangeDataset", "source_datasets_1_source"),
    node("m1", "MapDataset", "source_datasets_1_stages_0", "r1"),
]
BRANCHES = {f"{side}.{at}": op for side in SIDES for at, op in (("source", "range"), ("stages.0", "map"))}
BRANCH_STAGES = [
    ("source.datasets.0.source", "range", ("r0",), ()),
    ("source.datasets.0.stages.0", "map", ("m0",), ("source.datasets.0.source",)),
    ("source.datasets.1.source", "range", ("r1",), ()),
    ("source.datasets.1.stages.0", "map", ("m1",), ("source.datasets.1.source",)),
]
ENDS = tuple(f"{side}.stages.0" for side in SIDES)


def test_zip() -> None:
    nodes = [*BRANCH_NODES, node("z", "ZipDataset", "source", "m0", "m1")]
    assert stages(nodes, {"source": "zip", **BRANCHES}) == [("source", "zip", ("z",), ENDS), *BRANCH_STAGES]


def test_concatenation_of_several_is_one_source() -> None:
    nodes = [
        *BRANCH_NODES,
        node("r2", "RangeDataset", "source_datasets_2_source"),
        node("c1", "ConcatenateDataset", "source", "m0", "m1"),
        node("c2", "ConcatenateDataset", "source", "c1", "r2"),
        node("b", "BatchDatasetV2", "stages_0", "c2"),
    ]
    ops = {"source": "concatenate", **BRANCHES, "source.datasets.2.source": "range", "stages.0": "batch"}
    found = stages(nodes, ops)
    assert found[0] == ("source", "concatenate", ("c1", "c2"), (*ENDS, "source.datasets.2.source"))
    assert found[1:5] == BRANCH_STAGES
    assert found[-1] == ("stages.0", "batch", ("b",), ("source",))


def test_a_source_without_a_name_reads_pipelines_with_names() -> None:
    """Its weights are a pipeline of their own."""
    nodes = [
        *BRANCH_NODES,
        node("random", "RandomDatasetV2", "RandomDataset:1"),
        node("w", "TensorDataset", "source_weights_source"),
        node("log", "MapDataset", "MapDataset:9", "w"),
        node("pairs", "ZipDataset", "ZipDataset:8", "log", "random"),
        node("select", "MapDataset", "MapDataset:3", "pairs", functions=["a_select_dataset_b"]),
        node("d", "DirectedInterleaveDataset", None, "select", "m0", "m1"),
    ]
    found = stages(nodes, {"source": "sample_from_datasets", **BRANCHES, "source.weights.source": "from_tensors"})
    assert set(found[0][2]) == {"random", "log", "pairs", "select", "d"}
    assert set(found[0][3]) == {*ENDS, "source.weights.source"}
    assert found[1:] == [*BRANCH_STAGES, ("source.weights.source", "from_tensors", ("w",), ())]


def test_all_datasets_of_a_nameless_source_are_one_stage() -> None:
    nodes = [
        node("files", "TensorSliceDataset", "TensorSliceDataset:1", files=True),
        node("lines", "ParallelInterleaveDatasetV4", "I:2", "files", bodies=["csv"]),
        node("csv", "CSVDataset", None, owner="lines", depth=1),
        node("batches", "BatchDatasetV2", "BatchDataset:3", "lines"),
        node("m", "MapDataset", "stages_0", "batches"),
    ]
    found = stages(nodes, {"source": "make_csv_dataset", "stages.0": "map"})
    assert [(address, op) for address, op, _, _ in found] == [("source", "make_csv_dataset"), ("stages.0", "map")]
    assert set(found[0][2]) == {"files", "lines", "csv", "batches"}


def test_a_nameless_stage_between_and_at_the_end() -> None:
    nodes = [
        node("r", "RangeDataset", "source"),
        node("a", "MapDataset", "MapDataset:1", "r"),
        node("b", "ShardDataset", "ShardDataset:2", "a"),
        node("t", "TakeDataset", "stages_1", "b"),
        node("q", "RangeDataset", "RangeDataset:4"),
        node("z", "ZipDataset", "ZipDataset:3", "t", "q"),
    ]
    found = stages(nodes, {"source": "range", "stages.0": "apply", "stages.1": "take", "stages.2": "apply"})
    assert [(address, op, set(own)) for address, op, own, _ in found] == [
        ("source", "range", {"r"}),
        ("stages.0", "apply", {"a", "b"}),
        ("stages.1", "take", {"t"}),
        ("stages.2", "apply", {"z", "q"}),
    ]


def test_options_are_no_stage_and_leave_no_gap() -> None:
    nodes = [
        node("r", "RangeDataset", "source"),
        node("o", "OptionsDataset", "stages_0", "r"),
        node("a", "MapDataset", "MapDataset:1", "o"),
        node("b", "BatchDatasetV2", "stages_1", "a"),
    ]
    found = stages(nodes, {"source": "range", "stages.0": "with_options", "stages.1": "ragged_batch"})
    assert [(address, own) for address, _, own, _ in found] == [("source", ("r",)), ("stages.1", ("a", "b"))]


def test_what_could_be_of_two_stages_is_of_none() -> None:
    maps = [node(f"m{at}", "MapDataset", f"MapDataset:{at}", f"m{at - 1}") for at in (1, 2, 3)]
    nodes = [node("m0", "RangeDataset", "source"), *maps]
    found = stages(nodes, {"source": "range", "stages.0": "apply", "stages.1": "apply"})
    assert [address for address, _, _, _ in found] == ["source"]
    found = stages(nodes, {"source": "range", "stages.0": "apply", "stages.1": "apply", "stages.2": "apply"})
    assert [own for _, _, own, _ in found] == [("m0",), ("m1",), ("m2",), ("m3",)]


def test_what_an_edit_adds_has_no_name_of_the_users() -> None:
    assert given_name(node_name(f"{ADDED}.12")) is None
    keys = ("edit_2", "decode", "ParallelMapDatasetV2:7", None)
    assert [given_name(key) for key in keys] == ["edit_2", "decode", None, None]
