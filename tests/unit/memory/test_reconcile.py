"""The ledger's arithmetic: every byte once, at its owner; slack as measured; the rest is unexplained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeprof.profiles.memory.growth.series import grown_in_use
from pipeprof.profiles.memory.ledger.facts import Buffer, Ledger, LedgerFacts, SourceTensors
from pipeprof.profiles.memory.ledger.pool import kept_free
from pipeprof.profiles.memory.ledger.reconcile import reconcile
from pipeprof.profiles.protocol.messages import BuildMemory, MemoryReading

MB = 1_000_000
BASE = MemoryReading(rss=500 * MB, peak=500 * MB, live=0, live_peak=0, heap=80 * MB, heap_free=3 * MB)


def at(rss: float, live: float = 0, most: float | None = None, heap: float = 80, free: float = 3) -> MemoryReading:
    return MemoryReading(
        rss=round(rss * MB),
        peak=round(rss * MB),
        live=round(live * MB),
        live_peak=round((live if most is None else most) * MB),
        heap=round(heap * MB),
        heap_free=round(free * MB),
    )


def running(now: MemoryReading, *buffers: Buffer, live: float | None = None, **more: object) -> LedgerFacts:
    """A pipeline without a source in memory, at the end of the measurement."""
    idle = at(500)
    readings = {"import": BASE, "build": idle, "iterator": idle, "first": now, "released": now, "measure": now}
    facts = LedgerFacts(
        readings, peak=now.rss, peak_phase="measure", buffers=buffers, live=None if live is None else int(live)
    )
    return replace(facts, **more)  # type: ignore[arg-type]


def of(ledger: Ledger, owner: str) -> float:
    return sum(one.bytes for one in ledger.entries if one.owner == owner) / MB


def total(ledger: Ledger) -> int:
    return sum(one.bytes for one in ledger.entries) + ledger.unexplained


def shuffle(size: float, **more: object) -> Buffer:
    return Buffer("shuffle", "stages.1", size * MB, 100, **more)  # type: ignore[arg-type]


def test_owners_and_what_is_unexplained_make_up_the_peak() -> None:
    facts = running(at(930, live=400), shuffle(400), live=400 * MB)

    found = reconcile(facts)

    assert of(found, "runtime") == 500
    assert of(found, "shuffle") == 400
    assert found.unexplained == 30 * MB
    assert total(found) == facts.peak


def test_several_owners_are_counted_each_for_itself() -> None:
    cache = Buffer("cache", "stages.0", 200 * MB, 10)
    ahead = Buffer("prefetch", "stages.3", 50 * MB, 2)

    found = reconcile(running(at(1150, live=650), shuffle(400), cache, ahead, live=650 * MB))

    assert [of(found, owner) for owner in ("shuffle", "cache", "prefetch")] == [400, 200, 50]
    assert found.unexplained == 0


def test_an_alias_is_listed_with_nothing() -> None:
    found = reconcile(running(at(520), shuffle(400, alias=True), live=0))

    (entry,) = [one for one in found.entries if one.owner == "shuffle"]
    assert (entry.bytes, entry.how) == (0, "alias")
    assert found.unexplained == 20 * MB


def test_what_the_model_does_not_count_comes_from_the_live_tensors() -> None:
    ragged = replace(shuffle(0.1), unsized=True)

    found = reconcile(running(at(910, live=400), ragged, live=400 * MB))

    assert of(found, "shuffle") == pytest.approx(400)


def test_live_tensors_of_unknown_size_are_divided_by_elements_of_the_source() -> None:
    ragged = Buffer("shuffle", "stages.0", 1, 90, unsized=True)
    batches = Buffer("prefetch", "stages.2", 1, 1, unsized=True, weight=10)

    found = reconcile(running(at(910, live=400), ragged, batches, live=400 * MB))

    assert of(found, "shuffle") == pytest.approx(360)
    assert of(found, "prefetch") == pytest.approx(40)


def test_texts_come_from_the_heap() -> None:
    texts = replace(shuffle(200), unsized=True, pooled=0.0)

    found = reconcile(running(at(810, heap=380), texts, live=0))

    assert of(found, "shuffle") == pytest.approx(300)


def test_texts_take_no_more_than_their_letters_and_blocks() -> None:
    texts = replace(shuffle(200), unsized=True, texts=True, pooled=0.0, most=220.0 * MB)

    found = reconcile(running(at(810, heap=380), texts, live=0))

    assert of(found, "shuffle") == pytest.approx(220)
    assert found.unexplained == pytest.approx(90 * MB), "not what the heap has grown by for other reasons"


def test_an_entry_says_how_much_of_it_was_in_the_making() -> None:
    facts = replace(
        running(at(760, live=250), shuffle(200), live=200 * MB), in_flight=[("shuffle", "stages.1", 50 * MB)]
    )

    (one,) = [entry for entry in reconcile(facts).entries if entry.owner == "shuffle"]

    assert one.what == "47.7 MiB of it in flight"
    assert one.passing == 50 * MB


def test_tensors_that_leak_are_nobodys() -> None:
    facts = running(at(810, live=300), shuffle(200), live=300 * MB, leaked=True, batch_bytes=10.0 * MB)
    found = reconcile(facts)

    assert of(found, "python") == pytest.approx(90)
    assert [one.what for one in found.entries if one.owner == "python"] == ["tensors that no stage holds"]
    assert of(found, "consumer") == pytest.approx(10)


def test_python_objects_that_came_after_the_peak_are_not_in_it() -> None:
    found = reconcile(running(at(810, live=200), shuffle(200), live=200 * MB, python=400 * MB))

    assert of(found, "python") == pytest.approx(110)
    assert found.unexplained == 0


def test_sizes_that_are_known_do_not_take_what_is_left() -> None:
    found = reconcile(running(at(910, live=400), shuffle(100), live=400 * MB))

    assert of(found, "shuffle") == 100
    assert found.unexplained == 310 * MB


def test_small_elements_take_more_than_their_values() -> None:
    found = reconcile(running(at(600, heap=180), replace(shuffle(1), pooled=0.0, overhead=170_000.0), live=0))

    assert of(found, "shuffle") == 18


def test_slack_is_what_the_pool_held_before_and_what_is_free_in_the_heap() -> None:
    facts = running(at(730, live=100, heap=80, free=43), shuffle(100), live=100 * MB, trimmed=600 * MB)
    before = {**facts.readings, "first": at(800, live=150, most=180)}

    found = reconcile(replace(facts, readings=before))

    # 180 MB were in use at most and 100 are; 40 were free in the heap when it was measured, whatever came back later.
    assert of(found, "slack") == 80 + 40
    assert total(found) == facts.peak


def test_no_slack_is_made_up_of_what_is_left() -> None:
    found = reconcile(running(at(900, live=100), shuffle(100), live=100 * MB))

    assert of(found, "slack") == 0
    assert found.unexplained == 300 * MB


def test_the_loop_holds_a_batch_of_the_live_tensors() -> None:
    found = reconcile(running(at(760, live=250), shuffle(200), live=250 * MB, batch_bytes=30 * MB))

    assert of(found, "consumer") == 30
    assert found.unexplained == 30 * MB


def test_batches_in_the_making_are_no_more_than_is_live() -> None:
    making = (("batch", "stages.2", 100 * MB),)

    found = reconcile(running(at(560, live=0, most=60), live=0, batch_bytes=20 * MB, in_flight=making))

    assert of(found, "consumer") == 20
    assert of(found, "batch") == 40
    assert of(found, "slack") == 0


ARRAY = (SourceTensors("source", 300 * MB),)


def made(moment: str, peak: float, **more: object) -> LedgerFacts:
    """An array of 300 MB, its tensors, and a copy that was in use while the iterator was made."""
    readings = {
        "import": BASE,
        "build": at(1400, live=300),
        "iterator": at(1710, live=300, most=600),
        "first": at(1410, live=300),
        "released": at(1410, live=300),
        "measure": at(1410, live=300),
    }
    facts = LedgerFacts(readings, peak=round(peak * MB), peak_phase=moment, sources=ARRAY, arrays=300 * MB)
    return replace(facts, **more)  # type: ignore[arg-type]


def test_while_the_iterator_is_made_all_copies_are_the_sources() -> None:
    found = reconcile(made("iterator", 1710))

    assert of(found, "source") == 1210
    assert {one.stage for one in found.entries if one.owner == "source"} == {"source"}
    assert found.unexplained == 0


def test_later_the_source_is_the_array_its_tensors_and_the_residue() -> None:
    found = reconcile(made("measure", 1410))

    assert of(found, "source") == 900
    assert of(found, "slack") == 0
    assert found.unexplained == 10 * MB


def test_residue_that_a_buffer_uses_again_is_the_buffers() -> None:
    facts = made("measure", 1410)
    readings = {**facts.readings, "measure": at(1410, live=400)}
    buffers = (shuffle(100),)

    found = reconcile(replace(facts, readings=readings, buffers=buffers, live=400 * MB))

    assert of(found, "shuffle") == 100
    assert of(found, "source") == 800
    assert total(found) == facts.peak


def test_residue_beside_which_the_process_grew_is_still_there() -> None:
    """Free pieces of the pool that nobody has written to were taken: 100 MB more in use, 105 MB more resident."""
    facts = made("measure", 1515)
    readings = {**facts.readings, "measure": at(1515, live=400)}

    found = reconcile(replace(facts, readings=readings, buffers=(shuffle(100),), live=400 * MB))

    assert (of(found, "shuffle"), of(found, "source")) == (100, 900)
    assert total(found) == facts.peak


def test_holes_between_the_tensors_in_use_are_not_the_residue() -> None:
    """Of 300 MB of residue 285 are in use again; the process grew by 30 MB, of which 15 are such holes."""
    facts = made("measure", 1440)
    readings = {**facts.readings, "measure": at(1440, live=600)}

    found = reconcile(replace(facts, readings=readings, buffers=(shuffle(300),), live=600 * MB))

    assert (of(found, "shuffle"), of(found, "source"), found.unexplained) == (300, 615, 25 * MB)


def test_elements_that_share_a_tensor_take_no_more_than_the_pool_had_in_use() -> None:
    found = reconcile(running(at(512, live=10), shuffle(400), live=10 * MB))

    assert of(found, "shuffle") == pytest.approx(12), "nor more than the process has grown by"
    assert of(reconcile(running(at(920, live=10), shuffle(400), live=10 * MB)), "shuffle") == 400, "arrays of Python's"


def test_sparse_elements_leave_holes_once_it_is_known_how_large_they_are() -> None:
    sparse = replace(shuffle(0), pooled=0.0, unsized=True, overhead=0.0)

    found = reconcile(running(at(640, heap=180, free=33), sparse, live=0))

    assert (of(found, "shuffle"), of(found, "slack")) == (130, 0)


def test_what_is_free_between_elements_of_the_heap_is_the_buffers_and_the_rest_slack() -> None:
    small = replace(shuffle(20), pooled=0.0, overhead=300_000, holes=200_000)

    found = reconcile(running(at(600, heap=130, free=33), small, live=0))

    # 20 MB of values, 30 beside them, and 20 of the 30 that are free.
    assert of(found, "shuffle") == 70
    assert of(found, "slack") == 10


def test_holes_are_no_more_than_what_is_free() -> None:
    small = replace(shuffle(20), pooled=0.0, overhead=300_000, holes=200_000)

    found = reconcile(running(at(600, heap=130, free=8), small, live=0))

    assert of(found, "shuffle") == 55
    assert of(found, "slack") == 0


def test_small_elements_hold_no_more_than_the_heap_has_grown_by() -> None:
    shared = replace(shuffle(20), elements=1000, pooled=0.0, overhead=30_000)

    assert of(reconcile(running(at(600, heap=105), shared, live=0)), "shuffle") == pytest.approx(25)


def test_what_building_has_left_is_nobody_elses() -> None:
    facts = running(at(930, live=400), shuffle(400), live=400 * MB)
    readings = {**facts.readings, "iterator": at(512)}

    found = reconcile(replace(facts, readings=readings))

    assert [one.bytes for one in found.entries if one.what == "building the pipeline"] == [12 * MB - 2400]
    assert found.unexplained == 18 * MB + 2400


def test_batches_in_the_making_fill_chunks_that_are_larger() -> None:
    making = (("batch", "stages.2", 100 * MB),)
    facts = running(at(700, live=0, most=180), live=0, batch_bytes=50 * MB, in_flight=making)

    found = reconcile(facts)

    assert of(found, "batch") == pytest.approx(120)
    assert of(found, "consumer") == pytest.approx(60)
    assert found.unexplained == 20 * MB


def test_an_array_that_is_gone_is_not_counted() -> None:
    facts = made("measure", 1110, arrays=0)

    assert of(reconcile(facts), "source") == 600


def test_two_sources_are_counted_each_at_its_stage() -> None:
    both = (SourceTensors("source.datasets.0.source", 100 * MB), SourceTensors("source.datasets.1.source", 200 * MB))

    found = reconcile(made("measure", 1410, sources=both))

    at_first = sum(one.bytes for one in found.entries if one.stage == both[0].stage)
    assert (at_first / MB, of(found, "source")) == (300, 900)


def test_copies_in_graphs_are_what_building_has_left() -> None:
    facts = made("measure", 2410, captured=[SourceTensors("stages.0", 100 * MB, constant=True)])
    readings = {**facts.readings, "iterator": at(2300, live=300, most=600)}

    assert of(reconcile(replace(facts, readings=readings)), "source") == 1800


def test_python_is_what_was_found_of_it() -> None:
    facts = running(at(900), live=0, python=100 * MB, libraries=20 * MB, children=150 * MB)

    assert of(reconcile(facts), "python") == 270


def test_without_live_bytes_the_model_stands_alone() -> None:
    blind = {"live": None, "live_peak": None}
    facts = running(at(930), shuffle(400), batch_bytes=10 * MB)
    readings = {name: replace(one, **blind) for name, one in facts.readings.items()}  # type: ignore[arg-type]

    found = reconcile(replace(facts, readings=readings))

    assert of(found, "shuffle") == 400
    assert of(found, "consumer") == 10
    assert found.unexplained == 20 * MB


def test_the_pools_chunks_are_larger_than_the_tensors() -> None:
    found = reconcile(running(at(910, live=400), shuffle(300), live=400 * MB, pool_scale=4 / 3))

    assert of(found, "shuffle") == pytest.approx(400)
    assert found.unexplained == pytest.approx(10 * MB)


def test_an_alias_is_listed_also_where_the_peak_was_before() -> None:
    found = reconcile(made("build", 1410, aliases=(("cache", "stages.0"),)))

    assert [(one.owner, one.bytes) for one in found.entries if one.how == "alias"] == [("cache", 0)]


def test_texts_are_as_large_as_they_were_just_after_the_heap_was_read() -> None:
    texts = replace(shuffle(100), unsized=True, texts=True, pooled=0.0)
    more = replace(texts, bytes=200 * MB)
    facts = running(at(900, heap=300), more, live=0, first=(texts,))
    readings = {**facts.readings, "first": at(650, heap=230)}

    found = reconcile(replace(facts, readings=readings))

    assert of(found, "shuffle") == pytest.approx(300)


def test_tensors_that_functions_refer_to_have_a_row() -> None:
    made, first = at(647, live=48, most=96), at(650, live=48)
    readings = {"import": BASE, "build": at(647, live=48, most=96), "iterator": made, "first": first}
    facts = LedgerFacts({**readings, "released": at(602, live=48)}, peak=650 * MB, peak_phase="first", live=48 * MB)

    found = reconcile(facts)

    rows = {one.what: one.bytes / MB for one in found.entries if one.owner == "source"}
    assert rows == {"tensors made while it was built": 48, "a copy that is freed late": 48, "the pool's residue": 48}
    assert found.unexplained == 6 * MB


def built(python: float, peak: float = 0.0, **more: Any) -> BuildMemory:
    return BuildMemory(
        python_peak=round((peak or python) * MB),
        python=round(python * MB),
        file="input.py",
        line=8,
        function="load",
        **more,
    )


def test_python_objects_of_the_build_have_their_line() -> None:
    """A table of 300 MB, which a generator reads from: nothing of it is in TensorFlow's pool."""
    made = at(830)
    readings = {"import": BASE, "build": made, "iterator": made, "first": at(850), "measure": at(850)}
    facts = LedgerFacts(readings, peak=850 * MB, peak_phase="measure", build=built(300), live=0)

    found = reconcile(facts)

    rows = {one.what: (one.bytes / MB, one.place) for one in found.entries if one.owner == "python"}
    assert rows == {"Python objects of the build": (300, ("input.py", 8, "load")), "building the pipeline": (30, None)}
    assert found.unexplained == 20 * MB


