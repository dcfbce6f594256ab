"""Addresses of a spec's datasets, also of those for which TensorFlow takes no name."""

from __future__ import annotations

from typing import Any

from pipeprof.pipelines.addresses import ADDED, node_name
from pipeprof.pipelines.graph.read.graphdef import given_name
from pipeprof.pipelines.graph.stages import StageGraph


def node(identity: str, op: str, key: str | None, *inputs: str, **more: Any) -> dict[str, Any]:
    return {
        "id": identity, "op": op, "name": key, "key": key, "inputs": list(inputs), "owner": None, "depth": 0,
        "functions": [], "calls": [], "bodies": [], "arguments": {}, "stateful_op": None, "stateful": False, "ops": {},
        "output_types": ["int64"], "output_shapes": [[]], "files": False, "function": None, "held_bytes": None,
        "length": None, "constant": None, **more,
    }  # fmt: skip


def stages(nodes: list[dict[str, Any]], ops: dict[str, str]) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    graph: Any = {"root": nodes[-1]["id"], "reason": None, "nodes": nodes, "options": {}, "keys": None}
    found = StageGraph.from_dict(graph).stages(by_address=True, ops=ops)
    return [(stage.address, stage.op, stage.nodes, stage.inputs) for stage in found]


def branch(number: int) -> list[dict[str, Any]]:
    name = f"source_datasets_{number}"
    return [
        node(f"r{number}", "RangeDataset", f"{name}_source"),
        node(f"m{number}", "MapDataset", f"{name}_stages_0", f"r{number}"),
    ]


BRANCHES = {
    "source.datasets.0.source": "range",
    "source.datasets.0.stages.0": "map",
    "source.datasets.1.source": "range",
    "source.datasets.1.stages.0": "map",
}
BRANCH_STAGES = [
    ("source.datasets.0.source", "range", ("r0",), ()),
    ("source.datasets.0.stages.0", "map", ("m0",), ("source.datasets.0.source",)),
    ("source.datasets.1.source", "range", ("r1",), ()),
    ("source.datasets.1.stages.0", "map", ("m1",), ("source.datasets.1.source",)),
]
ENDS = ("source.datasets.0.stages.0", "source.datasets.1.stages.0")


def test_zip() -> None:
    nodes = [*branch(0), *branch(1), node("z", "ZipDataset", "source", "m0", "m1")]
    assert stages(nodes, {"source": "zip", **BRANCHES}) == [("source", "zip", ("z",), ENDS), *BRANCH_STAGES]


def test_concatenation_of_several_is_one_source() -> None:
    nodes = [
        *branch(0),
        *branch(1),
        node("r2", "RangeDataset", "source_datasets_2_source"),
        node("c1", "ConcatenateDataset", "source", "m0", "m1"),
        node("c2", "ConcatenateDataset", "source", "c1", "r2"),
        node("b", "BatchDatasetV2", "stages_0", "c2"),
    ]
    found = stages(
        nodes, {"source": "concatenate", **BRANCHES, "source.datasets.2.source": "range", "stages.0": "batch"}
    )
    assert found[0] == ("source", "concatenate", ("c1", "c2"), (*ENDS, "source.datasets.2.source"))
    assert found[1:5] == BRANCH_STAGES
    assert found[-1] == ("stages.0", "batch", ("b",), ("source",))


def test_concatenation_as_a_stage() -> None:
    nodes = [
        node("r", "RangeDataset", "source"),
        node("o", "CSVDataset", None),
        node("c", "ConcatenateDataset", "stages_0", "r", "o"),
    ]
    ops = {"source": "range", "stages.0": "concatenate", "stages.0.dataset.source": "CsvDataset"}
    assert stages(nodes, ops) == [
        ("source", "range", ("r",), ()),
        ("stages.0", "concatenate", ("c",), ("source", "stages.0.dataset.source")),
        ("stages.0.dataset.source", "CsvDataset", ("o",), ()),
    ]


def selecting(*below: str) -> list[dict[str, Any]]:
    return [
        node("random", "RandomDatasetV2", "RandomDataset:1"),
        node("two", "BatchDatasetV2", "BatchDataset:2", "random"),
        node("select", "MapDataset", "MapDataset:3", *(below or ("two",)), functions=["a_select_dataset_b"]),
    ]


def test_a_source_without_a_name_reads_pipelines_with_names() -> None:
    nodes = [*branch(0), *branch(1), *selecting(), node("d", "DirectedInterleaveDataset", None, "select", "m0", "m1")]
    found = stages(nodes, {"source": "sample_from_datasets", **BRANCHES})
    assert found == [("source", "sample_from_datasets", ("random", "two", "select", "d"), ENDS), *BRANCH_STAGES]


def test_weights_are_a_pipeline_of_their_own() -> None:
    weights = [
        node("w", "TensorDataset", "source_weights_source"),
        node("log", "MapDataset", "MapDataset:9", "w"),
        node("pairs", "ZipDataset", "ZipDataset:8", "log", "two"),
    ]
    chosen = [*selecting()[:2], *weights, selecting("pairs")[2]]
    nodes = [*branch(0), *branch(1), *chosen, node("d", "DirectedInterleaveDataset", None, "select", "m0", "m1")]
    found = stages(nodes, {"source": "sample_from_datasets", **BRANCHES, "source.weights.source": "from_tensors"})
    assert set(found[0][2]) == {"random", "two", "log", "pairs", "select", "d"}
    assert found[-1] == ("source.weights.source", "from_tensors", ("w",), ())


def test_the_choice_stands_apart() -> None:
    nodes = [
        node("c", "RangeDataset", "source_choice_dataset_source"),
        *branch(0),
        *branch(1),
        node("d", "DirectedInterleaveDataset", None, "c", "m0", "m1"),
    ]
    ops = {"source": "choose_from_datasets", **BRANCHES, "source.choice_dataset.source": "range"}
    assert {address for address, _, _, _ in stages(nodes, ops)} == ops.keys()


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
        node("z", "ZipDataset", "ZipDataset:3", "t", "q"),
        node("q", "RangeDataset", "RangeDataset:4"),
    ]
    nodes = [*nodes[:4], nodes[5], nodes[4]]
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
    nodes = [
        node("r", "RangeDataset", "source"),
        *[
            node(f"m{number}", "MapDataset", f"MapDataset:{number}", f"m{number - 1}" if number else "r")
            for number in range(3)
        ],
    ]
    found = stages(nodes, {"source": "range", "stages.0": "apply", "stages.1": "apply"})
    assert [address for address, _, _, _ in found] == ["source"]
    found = stages(nodes, {"source": "range", "stages.0": "apply", "stages.1": "apply", "stages.2": "apply"})
    assert [own for _, _, own, _ in found] == [("r",), ("m0",), ("m1",), ("m2",)]


def test_what_an_edit_adds_has_no_name_of_the_users() -> None:
    assert given_name(node_name(f"{ADDED}.12")) is None
    assert [given_name(key) for key in ("edit_2", "decode", "ParallelMapDatasetV2:7", None)] == [
        "edit_2", "decode", None, None,
    ]  # fmt: skip
