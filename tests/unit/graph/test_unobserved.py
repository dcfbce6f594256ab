"""What the model does not count: elements that nobody read, calls of functions, threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeprof.pipelines.graph.costs.costs import Cost, Costs, IteratorState, measure
from pipeprof.pipelines.graph.costs.unobserved import calls_per_batch, threads_inside, unread_elements
from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import Node

from .conftest import NOTHING, Recorded, graph, iterator, look, node

Load = Callable[[str], Recorded]
RANGE, MAP = node("range", "RangeDataset"), node("map", "ParallelMapDatasetV2", "range")
SHUFFLE, BATCH = node("shuffle", "ShuffleDatasetV3", "map"), node("batch", "BatchDatasetV2", "shuffle", batch_size=4)
PLAIN = graph(RANGE, MAP, SHUFFLE, BATCH)


def batched(batches: int, *below: ModelNodeDict) -> ModelDict:
    """The iterator after so many batches, with what of it is alive below its batch."""
    return look(iterator(2, "BatchV2", *(one["id"] for one in below), elements=batches), *below)


def filled(batches: int, ms: int = 30) -> ModelDict:
    """A shuffle of 100 elements whose input has ended."""
    return batched(batches, iterator(3, "Shuffle", elements=4 * batches, held=100 - 4 * batches, ms=ms))


def test_what_filled_a_shuffle_is_told_by_what_it_gave_and_holds():
    # Three epochs of 25 batches; each is looked at after its first batch and when it has ended.
    costs = measure(PLAIN, [(NOTHING, filled(1)), (filled(1), batched(25))] * 3)
    assert unread_elements(PLAIN, costs, {}) == {}, "nothing was traced"
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
    costs = Costs({**read(top=10.0).by_id, "map": Cost(unseen=True)})
    top = node("top", "BatchDatasetV2", "cache", batch_size=4)
    assert "map" not in unread_elements(graph(RANGE, MAP, CACHE, top), costs, {"cache": 100.0})


def test_what_two_read_ran_for_nobody_knows_which():
    top = node("top", "ZipDataset", "map", "map")
    assert unread_elements(graph(RANGE, MAP, top), read(top=10.0), {"map": 1.0}) == {}


def test_a_part_that_others_follow_has_its_share_of_a_pass():
    parts = [node(name, "RangeDataset", start=0, stop=12, step=1) for name in ("a", "b", "c")]
    joins = [node("ab", "ConcatenateDataset", "a", "b"), node("abc", "ConcatenateDataset", "ab", "c")]
    joined = graph(*parts, *joins)

    def early(elements: int, part: int) -> ModelDict:
        both = (iterator(id, "Concatenate", id + 1, elements=elements) for id in (2, 3))
        return look(*both, iterator(4, "Range", elements=part))

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


MAPPED = (ENDLESS, node("map", "MapDataset", "range", **F))
FILTERED = (*MAPPED, node("filter", "FilterDataset", "map", **F))
CACHED = (*MAPPED, node("cache", "CacheDatasetV2", "map"))
ZIPPED = (*MAPPED, node("zip", "ZipDataset", "map", "map"))
BUFFERED = (
    ENDLESS,
    node("map", "ParallelMapDatasetV2", "range", **F),
    node("shuffle", "ShuffleDatasetV3", "map"),
    node("fused", "MapAndBatchDataset", "shuffle", batch_size=8, **F),
    node("prefetch", "PrefetchDataset", "fused"),
)
OPENED = (
    ENDLESS,
    node("inner", "RangeDataset"),
    node("inside", "MapDataset", "inner", **F),
    node("flat", "FlatMapDataset", "range", bodies=("inside",), **F),
)


def batch(below: str, size: int, **more: bool) -> Node:
    return node("batch", "BatchDatasetV2", below, batch_size=size, **more)


@pytest.mark.parametrize(
    ("nodes", "counted", "expected"),
    [
        *[((*MAPPED, batch("map", 32)), {"map": number}, {"map": 32.0}) for number in (3200.0, 3190.0, 4000.0)],
        ((*MAPPED, batch("map", 32)), {}, {"map": 32.0}),
        (BUFFERED, {"fused": 130.0, "map": 770.0}, {"fused": 8.0, "map": 8.0}),
        # A last batch that is not full counts as what it is.
        ((EPOCH, MAPPED[1], batch("map", 32), node("end", "RepeatDataset", "batch", count=-1)), {}, {"map": 31.25}),
        # After a filter, before a cache, and of what is read twice, the counters tell.
        ((*FILTERED, batch("filter", 32)), {}, {}),
        ((*FILTERED, batch("filter", 32)), {"map": 6400.0, "filter": 3200.0}, {"map": 64.0, "filter": 64.0}),
        ((*CACHED, batch("cache", 32)), {"map": 0.0}, {"map": 0.0}),
        ((*CACHED, batch("cache", 32)), {"map": 3200.0}, {"map": 32.0}),
        ((*CACHED, batch("cache", 32)), {"map": 3180.0}, {"map": 32.0}),
        (ZIPPED, {}, {}),
        (ZIPPED, {"map": 200.0}, {"map": 2.0}),
        # What a function makes gives what comes out of its owner.
        ((*OPENED, batch("flat", 64)), {"range": 1000.0}, {"flat": 10.0, "inside": 64.0}),
        ((node("made", "GeneratorDataset", **F), batch("made", 4, drop_remainder=True)), {}, {"made": 4.0}),
    ],
)
def test_calls_are_those_that_the_graph_fixes_or_the_counters_tell(
    nodes: tuple[Node, ...], counted: dict[str, float], expected: dict[str, float]
) -> None:
    assert calls(*nodes, counted=counted) == expected


PARALLEL = node("map", "ParallelMapDatasetV2", "range")
READ = node("files", "TFRecordDataset")


def owner(op: str) -> Node:
    return node("interleave", op, "range", bodies=("parse",))


@pytest.mark.parametrize(
    ("nodes", "costs", "expected"),
    [
        # Calls at a time are threads of that stage alone; an unknown number of them is no number.
        (
            (RANGE, PARALLEL, node("prefetch", "PrefetchDataset", "map")),
            {"map": Cost(state=IteratorState(most_parallelism=8.0, most_iterators=1))},
            {"range": 1.0, "map": 8.0, "prefetch": 1.0},
        ),
        ((RANGE, PARALLEL), {}, {"range": 1.0}),
        ((RANGE, replace(PARALLEL, arguments={"num_parallel_calls": 3})), {}, {"range": 1.0, "map": 3.0}),
        # What a function makes runs on all threads of its owner; iterators that work ahead have their own each.
        (
            (RANGE, READ, node("parse", "MapDataset", "files"), owner("ParallelInterleaveDatasetV4")),
            {"interleave": Cost(state=IteratorState(most_parallelism=4.0, most_iterators=1))},
            {"range": 1.0, "files": 4.0, "parse": 4.0, "interleave": 4.0},
        ),
        (
            (RANGE, READ, node("parse", "ParallelMapDatasetV2", "files"), owner("InterleaveDataset")),
            {"parse": Cost(state=IteratorState(most_parallelism=2.0, most_iterators=16))},
            {"range": 1.0, "interleave": 1.0, "parse": 32.0, "files": 16.0},
        ),
    ],
)
def test_threads_inside_a_dataset(nodes: tuple[Node, ...], costs: dict[str, Cost], expected: dict[str, float]) -> None:
    assert threads_inside(graph(*nodes), costs) == expected


def test_a_dataset_that_is_read_twice_has_the_threads_of_both():
    chain = (RANGE, node("one", "PrefetchDataset", "range"), node("other", "PrefetchDataset", "range"))
    assert threads_inside(graph(*chain, node("zip", "ZipDataset", "one", "other")), {})["range"] == 2.0


def test_counters_that_were_read_at_one_moment_alone_are_no_times_of_stages(recorded: Load) -> None:
    """As in a run that fails soon after its steps are measured."""
    known = recorded("map_batch")
    moment, _ = known.segments[0]
    rows, _ = known.explain(segments=[(moment, moment)], batches=8)
    found = [(row.elements, row.time_ms_per_batch, row.calls_per_batch) for row in rows.values()]
    assert found == [(None, None, None)] * 3