def test_at_a_peak_within_the_build_they_are_as_many_as_there_were_then() -> None:
    """900 MB of lists became 100 MB, and TensorFlow's part of the build is not Python's."""
    facts = LedgerFacts(
        {"import": BASE, "build": at(1420, heap=120)}, peak=1420 * MB, peak_phase="build", build=built(100, peak=900)
    )

    found = reconcile(facts)

    assert [(one.what, one.bytes / MB) for one in found.entries[1:]] == [
        ("Python objects of the build", 900),
        ("building the pipeline", 20),
    ]
    assert found.unexplained == 0


def test_arrays_of_sources_large_objects_and_arrows_pool_are_not_counted_twice() -> None:
    made = at(1100, live=100)
    readings = {"import": BASE, "build": made, "iterator": made, "first": made, "released": made, "measure": made}
    facts = LedgerFacts(
        readings,
        peak=1100 * MB,
        peak_phase="measure",
        sources=(SourceTensors("source", 100 * MB),),
        arrays=100 * MB,
        python=150 * MB,
        build=built(500, arrow=80 * MB),
        live=100 * MB,
    )

    found = reconcile(facts)

    rows = {one.what: one.bytes / MB for one in found.entries if one.owner in ("python", "source")}
    assert rows["the array"] == rows["TensorFlow's tensors"] == 100
    assert rows["large Python objects"] == 150
    assert rows["pyarrow's memory pool"] == 80
    assert rows["Python objects of the build"] == 500 - 100 - 150 - 80
    assert total(found) == facts.peak


