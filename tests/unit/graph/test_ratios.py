"""How many elements go into a stage for one that comes out, by counters that are read in the middle of the work."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.costs import costs
from pipeprof.pipelines.graph.costs.costs import Costs, measure
from pipeprof.pipelines.graph.costs.stretches import elements_of_pass
from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict, ModelNodeDict, dataset_node
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.time.stage_table import calls_per_batch, explain_stages

from .conftest import NOTHING, graph, iterator, node

ROWS = node("map::f::rows", "TensorSliceDataset", owner="flat")
PARSED = node("parse", "ParallelMapDatasetV2", "range")
FLAT = node("flat", "FlatMapDataset", "parse", bodies=("map::f::rows",))
FRAMES = [node("range", "RangeDataset"), PARSED, ROWS, FLAT, node("shuffle", "ShuffleAndRepeatDatasetV2", "flat")]


def look(*below: ModelNodeDict) -> ModelDict:
    root = iterator(1, "Root", below[0]["id"], elements=below[0]["num_elements"])
    return {"output": 1, "nodes": [root, *below], "ram_budget": 0.0}


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


FILES = [
    node("names", "TensorSliceDataset"),
    node("read::f::file", "TFRecordDataset", owner="read"),
    node("read", "ParallelInterleaveDatasetV4", "names", bodies=("read::f::file",)),
    node("end", "ShuffleAndRepeatDatasetV2", "read"),
]


def reading(epoch: int, *, given: int, files: Sequence[int], opened: int, made: int) -> ModelDict:
    """An interleave that has opened so many files; of those that are open, so much was read."""
    id = 100 * epoch
    inner = [iterator(id + 5 + at, "TFRecord", elements=read) for at, read in enumerate(files)]
    return look(
        iterator(2, "ShuffleAndRepeat", id + 3, elements=given, held=250),
        iterator(id + 3, "ParallelInterleaveV4", id + 4, *(one["id"] for one in inner), elements=made),
        iterator(id + 4, "TensorSlice", elements=opened),
        *inner,
    )


def test_files_that_are_open_are_not_read_yet() -> None:
    """Four files of 100 records are opened at once, in each of four looks anew: only those that have ended count."""
    looks = [
        reading(1, given=50, files=[75, 75, 75, 75], opened=4, made=300),
        reading(3, given=1060, files=[28, 28, 28, 27], opened=4, made=111),
        reading(5, given=2060, files=[99, 98], opened=4, made=397),
    ]
    found = measure(graph(*FILES), list(itertools.pairwise(looks))).ratios["read"]
    assert (found.number, found.rough) == (pytest.approx(1 / 100), False)
    looks.pop()
    assert measure(graph(*FILES), list(itertools.pairwise(looks))).ratios["read"].rough


def test_passes_whose_files_are_known_say_how_many_elements_a_file_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "cardinalities", lambda _: {"names": 4})
    begun = [300, 310, 260, 390, 270, 350, 390, 330]
    ended = [0, 800, 1600, 2000, 2800, 3600, 4400, 5200]
    looks = [
        reading(at, given=done + part - 250, files=[part // 4] * 4, opened=4, made=part)
        for at, (done, part) in enumerate(zip(ended, begun, strict=True), 1)
    ]
    found = measure(graph(*FILES), list(itertools.pairwise(looks)))
    assert found.by_id["read"].pass_elements == 400
    assert (found.ratios["read"].number, found.ratios["read"].whole) == (1 / 100, True)


def dropped(drawn: int, kept: int, name: str = "Filter") -> ModelDict:
    return look(iterator(2, name, 3, elements=kept), iterator(3, "Range", elements=drawn))


FILTERED = graph(node("range", "RangeDataset"), node("filter", "FilterDataset", "range"))


def test_only_whole_epochs_count_where_two_ended() -> None:
    """The kept elements come last: what is read of the third epoch has none of them."""
    whole = [(NOTHING, dropped(50, 0)), (dropped(50, 0), dropped(100, 10))]
    found = measure(FILTERED, [*whole, *whole, (NOTHING, dropped(90, 1))]).ratios["filter"]
    assert (found.number, found.whole) == (10.0, True)
    begun = measure(FILTERED, [*whole, (NOTHING, dropped(90, 1))]).ratios["filter"]
    assert not begun.whole
    # A part of a batch that is taken apart may be left.
    unbatched = graph(node("range", "RangeDataset"), node("unbatch", "UnbatchDataset", "range"))
    taken = [(NOTHING, dropped(50, 5000, "Unbatch"))] * 2
    assert not measure(unbatched, [*taken, (NOTHING, dropped(9, 900, "Unbatch"))]).ratios["unbatch"].whole


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


def test_all_copies_of_one_stage_of_a_spec_count_in_its_row() -> None:
    """``rejection_resample`` reads its input twice: once filtered, once not."""
    nodes = [
        dataset_node("selector", "RandomDataset", []),
        dataset_node("range", "RangeDataset", []),
        dataset_node("load", "ParallelMapDatasetV2", ["range"]),
        dataset_node("range again", "RangeDataset", []),
        dataset_node("load again", "ParallelMapDatasetV2", ["range again"]),
        dataset_node("kept", "FilterDataset", ["load again"]),
        dataset_node("chosen", "DirectedInterleaveDataset", ["selector", "load", "kept"]),
        dataset_node("last", "MapDataset", ["chosen"]),
    ]
    keys = {"range": "source", "load": "stages_0", "last": "stages_2"}
    for one in nodes:
        one["key"] = keys.get(one["id"].removesuffix(" again"), f"{one['op']}:{one['id']}")
    whole: GraphDict = {"root": "last", "reason": None, "nodes": nodes}
    seen = look(
        iterator(2, "Map", 3, elements=100),
        iterator(3, "DirectedInterleave", 4, 5, 7, elements=100),
        iterator(4, "Random", elements=100),
        iterator(5, "ParallelMap", 6, elements=50, calls=2.0, ms=500),
        iterator(6, "Range", elements=50),
        iterator(7, "Filter", 8, elements=50),
        iterator(8, "ParallelMap", 9, elements=450, calls=2.0, ms=4500),
        iterator(9, "Range", elements=450),
    )
    ops = {"source": "range", "stages.0": "map", "stages.1": "rejection_resample", "stages.2": "map"}
    graphs = StageGraphs(StageGraph.from_dict(whole), StageGraph.from_dict(whole), by_address=True, ops=ops)
    rows, _ = explain_stages(graphs, [(NOTHING, seen)], batches=10)
    assert [row.id for row in rows] == ["source", "stages.0", "stages.1", "stages.2"]
    load, resampled = rows[1], rows[2]
    assert (load.elements, load.time_ms_per_batch, load.threads) == (500, 500.0, 4.0)
    assert (resampled.op, resampled.inputs_each, resampled.inputs_each_by) == ("rejection_resample", 5.0, "counters")


HELD_OUT = graph(
    node("names", "RangeDataset", start=0, stop=1200, step=1),
    node("load", "ParallelMapDatasetV2", "names", functions=("load",)),
    node("skip", "SkipDataset", "load", count=1080),
    node("batch", "BatchDatasetV2", "skip", batch_size=16),
    node("prefetch", "PrefetchDataset", "batch"),
)


def held_out(epoch: int, *, batches: int, loaded: int, held: int = 0, ended: bool = False) -> ModelDict:
    """The last 120 of 1,200 elements, in batches of 16; a batch that ended has lost its input."""
    id = 10 * epoch
    made = batches + held
    below = [
        iterator(id + 4, "FiniteSkip", id + 5, elements=min(120, made * 16)),
        iterator(id + 5, "ParallelMap", id + 6, elements=loaded, ms=loaded),
        iterator(id + 6, "Range", elements=loaded),
    ]
    top = (
        iterator(id + 2, "Prefetch", id + 3, elements=batches, held=held),
        {**iterator(id + 3, "Batch", *([] if ended else [id + 4]), elements=made), "ratio": 16.0},
    )
    found = look(*top, *([] if ended else below))
    return {**found, "output": id, "nodes": [{**found["nodes"][0], "id": id}, *found["nodes"][1:]]}


def test_what_a_skip_drops_at_the_start_of_an_epoch_goes_in_once() -> None:
    """Of each epoch the model is read at its beginning, while elements are dropped, in its middle and at its end."""
    segments = []
    for epoch in (1, 2, 3):
        looks = [
            NOTHING,
            held_out(epoch, batches=0, loaded=700),
            held_out(epoch, batches=3, loaded=1144, held=1),
            held_out(epoch, batches=8, loaded=1200, ended=True),
        ]
        segments += itertools.pairwise(looks)
    segments.append((NOTHING, held_out(4, batches=0, loaded=900)))
    found = measure(HELD_OUT, segments)
    assert found.by_id["load"].elements == pytest.approx(3 * 1200 + 900, rel=0.02)
    assert calls_per_batch(HELD_OUT, found, {}, 24)["load"] == 150.0


@given(
    each=st.integers(100, 1_000_000),
    passes=st.lists(st.integers(0, 12), min_size=1, max_size=30).map(sorted),
    off=st.lists(st.integers(-1, 1), min_size=30, max_size=30),
)
def test_readings_are_whole_passes_even_if_they_are_off_by_one(each: int, passes: list[int], off: list[int]) -> None:
    found = elements_of_pass(number * each + wrong for number, wrong in zip(passes, off, strict=False))
    if not any(passes):
        assert found is None
    else:
        steps = {after - before for before, after in zip([0, *passes], passes, strict=False)} - {0}
        # What was seen of no single pass may be taken for a longer one.
        assert 1 not in steps or (found is not None and abs(found - each) <= 2)
        assert found is None or abs(found / each - round(found / each)) < 0.05


def test_passes_that_differ_have_no_length() -> None:
    assert elements_of_pass([103, 190, 305, 371]) is None
    assert elements_of_pass([1, 2, 1]) is None


def test_readings_in_step_with_passes_tell_no_length() -> None:
    begun = [20 + 290 * number for number in range(10)]
    assert elements_of_pass([6000 * number for number in range(11)], begun) is None
    # One pass of another number of halves shows that these are whole ones.
    assert elements_of_pass([*(6000 * number for number in range(10)), 57_000], begun) == 3000
