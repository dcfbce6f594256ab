"""From the worker's readings to the profile: which moment, which buffers, what was predicted, what is warned of."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from unit.view.views import function, measured, pipeline, stage, tensor

from pipeprof.profiles.constants import VIEW_BYTES
from pipeprof.profiles.document.memory import LedgerEntry, Memory
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import PhaseName, Training
from pipeprof.profiles.document.stages import Component, Stage
from pipeprof.profiles.memory.ledger.account import PYTHON_BYTES, LedgerInput, account, before_running, state_buffers
from pipeprof.profiles.memory.ledger.buffers import Buffered, Look
from pipeprof.profiles.memory.ledger.facts import Entry, Ledger
from pipeprof.profiles.memory.ledger.held import held_buffers, in_flight_batches, own_fullest, window_buffers
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.protocol.messages import MemoryReading, MemoryReport, PythonObjects
from pipeprof.profiles.view.view import ComponentView, PipelineView

MB = 1_000_000
IMAGE = (tensor("uint8", 500_000),)


def view() -> PipelineView:
    return measured(
        pipeline(
            stage("source", "from_generator", element=IMAGE, elements=5000),
            stage("stages.0", "shuffle", element=IMAGE, elements=5000, arguments={"buffer_size": 400}),
        )
    )


def reading(name: str, rss: int, live: int = 0, most: int | None = None) -> MemoryReading:
    return MemoryReading(
        name=name,
        rss=rss * MB,
        peak=rss * MB,
        file=0,
        live=live * MB,
        live_peak=(live if most is None else most) * MB,
        heap=80 * MB,
        heap_free=0,
    )


def look(at: float, held: int, live: int, phase: str = "measure", budget: float | None = None) -> Look:
    by_stage = {"stages.0": Buffered("shuffle", held * MB, 2 * held)}
    return Look(at, phase, int(at), 0, live * MB, by_stage, budget)


def report(**more: Any) -> MemoryReport:
    found = {
        "readings": [
            reading("import", 500),
            reading("build", 501),
            reading("iterator", 502),
            reading("first", 600, 100),
            reading("released", 600, 100),
            reading("warmup", 710, 200),
            reading("measure", 710, 200),
        ],
        "looks": [],
        "python": PythonObjects(0, 0),
        "mapped_data": 0,
        "batch_bytes": 0.5 * MB,
        "trimmed": 0,
    }
    return MemoryReport(**{**found, **more})


def accounted(
    phase: PhaseName = "measure", peak: int = 710, looks: list[Look] | None = None, **more: Any
) -> tuple[Profile, list[str]]:
    seen = view()
    assert seen.profile is not None
    profile = seen.profile
    profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=peak * MB, peak_phase=phase)
    shown = [look(1, 200, 200), look(2, 199, 199)] if looks is None else looks
    prediction = memory_prediction(seen)
    messages = account(profile, LedgerInput(report(**more), shown, seen, origin=0.0, predicted=prediction))
    return profile, [one.code for one in messages]


def entry(profile: Profile, owner: str) -> LedgerEntry:
    (found,) = [one for one in profile.memory.ledger or () if one.owner == owner]
    return found


def test_the_fullest_look_of_the_peaks_phase_counts() -> None:
    looks = [look(0, 300, 300, "warmup"), look(1, 100, 100), look(2, 200, 200), look(3, 150, 150)]

    profile, _ = accounted(looks=looks)

    # 400 elements with some bytes beside their values.
    assert entry(profile, "shuffle").bytes == pytest.approx(200 * MB, rel=0.01)
    assert entry(profile, "shuffle").stage == "stages.0"


def test_what_is_in_the_making_while_steps_are_taken_is_not_the_pools_chunks() -> None:
    """At every look 40 MB of batches were on their way; when nobody took any, the chunks were 5 % larger."""
    busy = [look(1, 200, 240), look(2, 200, 240)]
    resting = look(3, 200, 210, "trace")

    taken, rested = accounted(looks=busy, batch_bytes=0)[0], accounted(looks=[*busy, resting], batch_bytes=0)[0]

    assert entry(taken, "shuffle").bytes == pytest.approx(240 * MB, rel=0.01)
    assert entry(rested, "shuffle").bytes == pytest.approx(210 * MB, rel=0.01)
    series = rested.memory.series
    assert series is not None
    assert series.seconds == [1, 2], "the look at rest belongs to no stretch of the run"


def test_the_prediction_stands_beside_what_was_measured() -> None:
    profile, _ = accounted()

    assert entry(profile, "shuffle").predicted_bytes == pytest.approx(200 * MB, rel=0.01)
    assert profile.memory.predicted_bytes == pytest.approx(200 * MB, rel=0.01)


def test_the_sum_is_the_peak() -> None:
    profile, _ = accounted()
    memory = profile.memory

    assert sum(one.bytes for one in memory.ledger or ()) + (memory.unexplained_bytes or 0) == memory.peak_bytes


def test_before_the_first_element_there_are_no_buffers() -> None:
    profile, _ = accounted("build", 650)

    assert [(one.owner, one.what) for one in profile.memory.ledger or ()] == [
        ("runtime", None),
        ("python", "building the pipeline"),
    ]
    assert profile.memory.unexplained_bytes == 0


def test_few_python_objects_are_those_of_tensorflow() -> None:
    few, _ = accounted(peak=760, python=PythonObjects(0, PYTHON_BYTES - 1))
    many, _ = accounted(peak=760, python=PythonObjects(0, PYTHON_BYTES))

    large = [[one.bytes for one in of.memory.ledger or () if one.what == "large Python objects"] for of in (few, many)]
    assert large == [[], [PYTHON_BYTES]]


def test_a_peak_that_no_reading_ends_has_no_ledger() -> None:
    profile, _ = accounted(readings=[reading("import", 500)])

    assert profile.memory.ledger is None
    assert profile.memory.unexplained_bytes is None


def test_arrays_that_nobody_keeps_take_less() -> None:
    rows = (tensor("float32", 1000),)
    seen = pipeline(stage("source", "from_tensor_slices", element=rows, elements=25_000, source_bytes=100 * MB))

    kept, gone = before_running(seen, 100 * MB), before_running(seen, 0)

    assert (kept.peak_bytes, gone.peak_bytes) == (410 * MB, 305 * MB)


def test_names_of_files_are_as_large_as_names_are_whatever_the_heap_has_grown_by() -> None:
    names = (tensor("string"),)
    seen = pipeline(
        stage("source", "list_files", element=names, elements=600),
        stage("stages.0", "shuffle", element=names, elements=600, arguments={"buffer_size": 600}),
    )
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("shuffle", 50_000, 600)})

    (held,) = held_buffers(seen, memory_prediction(seen), look)

    assert (held.bytes, held.unsized, held.pooled) == (600 * VIEW_BYTES, False, 0.0)
    # Measured: 108 to 113 B in use, and as many resident after ten turns of the buffer.
    assert (held.bytes / 600 + held.overhead, held.holes) == (111, 0)
    (predicted,) = [one for one in memory_prediction(seen).held if one.owner == "shuffle"]
    assert predicted.bytes == 600 * 111


def test_a_map_that_fills_batches_holds_batches() -> None:
    row, rows = (tensor("uint8", 200_000),), (tensor("uint8", 32, 200_000),)
    made = stage("stages.0", "map", element=row, elements=600, tf_op="MapAndBatchDataset", function=function("Add"))
    seen = pipeline(
        stage("source", "range", elements=600),
        made,
        stage("stages.1", "batch", element=rows, elements=18, arguments={"batch_size": 32}),
        static=False,
    )
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("parallel", 6_400_000, 1)})

    (held,) = held_buffers(seen, memory_prediction(seen), look)

    assert held.pooled == 1.0


def test_a_call_of_a_fused_map_makes_an_element_of_a_batch_that_is_held() -> None:
    row, rows = (tensor("uint8", 200_000),), (tensor("uint8", 32, 200_000),)
    made = stage("stages.0", "map", element=row, tf_op="MapAndBatchDataset", parallelism=2.0, arguments={})
    made = replace(made, arguments={"num_parallel_calls": 2})
    batch = stage("stages.1", "batch", element=rows, arguments={"batch_size": 32})
    seen = pipeline(stage("source", "range", elements=600), made, batch, static=False)
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("parallel", 12_800_000, 2)})

    assert list(in_flight_batches(seen, memory_prediction(seen), look)) == [("parallel", "stages.0", 400_000)]

    filling = replace(look, by_stage={"stages.0": Buffered("parallel", 6_500_000, 1)})
    rest = memory_prediction(seen).of("stages.0") - 6_500_000  # type: ignore[operator]
    assert rest > 6_000_000
    assert list(in_flight_batches(seen, memory_prediction(seen), filling)) == [("parallel", "stages.0", rest)]


@pytest.mark.parametrize(("filled", "rest"), [(5.5, 10.5), (16, 0), (17, 15)])
def test_a_small_batch_is_counted_once_while_it_is_filled(filled: float, rest: float) -> None:
    """Nothing says whether another small batch was begun: the pool does not have it."""
    row, rows = (tensor("float32", 98, 40),), (tensor("float32", 16, 98, 40),)
    made = stage("stages.0", "map", element=row, tf_op="MapAndBatchDataset", parallelism=2.0, arguments={})
    made = replace(made, arguments={"num_parallel_calls": 2})
    batch = stage("stages.1", "batch", element=rows, arguments={"batch_size": 16})
    seen = pipeline(stage("source", "range", elements=600), made, batch, static=False)
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("parallel", round(filled * 15_680), 2)})

    found = list(in_flight_batches(seen, memory_prediction(seen), look))

    assert found == [("parallel", "stages.0", rest * 15_680)]

    text = (ComponentView("string", (16,)),)
    words = stage("stages.1", "batch", element=text, bytes_per_element=250_000.0, arguments={"batch_size": 16})
    seen = pipeline(stage("source", "range", elements=600), made, words, static=False)
    assert not any(size for _, _, size in in_flight_batches(seen, memory_prediction(seen), look)), "texts differ"


@pytest.mark.parametrize(
    ("others", "size", "found"),
    [
        ((), 100_000_000.0, 200_000_000),
        ((tensor("int64", 64),), 100_000_000.0, 200_000_000),
        ((), 10_000.0, None),
        ((ComponentView("string", (64,)),), 100_000_000.0, None),
    ],
)
def test_a_padded_batch_of_unknown_length_is_as_large_as_measured(
    others: tuple[ComponentView, ...], size: float, found: int | None
) -> None:
    padded = (ComponentView("float32", (64, None)), *others)
    rows = stage("source", "from_generator", element=(ComponentView("float32", (None,)), *others), elements=600)
    batch = stage("stages.0", "padded_batch", element=padded, bytes_per_element=size, arguments={"batch_size": 64})
    seen = pipeline(rows, batch, static=False)

    in_flight = {owner: nbytes for owner, _, nbytes in in_flight_batches(seen, memory_prediction(seen), None)}

    assert in_flight.get("batch") == found


@pytest.mark.parametrize(("width", "found"), [(80, []), (80_000, [("parallel", "stages.0", 2 * 320_000)])])
@pytest.mark.parametrize("looked", [False, True])
def test_small_results_that_no_look_found_are_not_in_flight(width: int, found: list[object], looked: bool) -> None:
    """Of large ones the pool says how many there are."""
    made = stage("stages.0", "map", element=(tensor("float32", width),), parallelism=2.0, arguments={})
    made = replace(made, arguments={"num_parallel_calls": 2})
    seen = pipeline(stage("source", "range", elements=600), made, static=False)
    there = {"stages.0": Buffered("parallel", 0, 0)} if looked else {}
    look = Look(1.0, "measure", 1, 0, 0, there)

    assert list(in_flight_batches(seen, memory_prediction(seen), look)) == found


def test_the_pool_has_large_batches_of_small_elements_that_no_look_found() -> None:
    made = stage("stages.0", "map", element=(tensor("uint8", 20_000),), tf_op="MapAndBatchDataset", parallelism=1.0)
    batch = stage("stages.1", "batch", element=(tensor("uint8", 32, 20_000),), arguments={"batch_size": 32})
    seen = pipeline(stage("source", "range", elements=600), made, batch, static=False)

    assert list(in_flight_batches(seen, memory_prediction(seen), None)) == [("parallel", "stages.0", 640_000)]


def test_what_is_only_predicted_is_not_in_the_table_of_stages() -> None:
    seen = view()
    profile = seen.profile
    assert profile is not None
    (row,) = [one for one in profile.stages or [] if one.id == "stages.0"]
    row.buffered_bytes, row.buffered_elements = 0, 0.0
    entries = [Entry("parallel", "stages.0", 400_000, "predicted", "in flight")]

    state_buffers(profile, Ledger(entries))

    assert row.buffered_bytes == 0


@pytest.mark.parametrize(
    ("looks", "held"),
    [
        # 2 results, and 2 calls under way that are as large.
        ([(2, 20_000)], 40_000),
        # At its own fullest look: 5 results of twice the size, and 2 calls under way.
        ([(2, 20_000), (5, 100_000), (4, 40_000)], 140_000),
        # All 8 calls have results that wait.
        ([(8, 80_000)], 80_000),
        ([(0, 0)], 0),
        ([], 400_000),
    ],
)
def test_a_stage_holds_what_it_had_at_its_own_fullest_look(looks: list[tuple[int, int]], held: int) -> None:
    """Without a look it has what the ledger says."""
    made = stage(
        "stages.0", "map", element=(tensor("uint8", 10_000),), arguments={"num_parallel_calls": 8}, parallelism=8.0
    )
    seen = pipeline(stage("source", "range", elements=600), made, static=False, cores=2)
    window = [
        Look(2.0 + number, "measure", 1, 0, 0, {"stages.0": Buffered("parallel", nbytes, elements)})
        for number, (elements, nbytes) in enumerate(looks)
    ]
    row = Stage(id="stages.0", op="map", origin="written", buffered_bytes=20_000, buffered_elements=2)
    profile: Any = SimpleNamespace(stages=[row])

    ledger = Ledger([Entry("parallel", "stages.0", 400_000, "model")])
    state_buffers(profile, ledger, own_fullest(seen, window) if window else None)

    assert row.buffered_bytes == held
    assert row.buffered_elements == max((elements for elements, _ in looks), default=2)


@pytest.mark.parametrize(
    ("owner", "held"), [("parallel", 0), ("prefetch", 0), ("batch", 400_000), ("shuffle", 400_000)]
)
def test_a_buffer_that_no_look_found_held_nothing(owner: Any, held: int) -> None:
    """A batch that fills is in no look; a shuffle is full at the peak."""
    row = Stage(id="stages.0", op="map", origin="written", buffered_bytes=0, buffered_elements=0)
    profile: Any = SimpleNamespace(stages=[row])
    state_buffers(profile, Ledger([Entry(owner, "stages.0", 400_000, "measured")]), {})
    assert row.buffered_bytes == held


@pytest.mark.parametrize(("stage_id", "counted", "held"), [("stages.0", False, None), ("injected.0", True, 20_000)])
def test_what_the_model_cannot_count_is_unknown_and_an_unseen_stage_has_what_it_says(
    stage_id: str, counted: bool, held: int | None
) -> None:
    made = stage("stages.0", "map", element=(tensor("uint8", 10_000),), arguments={"num_parallel_calls": 8})
    seen = pipeline(stage("source", "range", elements=600), made, static=False)
    look = Look(1.0, "measure", 1, 0, 0, {stage_id: Buffered("prefetch", 20_000 * counted, 2, counted=counted)})
    assert own_fullest(seen, [look])[stage_id].bytes == held
    row = Stage(id=stage_id, op="prefetch", origin="written", buffered_bytes=5, buffered_elements=2)
    profile: Any = SimpleNamespace(stages=[row])
    ledger = Ledger([Entry("prefetch", stage_id, 400_000, "model")])
    state_buffers(profile, ledger, own_fullest(seen, [look]))
    assert (row.buffered_bytes, row.buffered_elements) == (held, 2)


@pytest.mark.parametrize(("filled", "held"), [(0.5, 660_000), (1, 660_000), (1.25, 1_300_000)])
def test_a_fused_batch_that_fills_is_held_whole(filled: float, held: int) -> None:
    """Its memory is there from its first element on; the call under way has a result of its own."""
    made = stage("stages.0", "map", element=(tensor("uint8", 20_000),), tf_op="MapAndBatchDataset", parallelism=1.0)
    batch = stage("stages.1", "batch", element=(tensor("uint8", 32, 20_000),), arguments={"batch_size": 32})
    seen = pipeline(stage("source", "range", elements=600), made, batch, static=False)
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("parallel", round(filled * 640_000), 1)})

    assert own_fullest(seen, [look])["stages.0"].bytes == held


@pytest.mark.parametrize(("there", "room", "found"), [(1, 3, [600_000]), (0, 4, []), (4, 0, [])])
def test_an_empty_prefetch_was_not_full_between_two_looks(there: int, room: int, found: list[int]) -> None:
    """Batches of a slow pipeline are taken as soon as they come: its buffer is empty at each look."""
    row = (tensor("uint8", 200_000),)
    ahead = stage("stages.0", "prefetch", element=row, arguments={"buffer_size": 4})
    seen = pipeline(stage("source", "range", element=row, elements=600), ahead, static=False)
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("prefetch", 200_000 * there, there, room)})

    passing = [size for owner, _, size in in_flight_batches(seen, memory_prediction(seen), look)]

    assert passing == found


@pytest.mark.parametrize(("waiting", "under_way"), [(2, 0), (1, 1), (0.5, 2), (3, 0)])
def test_a_map_has_a_place_for_each_call_and_its_result_together(waiting: float, under_way: int) -> None:
    row = (tensor("uint8", 200_000),)
    made = stage("stages.0", "map", element=row, tf_op="ParallelMapDataset", parallelism=2.0)
    made = replace(made, arguments={"num_parallel_calls": 2})
    seen = pipeline(stage("source", "range", elements=600), made, static=False)
    there = Buffered("parallel", round(200_000 * waiting), waiting)
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": there})

    (found,) = in_flight_batches(seen, memory_prediction(seen), look)

    assert found == ("parallel", "stages.0", 200_000 * under_way)


@pytest.mark.parametrize(
    ("shape", "letters", "most"),
    [
        # Measured: 6,650 B in use for each record of 6,462 letters in a shuffle, of which 171 B are the element's own.
        ((), 6462, 24 + 6462 + 24),
        ((4,), 100, 496 + 4 * 24),
        ((None,), 100, 124 * 1.5),
        (None, 100, 124 * 1.5),
    ],
)
def test_texts_have_blocks_of_their_own(shape: tuple[int | None, ...] | None, letters: int, most: float) -> None:
    texts = (ComponentView("string", shape),)
    seen = pipeline(
        stage("source", "TFRecordDataset", element=texts),
        stage("stages.0", "shuffle", element=texts, arguments={"buffer_size": 600}),
    )
    size = (24 + letters) * math.prod(one or 1 for one in shape or ())
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("shuffle", 600 * size, 600)})

    (held,) = held_buffers(seen, memory_prediction(seen), look)

    assert held.most == pytest.approx(600 * most)


def test_a_text_beside_an_image_is_small() -> None:
    element = (tensor("uint8", 500_000), ComponentView("string", ()))
    seen = pipeline(
        stage("source", "TFRecordDataset", element=element),
        stage("stages.0", "shuffle", element=element, arguments={"buffer_size": 600}),
    )
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("shuffle", 600 * (500_000 + 32), 600)})

    (held,) = held_buffers(seen, memory_prediction(seen), look)

    assert held.pooled * held.bytes == pytest.approx(600 * 500_000)
    assert held.most - held.bytes == pytest.approx(600 * 24)


@pytest.mark.parametrize(("constant", "each"), [(False, VIEW_BYTES + 4), (True, 24 + 43 + 4)])
def test_texts_of_an_array_are_views(constant: bool, each: int) -> None:
    """Measured: 222 to 233 B in use for a pair of a path and a label in a shuffle, whether of 20 letters or of 100."""
    row = (ComponentView("string", ()), tensor("int32"))
    seen = pipeline(
        stage("source", "from_tensor_slices", element=row, elements=1000, source_bytes=71_000, constant=constant),
        stage("stages.0", "shuffle", element=row, arguments={"buffer_size": 1000}),
    )
    look = Look(1.0, "measure", 1, 0, 0, {"stages.0": Buffered("shuffle", 71_000, 1000)})

    (held,) = held_buffers(seen, memory_prediction(seen), look)

    assert (held.bytes, held.unsized) == (1000 * each, constant)
    if not constant:
        assert 222 < held.bytes / 1000 + held.overhead < 233


def test_the_table_of_stages_has_the_buffers_of_the_look_that_the_ledger_is_made_from() -> None:
    seen = view()
    assert seen.profile is not None
    profile = seen.profile
    profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=710 * MB, peak_phase="measure")
    (row,) = [one for one in profile.stages or [] if one.id == "stages.0"]
    row.buffered_bytes, row.buffered_elements = 3 * MB, 6.0
    account(profile, LedgerInput(report(), [look(1, 200, 200), look(2, 3, 3)], seen, origin=0.0))

    assert (row.buffered_bytes, row.buffered_elements) == (entry(profile, "shuffle").bytes, 400)
    assert row.buffered_bytes == pytest.approx(200 * MB, rel=0.01)

    row.element_spec = [Component(name="words", dtype="variant", shape=None)]
    account(profile, LedgerInput(report(), [look(1, 200, 200), look(2, 3, 3)], seen, origin=0.0))
    assert row.buffered_bytes is None


def test_windows_by_key_are_the_live_tensors_that_no_other_stage_holds() -> None:
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=IMAGE, elements=5000),
            stage("stages.0", "group_by_window", element=(tensor("uint8", 32, 500_000),)),
            stage("stages.1", "prefetch", element=(tensor("uint8", 32, 500_000),), arguments={"buffer_size": 2}),
        )
    )
    assert seen.profile is not None
    profile = seen.profile
    profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=710 * MB, peak_phase="measure")
    seen_at = Look(1, "measure", 1, 0, 200 * MB, {"stages.1": Buffered("prefetch", 32 * MB, 2)})
    account(profile, LedgerInput(report(), [seen_at], seen, origin=0.0))

    held = {one.owner: one for one in profile.memory.ledger or [] if one.stage == "stages.0"}
    assert held["batch"].bytes == pytest.approx((200 - 32 - 0.5) * MB)
    assert held["batch"].how == "measured"


def test_what_calls_are_given_and_make_is_not_what_the_pools_chunks_are_larger() -> None:
    """Two calls, each with an element of 50 MB and a result of the same size, beside four in the buffer."""
    large = (tensor("uint8", 50_000_000),)
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=large, elements=5000),
            stage("stages.0", "shuffle", element=large, arguments={"buffer_size": 4}),
            stage("stages.1", "map", element=large, arguments={"num_parallel_calls": 2}, parallelism=2),
        )
    )
    assert seen.profile is not None
    memory = seen.profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=930 * MB, peak_phase="measure")
    looks = [Look(1, "measure", 1, 0, 400 * MB, {"stages.0": Buffered("shuffle", 200 * MB, 4)})]
    readings = [*report().readings[:-1], reading("measure", 930, 400)]
    account(seen.profile, LedgerInput(report(readings=readings, batch_bytes=0), looks, seen, origin=0.0))

    (held,) = [one for one in memory.ledger or () if one.owner == "shuffle"]
    assert held.bytes == pytest.approx(200 * MB, rel=0.01)


def test_a_batch_that_is_taken_apart_is_not_what_the_pools_chunks_are_larger() -> None:
    batches = (tensor("uint8", 40, 500_000),)
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=batches, elements=5000),
            stage("stages.0", "unbatch", element=IMAGE),
            stage("stages.1", "shuffle", element=IMAGE, arguments={"buffer_size": 400}),
        )
    )
    assert seen.profile is not None
    memory = seen.profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=730 * MB, peak_phase="measure")
    held = {"stages.1": Buffered("shuffle", 200 * MB, 400)}
    looks = [Look(1, "measure", 1, 0, 220 * MB, held), Look(2, "trace", 1, 0, 220 * MB, held)]
    readings = [*report().readings[:-1], reading("measure", 730, 220)]
    account(seen.profile, LedgerInput(report(readings=readings, batch_bytes=0), looks, seen, origin=0.0))

    found = {one.owner: one.bytes / MB for one in memory.ledger or () if one.stage}
    assert found == {"batch": 20, "shuffle": pytest.approx(200, rel=0.01)}


def test_windows_of_buckets_are_the_live_tensors_too() -> None:
    rows = (tensor("float32", None, 16),)
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=rows, elements=5000),
            stage("stages.0", "prefetch", element=rows, arguments={"buffer_size": 100}),
            stage("stages.1", "bucket_by_sequence_length", element=rows, arguments={"bucket_batch_sizes": [8, 4]}),
        )
    )
    seen = replace(seen, stages=tuple(replace(one, measured=None) for one in seen.stages))
    (window,) = window_buffers(seen, memory_prediction(seen), Look(1, "measure", 1, 0, 200 * MB, {}))

    assert (window.owner, window.stage, window.windows, window.pool_only) == ("batch", "stages.1", True, False)


def test_of_stretches_with_the_same_peak_the_pools_fullest_counts() -> None:
    readings = [*report().readings[:-2], reading("warmup", 710, 20, 200), reading("measure", 710, 20, 40)]
    looks = [look(1, 200, 200, "warmup"), look(2, 10, 20)]
    profile, _ = accounted(readings=readings, looks=looks)

    assert entry(profile, "shuffle").bytes == pytest.approx(200 * MB, rel=0.01)
    assert [one.owner for one in profile.memory.ledger or () if one.owner == "slack"] == []

    grown = [*readings[:-1], reading("measure", 730, 20, 40)]
    assert entry(accounted(readings=grown, peak=730, looks=looks)[0], "slack").bytes == 160 * MB


@pytest.mark.parametrize(
    ("nbytes", "holes"), [(8, 0.45 * (171 + 8)), (20_000, 0.45 * 171 + 0.8 * 20_000), (300_000, 77)]
)
def test_large_blocks_may_leave_more_holes_than_is_usual(nbytes: int, holes: float) -> None:
    element = (tensor("uint8", nbytes),)
    seen = pipeline(
        stage("source", "fixed_length_records", element=element),
        stage("stages.0", "shuffle", element=element, arguments={"buffer_size": 100}),
    )
    at = Look(1, "measure", 1, 0, 0, {"stages.0": Buffered("shuffle", 100 * nbytes, 100)})
    (found,) = held_buffers(seen, memory_prediction(seen), at)

    assert found.holes == pytest.approx(holes, abs=1)


def budgeted(element_bytes: int, limit: int) -> bool:
    """Whether a budget of 10 GB exceeds a limit, of which 500 MB are TensorFlow's own."""
    element = (tensor("uint8", element_bytes),)
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=element),
            stage("stages.0", "prefetch", element=element, arguments={"buffer_size": -1}, tunable=True),
        )
    )
    assert seen.profile is not None
    profile = seen.profile
    profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=510 * MB, peak_phase="measure")
    profile.host = profile.host.model_copy(update={"memory_limit_bytes": limit * MB})
    held = {"stages.0": Buffered("prefetch", 4 * MB, 4)}
    shown = [Look(at, "measure", at, 0, 4 * MB, held, 10_000.0 * MB) for at in (1, 2)]
    account(profile, LedgerInput(report(), shown, seen, origin=0.0))
    assert profile.memory.autotune is not None
    assert profile.memory.autotune.budget_bytes == 10_000 * MB
    return profile.memory.autotune.exceeds_limit


