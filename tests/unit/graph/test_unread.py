"""How many elements came out of what nobody read while it ran."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.graph.costs.costs import Cost, Costs, measure
from pipeprof.pipelines.graph.costs.unobserved import unread_elements
from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import Node, StageGraph

from .conftest import node


def graph(*nodes: Node) -> StageGraph:
    return StageGraph({one.id: one for one in nodes}, nodes[-1].id)


RANGE, MAP = node("range", "RangeDataset"), node("map", "ParallelMapDatasetV2", "range")
SHUFFLE, BATCH = node("shuffle", "ShuffleDatasetV3", "map"), node("batch", "BatchDatasetV2", "shuffle", batch_size=4)
PLAIN = graph(RANGE, MAP, SHUFFLE, BATCH)


def iterator(id: int, name: str, *inputs: int, elements: int, held: float = 0.0, ms: int = 0) -> ModelNodeDict:
    return {
        "id": id,
        "name": name,
        "num_elements": elements,
        "processing_time": ms * 1_000_000,
        "bytes_produced": 0,
        "buffered_bytes": 0,
        "buffered_elements": held,  # type: ignore[typeddict-item]
        "parameters": {},
        "ratio": 4.0 if name == "BatchV2" else 1.0,
        "inputs": list(inputs),
    }


def look(batches: int, *below: ModelNodeDict) -> ModelDict:
    """The iterator after so many batches, with what of it is alive below its batch."""
    inputs = [below[0]["id"]] if below else []
    nodes = [iterator(1, "Root", 2, elements=batches), iterator(2, "BatchV2", *inputs, elements=batches), *below]
    return {"output": 1, "nodes": nodes, "ram_budget": 0.0}


NOTHING: ModelDict = {"output": 0, "nodes": [], "ram_budget": 0.0}


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
