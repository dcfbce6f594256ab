"""How many threads may be inside a dataset at a time: no TensorFlow, no clock."""

from __future__ import annotations

from unit.graph.conftest import node

from pipeprof.pipelines.graph.costs.costs import Cost
from pipeprof.pipelines.graph.costs.unobserved import threads_inside
from pipeprof.pipelines.graph.stages import Node, StageGraph

RANGE = node("range", "RangeDataset")


def threads(*nodes: Node, **costs: Cost) -> dict[str, float]:
    return threads_inside(StageGraph({one.id: one for one in nodes}, nodes[-1].id), costs)


def test_a_chain_runs_on_the_thread_that_asks_it():
    chain = (RANGE, node("map", "MapDataset", "range"), node("batch", "BatchDatasetV2", "map"))
    assert threads(*chain) == {"range": 1.0, "map": 1.0, "batch": 1.0}


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
