"""Windows and fused stages inside functions: which dataset an iterator of the model belongs to."""

from __future__ import annotations

from typing import Any

from unit.graph.test_naming import node

from pipeprof.pipelines.graph.align import join, match
from pipeprof.pipelines.graph.stages import StageGraph


def graph(nodes: list[dict[str, Any]]) -> StageGraph:
    whole: Any = {"root": "f", "reason": None, "nodes": nodes, "options": {}, "keys": None}
    return StageGraph.from_dict(whole)


def model(*iterators: tuple[int, str, list[int]]) -> Any:
    nodes = [{"id": number, "name": name, "inputs": inputs} for number, name, inputs in iterators]
    return {"output": 1, "nodes": nodes, "ram_budget": 0.0}


def windows(*body: dict[str, Any]) -> StageGraph:
    return graph(
        [
            node("r", "RangeDataset", "source"),
            node("w", "WindowDataset", "stages_0", "r"),
            *body,
            node("f", "FlatMapDataset", "stages_1", "w", bodies=[body[-1]["id"]]),
        ]
    )


INSIDE = {"owner": "f", "depth": 1}


def test_the_window_a_function_is_given_is_no_stage() -> None:
    batched = windows(node("f/b", "BatchDatasetV2", "stages_1_stages_0", **INSIDE))
    outer = [(1, "Root", [2]), (2, "FlatMap", [3, 7]), (3, "Window", [4]), (4, "Range", [])]
    live = model(*outer, (7, "BatchV2", [8]), (8, "Window", []))
    matched = match(batched, live)
    assert matched.places == {2: "f", 3: "w", 4: "r", 7: "f/b", 8: "f/b"}
    assert matched.helpers == {8}
    assert matched.unattributed == ()


def test_a_window_elsewhere_is_still_what_it_was() -> None:
    batched = windows(node("f/b", "BatchDatasetV2", "stages_1_stages_0", **INSIDE))
    live = model((1, "Root", [2]), (2, "FlatMap", [3]), (3, "Window", []))
    assert match(batched, live).places == {2: "f", 3: "w"}
    live = model((1, "Root", [2]), (2, "FlatMap", [3]), (3, "Range", [4]), (4, "Window", []))
    assert match(batched, live).unattributed == (2, 3, 4)


def test_stages_that_are_fused_inside_of_a_function() -> None:
    written = windows(
        node("f/m", "MapDataset", "stages_1_stages_0", **INSIDE),
        node("f/b", "BatchDatasetV2", "stages_1_stages_1", "f/m", **INSIDE),
    )
    executed = windows(node("f/n", "MapAndBatchDataset", "fused(stages_1_stages_0,stages_1_stages_1)", **INSIDE))
    assert join(written, executed).executed == {"r": "r", "w": "w", "f": "f", "f/m": "f/n", "f/b": "f/n"}


def test_a_snapshot_and_what_writes_it_are_one() -> None:
    kept = graph([node("r", "RangeDataset", "source"), node("f", "SnapshotDatasetV2", "stages_0", "r")])
    live = model((1, "Root", [2]), (2, "Snapshot", [3]), (3, "SnapshotWriter", [4]), (4, "Range", []))
    matched = match(kept, live)
    assert matched.places == {2: "f", 3: "f", 4: "r"}
    assert matched.helpers == {3}


def test_the_files_that_load_reads_back_are_no_stage() -> None:
    loaded = graph(
        [
            node("l", "LoadDataset", "source", bodies=["l/i"]),
            node("l/i", "ParallelInterleaveDatasetV4", "source_source", owner="l", depth=1),
            node("f", "ShuffleDatasetV3", "stages_0", "l"),
        ]
    )
    files = [(5, "SnapshotNestedDatasetReader", []), (6, "SnapshotDatasetReader/_0", [])]
    live = model((1, "Root", [2]), (2, "Shuffle", [3]), (3, "Load", [4]), (4, "ParallelInterleaveV4", [5, 6]), *files)
    matched = match(loaded, live)
    assert matched.places == {2: "f", 3: "l", 4: "l/i", 5: "l/i", 6: "l/i"}
    assert (matched.helpers, matched.unattributed) == ({5, 6}, ())