def test_an_array_that_became_a_source_and_was_freed_is_one_of_its_copies() -> None:
    made = at(1160, live=320)
    facts = LedgerFacts(
        {"import": BASE, "build": made, "iterator": made},
        peak=1500 * MB,
        peak_phase="iterator",
        sources=(SourceTensors("source", 320 * MB),),
        build=built(0, peak=320),
        live=320 * MB,
    )

    found = reconcile(facts)

    assert [one.what for one in found.entries if one.owner == "python"] == []
    assert sum(one.bytes for one in found.entries if one.owner == "source") == 1000 * MB
    assert found.unexplained == 0


def test_a_pool_of_unknown_size_is_no_pool_of_zero_bytes() -> None:
    made = at(800)
    readings = {"import": BASE, "build": made, "iterator": made, "first": made, "measure": made}
    facts = LedgerFacts(readings, peak=800 * MB, peak_phase="measure", build=built(300, arrow=None), live=0)

    found = reconcile(facts)

    rows = {one.what: one.bytes / MB for one in found.entries if one.owner == "python"}
    assert rows["Python objects of the build or pyarrow's memory pool"] == 300
    assert "pyarrow's memory pool" not in rows
    assert "Python objects of the build" not in rows
    assert total(found) == facts.peak


def test_what_the_build_freed_and_the_heap_keeps_is_the_allocators() -> None:
    made = at(800, free=203)
    readings = {"import": BASE, "build": made, "iterator": made, "first": made, "measure": made}
    facts = LedgerFacts(readings, peak=800 * MB, peak_phase="measure", build=built(300), live=0)

    found = reconcile(facts)

    assert of(found, "python") == pytest.approx(100)
    assert of(found, "slack") == pytest.approx(200)