@pytest.mark.parametrize(
    ("element_bytes", "limit", "exceeds"),
    [
        (1 * MB, 2000, True),
        (1 * MB, 4000, False),
        (100, 2000, False),
        (100 * MB, 10_000, True),
        (100 * MB, 11_000, False),
    ],
)
def test_the_budget_matters_where_a_tuned_prefetch_could_outgrow_the_limit(
    element_bytes: int, limit: int, exceeds: bool
) -> None:
    """A tuned prefetch doubles up to 2,048 elements: of 1 MB that is more than 1,500 MB, of 100 B it is nothing."""
    assert budgeted(element_bytes, limit) is exceeds


def test_a_leak_is_told_in_plain_numbers() -> None:
    def kept(at: int) -> Look:
        """1,200 MB per 1,000 steps, at one step a second."""
        by_stage = {"stages.0": Buffered("shuffle", 200 * MB, 400)}
        grown = round(1.2 * MB * at)
        return Look(float(at), "measure", at, 0, 200 * MB + grown, by_stage, rss=700 * MB + grown)

    seen = view()
    assert seen.profile is not None
    profile = seen.profile
    profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=820 * MB, peak_phase="measure")
    (message,) = account(profile, LedgerInput(report(), [kept(at) for at in range(100)], seen, origin=0.0))

    assert message.code == "leak"
    # 1.2 MB a step.
    assert message.message.startswith("Memory grows by 1.14 MiB a step: 110 MiB over the last 96 steps, after all")


