"""Elements per batch: recorded graphs of all ops that batch (``tests/recorded/batching_pipelines.py``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.graph.read.records import dataset_node
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.traits import SOURCES, STAGES
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.flow import elements_per_batch

RECORDED: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "recorded" / "batching.json").read_text(encoding="utf-8")
)
BATCHES = sorted(name for name in RECORDED if ":" not in name)
LENGTH = 3.75
BATCHING = sorted(op for op, row in (SOURCES | STAGES).items() if (row.batches or row.loads_batches) and not row.opaque)


def elements(graph: Any, length: float = LENGTH, stages: Sequence[Stage] = ()) -> float | None:
    return elements_per_batch(StageGraph.from_dict(graph), stages, length, by_address=False)


def followed_by(name: str, *ops: str) -> dict[str, Any]:
    """The recorded graph with further datasets at its end."""
    graph = RECORDED[name]["written"]
    nodes, root = list(graph["nodes"]), graph["root"]
    for number, op in enumerate(ops):
        nodes.append(dataset_node(f"further.{number}", op, [root]))
        root = f"further.{number}"
    return {**graph, "nodes": nodes, "root": root}


@pytest.mark.parametrize("op", BATCHING)
def test_all_ops_that_batch_are_recorded(op: str) -> None:
    assert op in RECORDED, f"no recorded graph of {op}: add it to tests/recorded/batching_pipelines.py"
    assert RECORDED[op]["length"] > 1


PASSING = ("PrefetchDataset", "CacheDatasetV2", "ShuffleDatasetV3", "TakeDataset", "OptionsDataset")


@pytest.mark.parametrize("name", BATCHES)
def test_elements_are_the_length_of_the_batches(name: str) -> None:
    assert elements(RECORDED[name]["written"]) == LENGTH
    assert elements(followed_by(name, *PASSING)) == LENGTH
    # A function of batches may change their length.
    found = elements(followed_by(name, "ParallelMapDatasetV2", "PrefetchDataset"), 999)
    assert found is None or found == RECORDED[name]["length"]
    # Of batches of batches it is not known which dimension counts.
    assert elements(followed_by(name, "PrefetchDataset", "BatchDatasetV2", "MapDataset")) is None


@pytest.mark.parametrize("name", BATCHES)
def test_batches_taken_apart_are_single_elements(name: str) -> None:
    graph = followed_by(name, "UnbatchDataset", "MapDataset")
    for shape, expected in (([], 1), ([3], None), (None, None)):
        graph["nodes"][-1] |= {"output_types": ["int64"], "output_shapes": [shape]}
        assert elements(graph) == expected or name in ("batch of batches, unbatch", "overlapping windows, batch")


@pytest.mark.parametrize("name", sorted(name for name in RECORDED if name.startswith("single:")))
def test_pipelines_without_batches_have_single_elements(name: str) -> None:
    # What a generator yields may be a batch, and what a function makes of an element.
    single = None if "generator" in name or "image" in name else 1
    assert elements(RECORDED[name]["written"]) == single
    assert elements(followed_by(name, "MapDataset")) is None
    assert elements(followed_by(name, "BatchDatasetV2")) == LENGTH


@pytest.mark.parametrize("name", sorted(name for name in RECORDED if name.startswith("unknown:")))
def test_what_the_graph_does_not_tell_is_unknown(name: str) -> None:
    assert elements(RECORDED[name]["written"]) is None


def test_windows_that_share_elements_are_sequences() -> None:
    graph = RECORDED["window, flat_map"]["written"]
    assert elements(graph) == LENGTH
    for change in ({"shift": 1}, {"stride": 2}, {"size": None}):
        nodes = [
            {**node, "arguments": {**node["arguments"], **change}} if node["op"] == "WindowDataset" else node
            for node in graph["nodes"]
        ]
        assert elements({**graph, "nodes": nodes}) is None
        nodes = [*nodes, dataset_node("batched", "BatchDatasetV2", [graph["root"]])]
        assert elements({**graph, "nodes": nodes, "root": "batched"}) == LENGTH


def test_full_batches_have_their_size_whatever_a_function_makes_of_the_rows() -> None:
    for name in (name for name in RECORDED if name.startswith("full: ")):
        recorded = RECORDED[name]
        assert recorded["length"] < 4
        assert elements(recorded["written"], recorded["length"]) == 4


@pytest.mark.parametrize(
    ("passed", "length", "expected"),
    [(33, 3.3, 3.3), (33, 2.0, None), (40, 2.0, 4.0), (40, 4.0, 4.0), (None, 4.0, 4.0), (None, 3.3, None)],
)
def test_counters_show_whether_a_function_kept_the_length(passed, length, expected):
    stages = [
        Stage(id="source", op="range", origin="written", elements=passed),
        Stage(id="stages.0", op="batch", origin="written", elements=10),
        Stage(id="stages.1", op="map", origin="written", elements=10),
    ]
    assert elements(RECORDED["unknown: masked"]["written"], length, stages) == expected