def test_freed_memory_is_a_range_over_the_readings() -> None:
    first = replace(at(700, live=10, free=103), pool=60 * MB)
    warm, last = replace(at(700, free=43), near_free=53 * MB), replace(at(700, live=40, free=203), pool=60 * MB)

    found = kept_free({"import": BASE, "first": first, "warmup": warm, "measure": last})

    assert [round(one / MB) for one in found] == [150, 100, 110, 220]
    assert kept_free({"first": first}) == []


def test_next_to_no_tensors_are_not_told() -> None:
    assert not of(reconcile(running(at(930, live=400), shuffle(400), live=400 * MB)), "source")
    small = {name: at(501, live=0.5) for name in ("build", "iterator", "first", "released", "measure")}
    assert not of(reconcile(LedgerFacts({"import": BASE, **small}, peak=501 * MB, peak_phase="measure")), "source")


def test_small_objects_of_a_leak_are_what_is_left_as_far_as_there_are_so_many_more() -> None:
    """Half a million objects more take at most 256 MB; nothing else has grown."""
    facts = running(replace(at(800), blocks=900_000), leaked=True)
    readings = {**facts.readings, "iterator": replace(at(500), blocks=400_000)}
    many = replace(facts, readings=readings)

    assert of(reconcile(many), "python") == 256
    assert reconcile(many).unexplained == 44 * MB
    assert of(reconcile(replace(many, leaked=False)), "python") == 0
    assert of(reconcile(facts), "python") == 0, "how many there were is not known"


