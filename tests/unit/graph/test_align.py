from __future__ import annotations

import copy
from collections.abc import Callable

from pipeprof.pipelines.graph.align import join, match
from pipeprof.pipelines.graph.opnames import in_model
from pipeprof.pipelines.graph.read.records import ModelDict
from pipeprof.pipelines.graph.stages import StageGraph

from .conftest import Recorded

Load = Callable[[str], Recorded]


def joined(one: Recorded) -> dict[str, str]:
    """Written op and id to executed op."""
    written, executed = StageGraph.from_dict(one.written), one.executed_graph
    pairs = join(written, executed).executed
    return {written.nodes[mine].op: executed.nodes[theirs].op for mine, theirs in pairs.items()}


def test_fusion_is_seen_by_name(recorded: Load) -> None:
    assert joined(recorded("map_batch")) == {
        "RangeDataset": "RangeDataset",
        "MapDataset": "MapAndBatchDataset",
        "BatchDatasetV2": "MapAndBatchDataset",
    }


def test_fusion_happens_without_autotune_too(recorded: Load) -> None:
    assert joined(recorded("autotune_off"))["MapDataset"] == "MapAndBatchDataset"


def test_without_optimizations_all_stays(recorded: Load) -> None:
    pairs = joined(recorded("optimizations_off"))
    assert all(mine == theirs for mine, theirs in pairs.items())


def test_unnamed_twins_stay_apart(recorded: Load) -> None:
    one = recorded("two_maps")
    pairs = join(StageGraph.from_dict(one.written), one.executed_graph).executed
    assert len(set(pairs.values())) == len(pairs) == 3


def test_the_same_dataset_twice_is_joined_in_order(recorded: Load) -> None:
    one = recorded("same_twice")
    written, executed = StageGraph.from_dict(one.written), one.executed_graph
    pairs = join(written, executed).executed
    for zipped in (node for node in written.walk() if node.family == "Zip"):
        theirs = executed.nodes[pairs[zipped.id]].inputs
        assert tuple(pairs[mine] for mine in zipped.inputs) == theirs


def test_what_nobody_wrote_is_injected(recorded: Load) -> None:
    one = recorded("filter")
    found = join(StageGraph.from_dict(one.written), one.executed_graph)
    assert [one.executed_graph.nodes[node].op for node in found.injected] == ["PrefetchDataset"]


def test_what_does_nothing_is_removed(recorded: Load) -> None:
    one = recorded("fusions")
    written = StageGraph.from_dict(one.written)
    found = join(written, one.executed_graph)
    assert [node.op for node in written.walk() if node.id not in found.executed] == ["TakeDataset"]


def test_every_iterator_of_every_pipeline_has_a_place(every: Recorded) -> None:
    for snapshot in every.snapshots:
        found = match(every.executed_graph, snapshot)
        assert found.unattributed == ()
        assert len(found.places) == len(snapshot["nodes"]) - 1


def test_iterators_are_of_the_op_they_are_placed_at(every: Recorded) -> None:
    for snapshot in every.snapshots:
        found = match(every.executed_graph, snapshot)
        for node in snapshot["nodes"]:
            if node["id"] in found.places and node["id"] not in found.helpers:
                assert in_model(every.executed_graph.nodes[found.places[node["id"]]].op, node["name"])


def test_iterators_of_one_function_share_its_places(recorded: Load) -> None:
    one = recorded("parallel_interleave")
    snapshot = one.snapshots[-1]
    found = match(one.executed_graph, snapshot)
    readers = [node["id"] for node in snapshot["nodes"] if node["name"] == "TFRecord"]
    assert len(readers) > 3
    assert len({found.places[reader] for reader in readers}) == 1


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
    for node in changed["nodes"]:
        if node["id"] in below:
            below.update(node["inputs"])
    changed["nodes"] = [node for node in changed["nodes"] if node["id"] not in below]
    for node in changed["nodes"]:
        node["inputs"] = [one for one in node["inputs"] if one not in below]
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