@pytest.mark.parametrize("leaks", [True, False])
def test_a_training_that_keeps_its_batches_is_suspected_also_if_nothing_is_seen_between_its_epochs(leaks: bool) -> None:
    """Thirty steps an epoch, each of which takes 3 s; between two epochs pass 300 s in which nothing is looked at."""

    def kept(at: int) -> Look:
        epoch, grown = at // 30, 3 * MB * at if leaks else 0
        # Each epoch fills its buffers anew.
        by_stage = {"stages.0": Buffered("shuffle", (30 - at % 30) * MB, 400)}
        return Look(3.0 * at + 300 * epoch, "measure", at, epoch, None, by_stage, rss=700 * MB + grown)

    seen = view()
    assert seen.profile is not None
    seen.profile.training = Training(consumer="loop")
    seen.profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=1100 * MB, peak_phase="measure")
    readings = [replace(reading("warmup", 700), mapped=0), replace(reading("measure", 1030), mapped=300 * MB * leaks)]
    more = {"readings": [*report().readings, *readings]}
    found = account(seen.profile, LedgerInput(report(**more), [*map(kept, range(0, 120, 4))], seen, origin=0.0))
    assert [message.code for message in found] == ["leak"] * leaks
    if leaks:
        assert found[0].message.startswith("Memory grows by 2.")