def test_blocks_in_use_are_the_heaps_and_pythons() -> None:
    before = replace(at(600, live=50, heap=80, free=3), mapped=0, blocks=1_000_000)
    after = replace(at(700, live=70, heap=100, free=13), mapped=5 * MB, blocks=1_100_000)

    assert grown_in_use(before, after) == (25 + 45) * MB, "20 MB of the rise are the pool's, and 10 MB free"
    assert grown_in_use(before, replace(after, blocks=1_000_000)) == 25 * MB
    assert grown_in_use(before, replace(after, blocks=900_000)) == 25 * MB
    assert grown_in_use(before, replace(after, blocks=None)) == 25 * MB
    assert grown_in_use(before, replace(after, mapped=None)) is None


def test_windows_are_as_full_as_the_pool_was_at_its_peak() -> None:
    """The look saw 200 MB of them; at its peak the pool had 300 MB more in use, of which 40 are known."""
    windows = Buffer("batch", "stages.0", 0.0, 1.0, unsized=True, pool_only=True, windows=True)
    facts = running(at(1050, live=540), windows, live=220 * MB, batch_bytes=20.0 * MB)
    facts = replace(facts, in_flight=(("batch", "stages.1", 20 * MB),))

    found = reconcile(facts)

    assert {(one.owner, one.stage): one.bytes / MB for one in found.entries if one.bytes} == {
        ("runtime", None): 500,
        ("batch", "stages.0"): pytest.approx(500),
        ("consumer", None): 20,
        ("batch", "stages.1"): 20,
    }
    assert found.unexplained == pytest.approx(10 * MB)


