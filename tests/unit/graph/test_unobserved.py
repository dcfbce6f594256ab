"""What the model does not count: elements that nobody read, calls of functions, threads, the graph that it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeprof.pipelines.graph.align import match
from pipeprof.pipelines.graph.costs.costs import Cost, Costs, measure
from pipeprof.pipelines.graph.costs.unobserved import calls_per_batch, running_graph, threads_inside, unread_elements
from pipeprof.pipelines.graph.opnames import dataset_op
from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import Node, StageGraph

from .conftest import NOTHING, Recorded, graph, iterator, node

Load = Callable[[str], Recorded]
RANGE, MAP = node("range", "RangeDataset"), node("map", "ParallelMapDatasetV2", "range")
SHUFFLE, BATCH = node("shuffle", "ShuffleDatasetV3", "map"), node("batch", "BatchDatasetV2", "shuffle", batch_size=4)
PLAIN = graph(RANGE, MAP, SHUFFLE, BATCH)


def look(batches: int, *below: ModelNodeDict) -> ModelDict:
    """The iterator after so many batches, with what of it is alive below its batch."""
    inputs = [below[0]["id"]] if below else []
    nodes = [iterator(1, "Root", 2, elements=batches), iterator(2, "BatchV2", *inputs, elements=batches), *below]
    return {"output": 1, "nodes": nodes, "ram_budget": 0.0}


def filled(batches: int, ms: int = 30) -> ModelDict:
    """A shuffle of 100 elements whose input has ended."""
    return look(batches, iterator(3, "Shuffle", elements=4 * batches, held=100 - 4 * batches, ms=ms))


def test_what_filled_a_shuffle_is_told_by_what_it_gave_and_holds():
    # Three epochs of 25 batches; each is looked at after its first batch and when it has ended.
    costs = measure(PLAIN, [(NOTHING, filled(1)), (filled(1), look(25))] * 3)
    found = unread_elements(PLAIN, costs, {"map": 10.0, "range": 10.0})
    assert found == {"map": 300.0, "range": 300.0}
    assert costs.by_id["shuffle"].elements == pytest.approx(300)
    # Filling took 30 ms each time, though four of 100 elements had come out of it when it was looked at.
    assert costs.by_id["shuffle"].seconds == pytest.approx(0.090, rel=0.05)


def test_a_shuffle_that_gives_out_what_it_holds_takes_nothing():
    costs = measure(PLAIN, [(filled(3), filled(9)), (filled(9), filled(20))])
    assert unread_elements(PLAIN, costs, {"map": 10.0}) == {"map": 0.0, "range": 0.0}


def test_a_buffer_inside_a_function_that_is_given_its_dataset_has_no_input_to_count():
    """As a shuffle within ``group_by_window``, whose function is called with the window."""
    given = graph(node("shuffle", "ShuffleDatasetV3"), BATCH)
    costs = measure(given, [(NOTHING, filled(1)), (filled(1), filled(20))])
    assert (costs.by_id["shuffle"].inputs, costs.by_id["shuffle"].elements) == (None, 80.0)


def test_without_a_trace_nothing_is_said():
    costs = measure(PLAIN, [(NOTHING, filled(1)), (filled(1), look(25))])
    assert unread_elements(PLAIN, costs, {}) == {}


def read(**elements: float) -> Costs:
    return Costs({place: Cost(elements=number, inputs=number) for place, number in elements.items()})


@pytest.mark.parametrize(
    ("above", "traced", "found"),
    [
        (node("top", "BatchDatasetV2", "map", batch_size=8), {}, 80.0),
        (node("top", "MapAndBatchDataset", "map", batch_size=8), {}, 80.0),
        (node("top", "TakeDataset", "map", count=5), {}, 10.0),
        (node("top", "ZipDataset", "map"), {}, 10.0),
        (node("top", "FilterDataset", "map"), {"top": 5.0, "map": 20.0}, 40.0),
        (node("top", "FlatMapDataset", "map"), {"top": 50.0, "map": 5.0}, 1.0),
        (node("top", "FilterDataset", "map"), {"top": 5.0}, None),
        (node("top", "FilterDataset", "map"), {"map": 5.0}, None),
    ],
)
def test_elements_by_what_the_stage_above_takes(above: Node, traced: dict[str, float], found: float | None):
    elements = unread_elements(graph(RANGE, MAP, above), read(top=10.0), {"other": 1.0, **traced})
    assert elements.get("map") == found


CACHE = node("cache", "CacheDatasetV2", "map")


@pytest.mark.parametrize(
    ("traced", "found"),
    [
        ({"cache": 100.0, "map": 100.0}, 40.0),  # filled again in every epoch
        ({"cache": 100.0}, 0.0),  # it serves
        ({"cache": 100.0, "map": 50.0}, None),  # it was filled while traced
        ({"map": 50.0}, None),
    ],
)
def test_below_a_cache(traced: dict[str, float], found: float | None):
    top = node("top", "BatchDatasetV2", "cache", batch_size=4)
    elements = unread_elements(graph(RANGE, MAP, CACHE, top), read(top=10.0), traced)
    assert (elements["cache"], elements.get("map")) == (40.0, found)


def test_a_cache_that_was_seen_being_filled_did_not_only_serve():
    costs = read(top=10.0)
    costs.by_id["map"] = Cost(unseen=True)
    top = node("top", "BatchDatasetV2", "cache", batch_size=4)
    assert "map" not in unread_elements(graph(RANGE, MAP, CACHE, top), costs, {"cache": 100.0})


def test_what_two_read_ran_for_nobody_knows_which():
    top = node("top", "ZipDataset", "map", "map")
    assert unread_elements(graph(RANGE, MAP, top), read(top=10.0), {"map": 1.0}) == {}


def test_a_part_that_others_follow_has_its_share_of_a_pass():
    parts = [node(name, "RangeDataset", start=0, stop=12, step=1) for name in ("a", "b", "c")]
    joins = [node("ab", "ConcatenateDataset", "a", "b"), node("abc", "ConcatenateDataset", "ab", "c")]
    joined = graph(*parts, *joins)

    def at(elements: int, *below: ModelNodeDict) -> ModelDict:
        nodes = [iterator(1, "Root", 2, elements=elements), iterator(2, "Concatenate", 3, elements=elements), *below]
        return {"output": 1, "nodes": nodes, "ram_budget": 0.0}

    def early(elements: int, part: int) -> ModelDict:
        return at(elements, iterator(3, "Concatenate", 4, elements=elements), iterator(4, "Range", elements=part))

    # Half of a pass of 36: all of the first part, half of the second. The trace saw the second and the third alone.
    costs = measure(joined, [(NOTHING, early(9, 9)), (early(9, 9), early(18, 6))])
    assert costs.of_parts == {"ab": 12.0, "a": 6.0, "b": 6.0, "c": 6.0}
    found = unread_elements(joined, costs, {"b": 12.0, "c": 12.0, "ab": 12.0, "abc": 24.0})
    assert found == {"c": 6.0} | {name: 6.0 for name in ("a", "b") if name not in costs.by_id}
    assert all(costs.by_id[name].elements <= 12 for name in ("a", "b") if name in costs.by_id)


ENDLESS = node("range", "RangeDataset", start=0, stop=2**63 - 1, step=1)
EPOCH = node("range", "RangeDataset", start=0, stop=1000, step=1)
F = {"functions": ("f",)}


def calls(*nodes: Node, counted: dict[str, float] | None = None, batches: int = 100) -> dict[str, float]:
    costs = {place: Cost(elements=elements) for place, elements in (counted or {}).items()}
    return calls_per_batch(graph(*nodes), Costs(costs), {}, batches)


@pytest.mark.parametrize("counted", [None, {"map": 3200.0}, {"map": 3190.0}, {"map": 4000.0}])
def test_a_map_before_a_batch_is_called_for_each_of_its_elements(counted: dict[str, float] | None):
    batch = node("batch", "BatchDatasetV2", "map", batch_size=32)
    assert calls(ENDLESS, node("map", "MapDataset", "range", **F), batch, counted=counted) == {"map": 32.0}


def test_also_one_that_is_fused_with_the_batch_and_behind_buffers():
    fused = node("fused", "MapAndBatchDataset", "shuffle", batch_size=8, **F)
    nodes = (ENDLESS, node("map", "ParallelMapDatasetV2", "range", **F), node("shuffle", "ShuffleDatasetV3", "map"))
    found = calls(*nodes, fused, node("prefetch", "PrefetchDataset", "fused"), counted={"fused": 130.0, "map": 770.0})
    assert found == {"fused": 8.0, "map": 8.0}


def test_a_last_batch_that_is_not_full_counts_as_what_it_is():
    nodes = (EPOCH, node("map", "MapDataset", "range", **F), node("batch", "BatchDatasetV2", "map", batch_size=32))
    assert calls(*nodes, node("repeat", "RepeatDataset", "batch", count=-1)) == {"map": 31.25}


def test_after_a_filter_the_counters_tell():
    nodes = (
        ENDLESS,
        node("map", "MapDataset", "range", **F),
        node("filter", "FilterDataset", "map", **F),
        node("batch", "BatchDatasetV2", "filter", batch_size=32),
    )
    assert calls(*nodes) == {}
    assert calls(*nodes, counted={"map": 6400.0, "filter": 3200.0}) == {"map": 64.0, "filter": 64.0}


def test_what_a_function_makes_gives_what_comes_out_of_its_owner():
    inner = (node("inner", "RangeDataset"), node("inside", "MapDataset", "inner", **F))
    owner = node("flat", "FlatMapDataset", "range", bodies=("inside",), **F)
    batch = node("batch", "BatchDatasetV2", "flat", batch_size=64)
    assert calls(ENDLESS, *inner, owner, batch, counted={"range": 1000.0}) == {"flat": 10.0, "inside": 64.0}


@pytest.mark.parametrize(("counted", "expected"), [(0.0, 0.0), (3200.0, 32.0), (3180.0, 32.0)])
def test_before_a_cache_the_counters_tell_whether_it_is_full(counted: float, expected: float):
    nodes = (ENDLESS, node("map", "MapDataset", "range", **F), node("cache", "CacheDatasetV2", "map"))
    batch = node("batch", "BatchDatasetV2", "cache", batch_size=32)
    assert calls(*nodes, batch, counted={"map": counted}) == {"map": expected}


def test_a_dataset_that_is_read_twice_has_what_was_counted():
    nodes = (ENDLESS, node("map", "MapDataset", "range", **F), node("zip", "ZipDataset", "map", "map"))
    assert calls(*nodes) == {}
    assert calls(*nodes, counted={"map": 200.0}) == {"map": 2.0}


def test_a_generator_is_asked_once_for_each_element():
    batch = node("batch", "BatchDatasetV2", "made", batch_size=4, drop_remainder=True)
    assert calls(node("made", "GeneratorDataset", **F), batch) == {"made": 4.0}


def test_of_a_thousand_stages_each_has_its_calls():
    maps = [node(f"m{number}", "MapDataset", f"m{number - 1}" if number else "range", **F) for number in range(3000)]
    found = calls(ENDLESS, *maps, node("batch", "BatchDatasetV2", "m2999", batch_size=2))
    assert found == {one.id: 2.0 for one in maps}


def threads(*nodes: Node, **costs: Cost) -> dict[str, float]:
    return threads_inside(graph(*nodes), costs)


def test_calls_at_a_time_are_threads_of_that_stage_alone():
    chain = (RANGE, node("map", "ParallelMapDatasetV2", "range"), node("prefetch", "PrefetchDataset", "map"))
    found = threads(*chain, map=Cost(most_parallelism=8.0, most_iterators=1))
    assert found == {"range": 1.0, "map": 8.0, "prefetch": 1.0}


def test_what_a_function_makes_runs_on_all_threads_of_its_owner():
    inner = (node("files", "TFRecordDataset"), node("parse", "MapDataset", "files"))
    owner = node("interleave", "ParallelInterleaveDatasetV4", "range", bodies=("parse",))
    found = threads(RANGE, *inner, owner, interleave=Cost(most_parallelism=4.0, most_iterators=1))
    assert found == {"range": 1.0, "files": 4.0, "parse": 4.0, "interleave": 4.0}


def test_iterators_that_work_ahead_have_their_threads_each():
    inner = (node("files", "TFRecordDataset"), node("parse", "ParallelMapDatasetV2", "files"))
    owner = node("interleave", "InterleaveDataset", "range", bodies=("parse",))
    found = threads(RANGE, *inner, owner, parse=Cost(most_parallelism=2.0, most_iterators=16))
    assert found == {"range": 1.0, "interleave": 1.0, "parse": 32.0, "files": 16.0}


def test_a_dataset_that_is_read_twice_has_the_threads_of_both():
    chain = (RANGE, node("one", "PrefetchDataset", "range"), node("other", "PrefetchDataset", "range"))
    assert threads(*chain, node("zip", "ZipDataset", "one", "other"))["range"] == 2.0


def test_an_unknown_number_of_calls_is_no_number():
    chain = (RANGE, node("map", "ParallelMapDatasetV2", "range"))
    assert threads(*chain) == {"range": 1.0}
    fixed = node("map", "ParallelMapDatasetV2", "range", num_parallel_calls=3)
    assert threads(RANGE, fixed) == {"range": 1.0, "map": 3.0}


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        ("map_batch", 0),
        ("zip", 0),
        ("sample", 0),
        ("shuffle_repeat", 0),
        ("list_files", 1),
        ("interleave", 0),
        ("nested_flat_map", 2),
        ("concatenate", 4),
    ],
)
def test_it_is_the_executed_graph_as_far_as_it_runs(recorded: Load, name: str, ended: int) -> None:
    found = recorded(name)
    running = StageGraph.from_dict(running_graph(found.snapshots))
    executed = [node.family for node in found.executed_graph.walk()]
    seen = [node.family for node in running.walk()]
    # What has ended, or has not begun, is not in the model.
    assert set(seen) <= set(executed)
    assert len(seen) >= len(executed) - ended
    fullest = max(found.snapshots, key=lambda model: len(match(running, model).places))
    assert match(running, fullest).unattributed == ()


def test_costs_are_those_of_the_graph_that_could_be_read(recorded: Load) -> None:
    found = recorded("zip")
    unread: GraphDict = {"root": None, "reason": "2.3 GB", "nodes": []}
    known, _ = found.explain()
    rows, notes = replace(found, written=unread, executed=unread).explain()
    assert sorted(round(row.share or 0, 6) for row in rows.values()) == sorted(
        round(row.share or 0, 6) for row in known.values()
    )
    assert list(rows) == [f"running.{number}" for number in range(len(rows))]
    assert [note.code for note in notes] == ["stages-unread"]
    assert notes[0].message.startswith("The graph could not be read: 2.3 GB. The stages are those that")


def test_without_a_model_there_is_none() -> None:
    assert running_graph([])["root"] is None
    empty: ModelDict = {"output": 0, "nodes": [], "ram_budget": 0}
    assert running_graph([empty])["root"] is None


@pytest.mark.parametrize(
    ("node", "op"),
    [
        ("ParallelMapV2", "ParallelMapDatasetV2"),
        ("BatchV2", "BatchDatasetV2"),
        ("ForeverRepeat", "RepeatDataset"),
        ("MemoryCache", "CacheDataset"),
        ("FromTensor", "TensorDataset"),
        ("TensorSlice", "TensorSliceDataset"),
    ],
)
def test_ops_of_nodes(node: str, op: str) -> None:
    assert dataset_op(node) == op


def test_counters_that_were_read_at_one_moment_alone_are_no_times_of_stages(recorded: Load) -> None:
    """As in a run that fails soon after its steps are measured."""
    known = recorded("map_batch")
    moment, _ = known.segments[0]
    rows, _ = known.explain(segments=[(moment, moment)], batches=8)
    found = [(row.elements, row.time_ms_per_batch, row.calls_per_batch) for row in rows.values()]
    assert found == [(None, None, None)] * 3
