"""Places for a cut, and what they cost, from recorded runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.pipelines.ops.base import parse_stage
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import OpCost, Service, Stage
from pipeprof.profiles.model.costs import DEFAULT
from pipeprof.profiles.scale.cuts import LARGEST_IN_GRAPH, Cut, cuts_of, most_alone, reads_from_service

Recorded = Callable[[str], Profile]
IMAGES = 19_267_584


def by_stage(profile: Profile) -> dict[str, Cut]:
    return {cut.stage.id: cut for cut in cuts_of(profile, DEFAULT)}


def stage(profile: Profile, address: str) -> Stage:
    return next(one for one in profile.stages or () if one.id == address)


def test_every_stage_is_a_place_but_what_runs_ahead(recorded: Recorded) -> None:
    found = by_stage(recorded("jpeg-folder"))
    assert list(found) == ["source", "stages.0", "stages.1", "stages.2", "stages.3"]
    assert not [cut.why for cut in found.values() if cut.why]


def test_a_batch_is_one_message_and_its_rows_are_many(recorded: Recorded) -> None:
    found = by_stage(recorded("jpeg-folder"))
    assert found["stages.3"].messages == 1
    assert found["stages.1"].messages == pytest.approx(32, rel=0.01)
    assert found["stages.3"].sent == IMAGES


def test_both_sides_together_have_all_of_the_cpu_time_and_the_transport(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    assert profile.cpu is not None
    own = profile.cpu.total_ms - (profile.cpu.pipeprof_ms or 0.0)
    for cut in by_stage(profile).values():
        assert cut.load is not None
        mb = (cut.sent or 0.0) / 1e6
        sent = (cut.messages or 1.0) * DEFAULT.sent_message_ms + mb * DEFAULT.sent_mb_ms
        received = (cut.messages or 1.0) * DEFAULT.received_message_ms + mb * DEFAULT.received_mb_ms
        assert cut.load.worker_ms + cut.load.client_ms == pytest.approx(own + sent + received)


def test_a_loop_that_only_gets_batches_tells_what_that_takes(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    assert profile.cpu is not None
    assert profile.device is not None
    loops = {cut.load.loop_ms for cut in by_stage(profile).values() if cut.load is not None}
    assert loops == {profile.cpu.loop_ms}
    profile.device.kind = "python"
    assert {cut.load.loop_ms for cut in by_stage(profile).values() if cut.load is not None} == {0.0}


def test_one_call_at_a_time_bounds_a_worker_from_that_stage_on(recorded: Recorded) -> None:
    found = by_stage(recorded("jpeg-folder"))
    most = {address: cut.load.most for address, cut in found.items() if cut.load is not None}
    assert most["stages.0"] > 10_000
    others = {address: cut.load.client_most for address, cut in found.items() if cut.load is not None}
    assert others["stages.0"] == pytest.approx(21.79, abs=0.01)
    assert others["stages.1"] > 300
    assert most["stages.1"] == most["stages.3"] == pytest.approx(21.79, abs=0.01)


def test_a_cut_that_leaves_all_of_the_work_here_gives_no_more_than_there_is(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    for one in profile.stages or ():
        one.ceiling_resource = "cores"
    found = by_stage(profile)
    first, last = found["source"].load, found["stages.3"].load
    assert first is not None
    assert first.client_most == pytest.approx(21.79, rel=0.01)
    assert last is not None
    assert last.client_most > 20_000


def test_a_pipeline_that_used_all_cores_is_not_bounded_by_what_it_reached(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    assert profile.throughput is not None
    assert profile.throughput.batches_per_second is not None
    assert profile.cpu is not None
    alone = most_alone(profile)
    assert alone == pytest.approx(21.79, abs=0.01)
    profile.throughput.batches_per_second *= 0.9
    assert most_alone(profile) == pytest.approx(0.9 * alone)
    profile.host.cores = profile.throughput.batches_per_second * profile.cpu.total_ms / 1e3
    assert most_alone(profile) > alone


def test_a_pipeline_far_below_its_slowest_stage_is_not_bounded_by_what_it_reached(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    assert profile.throughput is not None
    profile.throughput.batches_per_second = 10.0
    assert most_alone(profile) > 21.79


@pytest.mark.parametrize(
    ("op", "why"),
    [
        ("take", "take counts elements: each worker would count its own"),
        ("scan", "scan carries a state from element to element: each worker would have its own"),
        ("unique", "unique compares elements with those before: each worker would know only its own"),
        ("enumerate", "enumerate numbers the elements: each worker would count its own"),
    ],
)
def test_what_depends_on_all_elements_ends_the_part_of_the_workers(recorded: Recorded, op: str, why: str) -> None:
    profile = recorded("jpeg-folder")
    stage(profile, "stages.1").op, stage(profile, "stages.1").name = op, None
    found = by_stage(profile)
    assert [cut.why for cut in found.values()] == [None, None, why, why, why]
    assert all(cut.load is None for cut in found.values() if cut.why)


@pytest.mark.parametrize("op", ["filter", "shard", "ignore_errors", "cache", "shuffle"])
def test_what_a_worker_can_do_alone_prevents_nothing(recorded: Recorded, op: str) -> None:
    profile = recorded("jpeg-folder")
    stage(profile, "stages.1").op = op
    assert not [cut.why for cut in by_stage(profile).values() if cut.why]


def test_python_stays_here(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    stage(profile, "stages.1").ops = [OpCost(op="EagerPyFunc", ms_per_batch=1.0)]
    assert by_stage(profile)["stages.3"].why == "decode calls Python, which only this process can run"
    assert by_stage(profile)["stages.0"].why is None


def test_a_window_of_datasets_is_sent_only_after_its_datasets_are_read(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    stage(profile, "stages.2").op = "window"
    found = by_stage(profile)
    assert found["stages.2"].why == "its elements are datasets, which cannot be sent"
    assert found["stages.3"].why is None


def test_a_large_array_cannot_travel_in_a_graph(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    source = stage(profile, "source")
    source.op, source.cardinality, source.bytes_per_element = "from_tensor_slices", 1000, LARGEST_IN_GRAPH / 500
    assert "holds 2.00 GiB, which would travel inside the graph" in (by_stage(profile)["stages.3"].why or "")


def test_a_cut_is_an_edit_with_a_service_of_pipeprofs(recorded: Recorded) -> None:
    edit = by_stage(recorded("jpeg-folder"))["stages.3"].edit("parallel_epochs")
    made = parse_stage({edit.op: dict(edit.arguments)})
    assert edit.after == "stages.3"
    assert (made.service, made.processing_mode, made.compression) == ("local", "parallel_epochs", None)  # type: ignore[attr-defined]


def test_a_pipeline_that_reads_from_a_service_is_known(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    assert reads_from_service(profile) is None
    stage(profile, "stages.3").service = Service(address="localhost:5000")
    found = reads_from_service(profile)
    assert found is not None
    assert found.id == "stages.3"