def refilled(peak: float, near_free: float) -> LedgerFacts:
    """A shuffle of 100 MB of texts, read when it is half empty; its latest epoch began with `near_free` free MB.

    Before an epoch 80 MB of the heap are in use, and 180 when the buffer is full.
    """
    end = replace(at(680, heap=130, free=53), peak=round(peak * MB), heap_most=180 * MB)
    end = replace(end, near_rss=round((497 + near_free) * MB), near_heap=80 * MB, near_free=round(near_free * MB))
    buffer = shuffle(100, unsized=True, texts=True, pooled=0.0, most=105 * MB)
    facts = running(end, buffer, first=(buffer,), peak=round(peak * MB))
    full = at(600, heap=180)
    return replace(facts, readings={**facts.readings, "first": full, "released": full})


def test_free_memory_that_a_new_epoch_does_not_use_is_slack() -> None:
    """From 645 MB on the process grew by all that the buffer takes."""
    found = reconcile(refilled(peak=745, near_free=148))

    assert [of(found, "shuffle"), of(found, "slack"), found.unexplained] == [100, 145, 0]


def test_what_a_new_epoch_uses_again_is_no_slack() -> None:
    """It grew by 30 MB, so that 70 lie in what was free."""
    found = reconcile(refilled(peak=675, near_free=148))

    assert [of(found, "shuffle"), of(found, "slack"), found.unexplained] == [100, 75, 0]


def test_more_than_a_new_epoch_takes_is_unexplained_and_no_slack() -> None:
    found = reconcile(refilled(peak=800, near_free=148))

    assert [of(found, "slack"), found.unexplained] == [145, 55 * MB]


def test_what_buffers_lack_is_no_slack_either() -> None:
    """The heap took 100 MB more for a buffer of which 50 are known."""
    facts = refilled(peak=675, near_free=148)
    (buffer,) = facts.buffers
    half = replace(buffer, bytes=50 * MB, most=50 * MB)

    found = reconcile(replace(facts, buffers=(half,), first=(half,)))

    assert [of(found, "shuffle"), of(found, "slack"), found.unexplained] == [50, 75, 50 * MB]


