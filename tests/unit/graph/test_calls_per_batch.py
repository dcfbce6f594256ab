"""How often functions are called for a batch: exact where the graph fixes it, no TensorFlow, no clock."""

from __future__ import annotations

import pytest
from unit.graph.conftest import node

from pipeprof.pipelines.graph.costs.costs import Cost, Costs
from pipeprof.pipelines.graph.costs.unobserved import calls_per_batch
from pipeprof.pipelines.graph.stages import Node, StageGraph

ENDLESS = node("range", "RangeDataset", start=0, stop=2**63 - 1, step=1)
EPOCH = node("range", "RangeDataset", start=0, stop=1000, step=1)
F = {"functions": ("f",)}


def graph(*nodes: Node) -> StageGraph:
    return StageGraph({one.id: one for one in nodes}, nodes[-1].id)


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
