"""How many elements go into a stage for one that comes out, by counters that are read in the middle of the work."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.graph.costs.costs import Costs, measure
from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict
from pipeprof.pipelines.graph.stages import Node, StageGraph

from .conftest import node

NOTHING: ModelDict = {"output": 0, "nodes": [], "gap_times_us": [], "cpu_budget": 0.0, "ram_budget": 0.0}
ROWS = node("map::f::rows", "TensorSliceDataset", owner="flat")
PARSED = node("parse", "ParallelMapDatasetV2", "range")
FLAT = node("flat", "FlatMapDataset", "parse", bodies=("map::f::rows",))
FRAMES = [node("range", "RangeDataset"), PARSED, ROWS, FLAT, node("shuffle", "ShuffleAndRepeatDatasetV2", "flat")]


def graph(*nodes: Node) -> StageGraph:
    return StageGraph({one.id: one for one in nodes}, nodes[-1].id)


def iterator(
    id: int, name: str, *inputs: int, elements: int, held: int = 0, calls: float | None = None, ms: int = 0
) -> ModelNodeDict:
    parallelism = {"state_value": calls or 0.0, "value": 0.0, "min": 0.0, "max": 0.0, "tunable": False}
    return {
        "id": id,
        "name": name,
        "autotune": True,
        "num_elements": elements,
        "processing_time": ms * 1_000_000,
        "bytes_consumed": 0,
        "bytes_produced": 0,
        "buffered_bytes": 0,
        "buffered_elements": held,
        "parameters": {"parallelism": parallelism} if calls is not None else {},  # type: ignore[typeddict-item]
        "ratio": 1.0,
        "inputs": list(inputs),
        "node_class": "KNOWN_RATIO",
    }


def look(*below: ModelNodeDict) -> ModelDict:
    root = iterator(1, "Root", below[0]["id"], elements=below[0]["num_elements"])
    return {"output": 1, "nodes": [root, *below], "gap_times_us": [], "cpu_budget": 0.0, "ram_budget": 0.0}


def frames(epoch: int, *, given: int, parsed: int, flat: int, held: int = 1000) -> ModelDict:
    """A shuffle that repeats trajectories of 200 frames; each epoch makes what is before it anew."""
    id = 10 * epoch
    return look(
        iterator(2, "ShuffleAndRepeat", id + 3, elements=given, held=held),
        iterator(id + 3, "FlatMap", id + 4, id + 6, elements=flat),
        iterator(id + 4, "ParallelMap", id + 5, elements=parsed, ms=2 * parsed),
        iterator(id + 5, "Range", elements=parsed + 8),
        iterator(id + 6, "TensorSlice", elements=flat % 200),
    )


def test_the_start_of_an_epoch_does_not_say_how_many_elements_a_flat_map_gives() -> None:
    """Of the second epoch only the beginning is seen: one trajectory went in, and nine frames have come out."""
    segments = [
        (frames(1, given=0, parsed=6, flat=1000), frames(1, given=9000, parsed=51, flat=10_000)),
        (frames(1, given=9000, parsed=51, flat=10_000), frames(2, given=18_000, parsed=1, flat=9)),
    ]
    found = measure(graph(*FRAMES), segments)
    assert found.ratios["flat"].number == pytest.approx(1 / 200, rel=0.03)
    assert not found.ratios["flat"].whole
    assert found.by_id["parse"].elements == pytest.approx(18_000 / 200, rel=0.05)


def dropped(drawn: int, kept: int) -> ModelDict:
    return look(iterator(2, "Filter", 3, elements=kept), iterator(3, "Range", elements=drawn))


FILTERED = graph(node("range", "RangeDataset"), node("filter", "FilterDataset", "range"))


def test_only_whole_epochs_count_where_two_ended() -> None:
    """The kept elements come last: what is read of the third epoch has none of them."""
    whole = [(NOTHING, dropped(50, 0)), (dropped(50, 0), dropped(100, 10))]
    found = measure(FILTERED, [*whole, *whole, (NOTHING, dropped(90, 1))]).ratios["filter"]
    assert (found.number, found.whole) == (10.0, True)
    begun = measure(FILTERED, [*whole, (NOTHING, dropped(90, 1))]).ratios["filter"]
    assert not begun.whole


def swallowing(
    drawn: int, made: int, *, calls: float | None = None, each: int | None = None
) -> tuple[StageGraph, ModelDict]:
    op, name = ("MapDataset", "Map") if calls is None else ("ParallelMapDatasetV2", "ParallelMap")
    map_ = node("map", op, "range")
    if each is not None:
        rows = node("map::f::range", "RangeDataset", owner="map", start=0, stop=each, step=1)
        map_, name = node("map", "FlatMapDataset", "range", bodies=("map::f::range",)), "FlatMap"
    inside = [] if each is None else [rows]
    seen = look(
        iterator(2, "IgnoreErrors", 3, elements=made),
        iterator(3, name, 4, elements=made, calls=calls),
        iterator(4, "Range", elements=drawn),
    )
    return graph(node("range", "RangeDataset"), *inside, map_, node("end", "IgnoreErrorsDataset", "map")), seen


@pytest.mark.parametrize(
    ("drawn", "made", "calls", "each", "lost"),
    [
        (1000, 979, None, None, 20),
        (1000, 980, 8.0, None, 12),
        (1000, 992, 8.0, None, None),
        (615, 12_104, None, 20, 8.8),
        (615, 12_300, None, 20, None),
    ],
)
def test_what_ignore_errors_swallows(
    drawn: int, made: int, calls: float | None, each: int | None, lost: float | None
) -> None:
    """Elements on their way are not lost: as many as there are calls at a time."""
    executed, seen = swallowing(drawn, made, calls=calls, each=each)
    found: Costs = measure(executed, [(NOTHING, seen)])
    if lost is None:
        assert found.lost == []
    else:
        (only,) = found.lost
        assert (only.place, only.swallowed_by, only.taken) == ("map", "end", drawn)
        assert only.number == pytest.approx(lost)