def paged(now: MemoryReading, pool: float, hidden: float = 0) -> MemoryReading:
    return replace(now, pool=round(pool * MB), pool_hidden=round(hidden * MB))


def test_what_the_pool_has_resident_beyond_its_tensors_is_slack() -> None:
    found = reconcile(running(paged(at(1000, live=400), pool=470), shuffle(400), live=400 * MB))

    assert [of(found, "shuffle"), of(found, "slack"), found.unexplained] == [400, 70, 30 * MB]


def test_the_pools_pages_of_a_later_stretch_are_those_of_the_peak() -> None:
    """They are not counted when steps are about to be measured, and it never gives memory back."""
    facts = running(at(1000, live=400), shuffle(400), live=400 * MB, peak_phase="warmup")
    readings = {**facts.readings, "first": paged(at(600, live=50), pool=60), "warmup": facts.readings["measure"]}
    del readings["measure"]

    found = reconcile(replace(facts, readings={**readings, "measure": paged(at(900, live=300), pool=470)}))

    assert [of(found, "slack"), found.unexplained] == [70, 30 * MB]


def test_chunks_count_as_far_as_somebody_wrote_to_them() -> None:
    """Chunks of 480 MB hold tensors of 400, of which 40 MB have never been written to."""
    facts = running(paged(at(960, live=480), pool=440), shuffle(400), live=480 * MB, pool_scale=1.2)

    found = reconcile(facts)

    assert [of(found, "shuffle"), of(found, "slack")] == [pytest.approx(440), 0]


def test_regions_that_were_not_found_may_have_been_written_to() -> None:
    facts = running(paged(at(960, live=480), pool=440, hidden=31), shuffle(400), live=480 * MB, pool_scale=1.2)

    assert of(reconcile(facts), "shuffle") == pytest.approx(471)


def test_tensors_are_written_to_whatever_their_chunks_are() -> None:
    facts = running(paged(at(960, live=480), pool=300), shuffle(200), live=480 * MB, pool_scale=1.1)

    assert of(reconcile(facts), "shuffle") == pytest.approx(200)


def indexed(now: MemoryReading, index: float) -> MemoryReading:
    return replace(now, pool_index=round(index * MB))


def test_the_pools_index_is_slack_by_its_own_measurement() -> None:
    facts = running(indexed(paged(at(980, live=400), 400), 20), shuffle(300), live=300 * MB)

    found = reconcile(replace(facts, batch_bytes=100 * MB))

    assert [of(found, owner) for owner in ("shuffle", "consumer", "slack")] == [300, 100, 20]


def test_the_index_of_regions_that_were_there_before_is_the_sources() -> None:
    now = indexed(paged(at(980, live=400), 400), 20)
    facts = running(now, shuffle(300), live=400 * MB)
    made = at(600, live=100)
    known = {**facts.readings, "iterator": indexed(paged(made, 100), 8)}
    unknown = {**facts.readings, "iterator": made}

    assert of(reconcile(replace(facts, readings=known)), "slack") == pytest.approx(12)
    assert of(reconcile(replace(facts, readings=unknown)), "slack") == pytest.approx(0)


def test_what_chunks_take_beyond_their_tensors_is_that_of_large_ones() -> None:
    """Elements of 1 MB beside results of 50 MB, in chunks that are larger by a tenth of all of them."""
    small = Buffer("shuffle", "stages.1", 300 * MB, 300)
    large = Buffer("parallel", "stages.0", 100 * MB, 2)
    facts = running(at(980, live=440), small, large, live=440 * MB, pool_scale=1.1)

    found = reconcile(facts)

    assert of(found, "shuffle") == pytest.approx(300 + 40 * 300 / 5300, abs=0.1)
    assert of(found, "parallel") == pytest.approx(100 + 40 * 5000 / 5300, abs=0.1)


def test_a_chunk_is_at_most_twice_as_large_as_its_tensor() -> None:
    small = Buffer("shuffle", "stages.1", 300 * MB, 300)
    large = Buffer("parallel", "stages.0", 20 * MB, 1)

    found = reconcile(running(at(980, live=400), small, large, live=400 * MB, pool_scale=1.25))

    assert of(found, "parallel") == pytest.approx(40)
