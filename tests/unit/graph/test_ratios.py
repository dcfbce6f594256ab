"""How many elements go into a stage for one that comes out, by counters that are read in the middle of the work."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.graph.costs import costs
from pipeprof.pipelines.graph.costs.costs import measure
from pipeprof.pipelines.graph.costs.stretches import elements_of_pass
from pipeprof.pipelines.graph.read.records import ModelDict
from pipeprof.pipelines.graph.stages import Node
from pipeprof.profiles.time.stage_table import calls_per_batch

from .conftest import NOTHING, graph, iterator, look, node

ROWS = node("map::f::rows", "TensorSliceDataset", owner="flat")
PARSED = node("parse", "ParallelMapDatasetV2", "range")
FLAT = node("flat", "FlatMapDataset", "parse", bodies=("map::f::rows",))
FRAMES = [node("range", "RangeDataset"), PARSED, ROWS, FLAT, node("shuffle", "ShuffleAndRepeatDatasetV2", "flat")]


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


MAPPED = [node("map", "MapDataset", "range")]
IN_PARALLEL = [node("map", "ParallelMapDatasetV2", "range")]
TWENTY_EACH = [
    node("map::f::range", "RangeDataset", owner="map", start=0, stop=20, step=1),
    node("map", "FlatMapDataset", "range", bodies=("map::f::range",)),
]


@pytest.mark.parametrize(
    ("nodes", "name", "drawn", "made", "lost"),
    [
        (MAPPED, "Map", 1000, 979, [20]),
        (IN_PARALLEL, "ParallelMap", 1000, 980, [12]),
        (IN_PARALLEL, "ParallelMap", 1000, 992, []),
        (TWENTY_EACH, "FlatMap", 615, 12_104, [8.8]),
        (TWENTY_EACH, "FlatMap", 615, 12_300, []),
    ],
)
def test_what_ignore_errors_swallows(nodes: list[Node], name: str, drawn: int, made: int, lost: list[float]) -> None:
    """Elements on their way are not lost: as many as there are calls at a time."""
    seen = look(
        iterator(2, "IgnoreErrors", 3, elements=made),
        iterator(3, name, 4, elements=made, calls=8.0 if name == "ParallelMap" else None),
        iterator(4, "Range", elements=drawn),
    )
    executed = graph(node("range", "RangeDataset"), *nodes, node("end", "IgnoreErrorsDataset", "map"))
    found = measure(executed, [(NOTHING, seen)]).lost
    assert [one.number for one in found] == pytest.approx(lost)
    assert all((one.place, one.swallowed_by, one.taken) == ("map", "end", drawn) for one in found)


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
    batch = iterator(id + 3, "Batch", *([] if ended else [id + 4]), elements=made)
    prefetch = iterator(id + 2, "Prefetch", id + 3, elements=batches, held=held)
    return look(prefetch, {**batch, "ratio": 16.0}, *([] if ended else below), id=id)


def test_what_a_skip_drops_at_the_start_of_an_epoch_goes_in_once() -> None:
    """Of each epoch the model is read at its beginning, while elements are dropped, in its middle and at its end."""
    looks = []
    for epoch in (1, 2, 3):
        looks += [
            NOTHING,
            held_out(epoch, batches=0, loaded=700),
            held_out(epoch, batches=3, loaded=1144, held=1),
            held_out(epoch, batches=8, loaded=1200, ended=True),
        ]
    looks += [NOTHING, held_out(4, batches=0, loaded=900)]
    segments = [pair for pair in itertools.pairwise(looks) if pair[1] is not NOTHING]
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
