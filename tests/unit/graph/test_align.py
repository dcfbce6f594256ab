from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.graph.align import join, match
from pipeprof.pipelines.graph.opnames import in_model
from pipeprof.pipelines.graph.read.records import ModelDict
from pipeprof.pipelines.graph.stages import StageGraph

from .conftest import Recorded
from .test_naming import node

Load = Callable[[str], Recorded]


def test_the_same_dataset_twice_is_joined_in_order(recorded: Load) -> None:
    one = recorded("same_twice")
    written, executed = StageGraph.from_dict(one.written), one.executed_graph
    pairs = join(written, executed).executed
    for zipped in (one for one in written.walk() if one.family == "Zip"):
        theirs = executed.nodes[pairs[zipped.id]].inputs
        assert tuple(pairs[mine] for mine in zipped.inputs) == theirs


def test_every_iterator_of_every_pipeline_has_a_place_of_its_op(every: Recorded) -> None:
    for snapshot in every.snapshots:
        found = match(every.executed_graph, snapshot)
        assert found.unattributed == ()
        assert len(found.places) == len(snapshot["nodes"]) - 1
        for one in snapshot["nodes"]:
            if one["id"] in found.places and one["id"] not in found.helpers:
                assert in_model(every.executed_graph.nodes[found.places[one["id"]]].op, one["name"])


def test_both_parts_of_a_cache_are_the_cache(recorded: Load) -> None:
    one = recorded("cache")
    found = match(one.executed_graph, one.snapshots[-1])
    names = {node["name"]: node["id"] for node in one.snapshots[-1]["nodes"]}
    assert found.places[names["MemoryCache"]] == found.places[names["MemoryCacheImpl"]]
    assert found.helpers == {names["MemoryCacheImpl"]}


def without(model: ModelDict, node_id: int) -> ModelDict:
    """The model after the input ``node_id`` has ended."""
    changed = copy.deepcopy(model)
    below = {node_id}
    for one in changed["nodes"]:
        if one["id"] in below:
            below.update(one["inputs"])
    changed["nodes"] = [one for one in changed["nodes"] if one["id"] not in below]
    for one in changed["nodes"]:
        one["inputs"] = [number for number in one["inputs"] if number not in below]
    return changed


def test_one_of_two_alike_inputs_is_not_guessed(recorded: Load) -> None:
    one = recorded("same_twice")
    full = one.snapshots[0]
    zipped = next(node for node in full["nodes"] if node["name"] == "Zip")
    left, right = zipped["inputs"]
    found = match(one.executed_graph, without(full, left))
    assert right in found.unattributed
    known = match(one.executed_graph, full).places
    again = match(one.executed_graph, without(full, left), known)
    assert again.places[right] == known[right]
    assert again.unattributed == ()


def test_an_ended_outer_input_is_not_mistaken_for_an_inner_one(recorded: Load) -> None:
    one = recorded("nested_flat_map")
    full = one.snapshots[0]
    known = match(one.executed_graph, full).places
    outer = next(node for node in full["nodes"] if node["name"] == "FlatMap")
    source, inner = outer["inputs"]
    assert known[source] != known[inner]
    found = match(one.executed_graph, without(full, source))
    assert found.places[inner] == known[inner]


def test_a_foreign_model_is_wholly_unattributed(recorded: Load) -> None:
    snapshot = recorded("zip").snapshots[0]
    found = match(recorded("map_batch").executed_graph, snapshot)
    assert found.places == {}
    assert set(found.unattributed) == {node["id"] for node in snapshot["nodes"]} - {found.root}


def whole(*nodes: dict[str, Any]) -> StageGraph:
    given: Any = {"root": "f", "reason": None, "nodes": list(nodes), "options": {}, "keys": None}
    return StageGraph.from_dict(given)


def model(*iterators: tuple[int, str, list[int]]) -> Any:
    nodes = [{"id": number, "name": name, "inputs": inputs} for number, name, inputs in iterators]
    return {"output": 1, "nodes": nodes, "ram_budget": 0.0}


def windows(*body: dict[str, Any]) -> StageGraph:
    window = node("r", "RangeDataset", "source"), node("w", "WindowDataset", "stages_0", "r")
    return whole(*window, *body, node("f", "FlatMapDataset", "stages_1", "w", bodies=[body[-1]["id"]]))


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
    kept = whole(node("r", "RangeDataset", "source"), node("f", "SnapshotDatasetV2", "stages_0", "r"))
    live = model((1, "Root", [2]), (2, "Snapshot", [3]), (3, "SnapshotWriter", [4]), (4, "Range", []))
    matched = match(kept, live)
    assert matched.places == {2: "f", 3: "f", 4: "r"}
    assert matched.helpers == {3}


def test_the_files_that_load_reads_back_are_no_stage() -> None:
    loaded = whole(
        node("l", "LoadDataset", "source", bodies=["l/i"]),
        node("l/i", "ParallelInterleaveDatasetV4", "source_source", owner="l", depth=1),
        node("f", "ShuffleDatasetV3", "stages_0", "l"),
    )
    files = [(5, "SnapshotNestedDatasetReader", []), (6, "SnapshotDatasetReader/_0", [])]
    live = model((1, "Root", [2]), (2, "Shuffle", [3]), (3, "Load", [4]), (4, "ParallelInterleaveV4", [5, 6]), *files)
    matched = match(loaded, live)
    assert matched.places == {2: "f", 3: "l", 4: "l/i", 5: "l/i", 6: "l/i"}
    assert (matched.helpers, matched.unattributed) == ({5, 6}, ())