@pytest.mark.parametrize(("live", "owned"), [(12 * MB, 0), (200 * MB, 200)])
def test_few_bytes_without_an_owner_are_not_those_of_windows(live: int, owned: int) -> None:
    rows = (tensor("float32", 250_000),)
    seen = measured(
        pipeline(
            stage("source", "from_generator", element=rows, elements=5000),
            stage("stages.0", "group_by_window", element=rows),
        )
    )
    assert seen.profile is not None
    memory = seen.profile.memory = Memory(baseline_bytes=500 * MB, peak_bytes=500 * MB + live, peak_phase="measure")
    looks = [Look(1, "measure", 1, 0, live, {}), Look(2, "trace", 1, 0, live, {})]
    readings = [*report().readings[:-1], reading("measure", 500 + live // MB, live // MB)]
    account(seen.profile, LedgerInput(report(readings=readings, batch_bytes=0), looks, seen, origin=0.0))
    assert sum(one.bytes for one in memory.ledger or () if one.owner == "batch") // MB == pytest.approx(owned, abs=2)


@pytest.mark.parametrize(
    ("owner", "nbytes", "passing", "model", "held"),
    [
        ("prefetch", 2 * MB, 2 * MB, 0, 0),
        ("prefetch", 2 * MB, 2 * MB, 4 * MB, 4 * MB),
        ("prefetch", 3 * MB, 1 * MB, 0, 2 * MB),
        ("parallel", 3 * MB, 1 * MB, 0, 3 * MB),
    ],
)
@pytest.mark.parametrize("chunks", [1.0, 1.5])
def test_what_passes_a_prefetch_is_not_in_its_buffer(
    owner: Any, nbytes: int, passing: int, model: int, held: int, chunks: float
) -> None:
    """Nor is what the pool's chunks are larger than its tensors."""
    row = Stage(id="stages.0", op="prefetch", origin="written", buffered_bytes=model, buffered_elements=1)
    profile: Any = SimpleNamespace(stages=[row])
    state_buffers(profile, Ledger([Entry(owner, "stages.0", nbytes, "model", passing=passing, chunks=chunks)]))
    assert row.buffered_bytes == (held if held == model else round(held / chunks))


def test_a_shuffle_takes_the_memory_of_its_chunks() -> None:
    row = Stage(id="stages.0", op="shuffle", origin="written", buffered_bytes=0, buffered_elements=1)
    profile: Any = SimpleNamespace(stages=[row])
    state_buffers(profile, Ledger([Entry("shuffle", "stages.0", 3 * MB, "model", chunks=1.5)]))
    assert row.buffered_bytes == 3 * MB
