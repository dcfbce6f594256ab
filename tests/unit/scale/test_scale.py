"""The whole of `scale` with made-up measurements: what is measured, and what is concluded from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.scale_world import ALONE, SPEC, World

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.findings import Better, Scale
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.scale import scale as module
from pipeprof.profiles.scale.rates import Price
from pipeprof.profiles.scale.scale import ScalePlan, scale

Scaling = Callable[..., Scale]
IMAGES = 19_267_584
"""Bytes of a batch."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    found = World([ALONE, 20.0, 40.0, 49.0, 49.5, 49.5, 49.5, 49.5, 49.5])
    monkeypatch.setattr(module, "measure_numbers", found.measure)
    monkeypatch.setattr(module, "measure_transport", found.measure_transport)
    return found


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    found = recorded("jpeg-folder")
    found.target.sha256 = None
    return found


@pytest.fixture
def scaled(world: World, profile: Profile, tmp_path: Path) -> Scaling:
    del world
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    settings = RunSettings(ParsedTarget("spec", path), check_spec(path), lock=False)

    def call(better: Better | None = None, **plan: Any) -> Scale:
        scale(profile, settings, ScalePlan(**plan), Silent(), better=better)
        assert profile.scale is not None
        return profile.scale

    return call


def test_the_number_after_which_one_more_adds_little(world: World, scaled: Scaling) -> None:
    found = scaled(worker_cores=2.0)
    assert (found.status, found.workers) == ("workers", 3)
    assert found.sentence == "3 workers of 2 cores; a fourth adds 1.0 %"
    assert world.asked[0] == [0, 1]
    assert world.asked[-1] == [0, 1, 2, 3, 4]
    rows = {row.workers: row for row in found.rows}
    assert rows[3].speedup == pytest.approx(49.0 / ALONE, rel=1e-3)
    assert rows[4].step_up == pytest.approx(49.5 / 49.0, rel=1e-3)
    assert rows[2].predicted == pytest.approx(40.0, rel=0.01)
    assert (rows[2].predicted_by, rows[2].memory_bytes) == ("worker", 2 * 10**8)


def test_one_worker_is_measured_before_more_are(world: World, scaled: Scaling) -> None:
    scaled()
    assert world.asked[0] == [0, 1]
    assert max(world.asked[1]) > 1


def test_all_processes_are_smaller_by_the_factor_of_the_step(world: World, scaled: Scaling) -> None:
    found = scaled(worker_cores=4.0)
    assert found.factor is not None
    assert found.factor < 1
    last = world.jobs[-1]
    assert [job.step.arguments["base_ms"] for job in last.values()] == [pytest.approx(20.0 / found.factor)] * 5
    assert [job.workers for job in last.values()] == [None, 1, 2, 3, 4]
    assert all(job.shares is not None and job.shares.client is not None for job in last.values())


def test_what_the_loop_takes_is_added_to_the_step(world: World, scaled: Scaling) -> None:
    world.loop_ms = 5.0
    found = scaled(worker_cores=4.0)
    assert (found.rows[3].predicted, found.rows[3].limit) == (pytest.approx(1e3 / (20.0 + 5.0)), "step")
    assert {job.shares.factor for job in world.jobs[-1].values() if job.shares is not None} == {found.factor}


def test_workers_that_give_nothing_are_a_no(world: World, scaled: Scaling) -> None:
    world.rates = [ALONE, 10.0, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0, 11.0]
    found = scaled(most=2)
    assert (found.status, found.workers) == ("no", 0)
    assert found.sentence == (
        "no: 1 worker of 2 cores gives 0.459× (0.459–0.459); 2 are predicted to give 0.918×, limited by the workers"
    )


def test_one_worker_that_tells_enough_ends_the_measuring(world: World, scaled: Scaling) -> None:
    world.rates = [ALONE, 2.0]
    found = scaled()
    assert world.asked == [[0, 1]]
    assert found.sentence == (
        "no: 1 worker of 2 cores gives 1/10.9× (1/10.9–1/10.9); 8 are predicted to give 0.734×, limited by the workers"
    )


def test_a_step_that_never_waits_needs_no_measurement(world: World, scaled: Scaling, profile: Profile) -> None:
    assert profile.steps is not None
    profile.steps.wait_share = 0.01
    found = scaled()
    assert (found.status, found.sentence) == (
        "no",
        "no: the device waits 1.0 % of its time, which is the most that workers could save",
    )
    assert (world.asked, world.transport) == ([], 0)


def test_a_fix_that_gives_as_much_comes_first(world: World, scaled: Scaling) -> None:
    found = scaled(Better(title="Cache after decode", speedup=2.5, low=2.4))
    assert found.sentence == "no: the fix `Cache after decode` gives 2.50× without any worker"
    assert (found.status, world.asked) == ("no", [])


def test_a_small_fix_is_named_beside_the_workers(scaled: Scaling) -> None:
    found = scaled(Better(title="Prefetch", speedup=1.1, low=1.05))
    assert found.status == "workers"
    assert found.better is not None


def test_without_a_measurement_nothing_is_recommended(world: World, scaled: Scaling) -> None:
    found = scaled(predict_only=True, worker_cores=2.0)
    assert (found.status, found.workers) == ("predicted", None)
    assert found.sentence.startswith("3 workers of 2 cores are predicted to give 2.25×; a fourth adds nothing")
    assert found.sentence.endswith("; nothing was measured")
    assert (world.asked, world.transport) == ([], 0)
    assert [row.batches_per_second for row in found.rows] == [None] * len(found.rows)


def test_a_cut_that_tensorflow_refuses_is_listed_and_the_next_one_is_measured(world: World, scaled: Scaling) -> None:
    world.refuses = ["stages.3"]
    found = scaled()
    assert found.stage != "stages.3"
    refused = {cut.stage: cut.refused for cut in found.cuts if cut.refused}
    assert refused == {"stages.3": "TensorFlow does not accept the new stage"}
    assert found.status == "workers"


def test_a_worker_that_was_killed_says_nothing_against_the_cut(world: World, scaled: Scaling) -> None:
    world.kills = "worker 1 of 1 was killed"
    found = scaled()
    assert (found.status, found.workers, found.stage) == ("not-proven", None, "stages.3")
    assert found.sentence == "not measured: 1 worker of 2 cores: worker 1 of 1 was killed"
    assert len(world.asked) == 1


def test_where_every_cut_is_refused_the_answer_is_no(world: World, scaled: Scaling) -> None:
    world.refuses = ["source", *(f"stages.{number}" for number in range(5))]
    found = scaled()
    assert found.status == "no"
    assert found.sentence.startswith("no: no part of the pipeline can run on workers")


def test_the_link_sets_a_bound_that_is_named(scaled: Scaling) -> None:
    found = scaled(predict_only=True, link=IMAGES * 30.0)
    rates = [row.predicted for row in found.rows[1:] if row.predicted is not None]
    assert max(rates) <= 30.0 + 1e-6
    assert found.rows[-1].limit == "link"


def test_what_the_link_does_not_carry_is_no_gain(world: World, scaled: Scaling) -> None:
    found = scaled(worker_cores=2.0, link=IMAGES * 41.0)
    assert world.asked[-1] == [0, 1, 2, 3]
    assert (found.status, found.sentence) == ("workers", "2 workers of 2 cores; a third adds 2.4 %")
    assert found.rows[3].batches_per_second == pytest.approx(49.0, rel=0.01)
    world.asked.clear()
    narrow = scaled(worker_cores=2.0, link=IMAGES * 22.9)
    assert (narrow.status, len(world.asked)) == ("no", 1)
    assert narrow.sentence == "no: the link carries 22.9 batches/s, and the pipeline gives 21.8 without workers"


def test_the_cheapest_number_is_taken(world: World, scaled: Scaling) -> None:
    dear = scaled(price=Price(1.0, 10.0))
    assert dear.workers == 0
    assert dear.sentence == "no: a million batches cost 12.7 without workers, and 146 with 2 workers of 2 cores"
    world.asked.clear()
    cheap = scaled(price=Price(10.0, 0.2))
    assert (cheap.status, cheap.workers) == ("workers", 3)
    assert all(row.price is not None for row in cheap.rows)


def test_all_numbers_up_to_one_are_measured_if_that_is_asked(world: World, scaled: Scaling) -> None:
    world.rates = [ALONE, 6.0, 6.0, 6.0]
    found = scaled(measure=3, most=3)
    assert world.asked[-1] == [0, 1, 2, 3]
    assert [row.batches_per_second is not None for row in found.rows] == [True] * 4
    assert found.status == "no"


def test_what_is_only_predicted_is_no_no(world: World, scaled: Scaling) -> None:
    world.rates = [ALONE, 10.0]
    found = scaled(measure=1)
    assert (found.status, found.workers) == ("not-proven", None)
    assert found.sentence == "not proven: 5 workers of 2 cores are predicted to give 2.29×, which was not measured"


def test_the_transport_is_measured_once_for_a_machine(world: World, scaled: Scaling, profile: Profile) -> None:
    profile.contention = None
    scaled()
    scaled()
    assert world.transport == 1


def test_more_than_the_machine_can_stand_for_is_refused(world: World, scaled: Scaling, profile: Profile) -> None:
    world.rates = [ALONE, 0.5]
    profile.host.cores = 0.5
    for stage in profile.stages or ():
        stage.ceiling_resource = None
    with pytest.raises(UsageError, match=r"16 workers of 4 cores do not fit .* can be measured here"):
        scaled(measure=16, most=16, worker_cores=4.0)


def test_what_is_measured_further_than_predicted(world: World, scaled: Scaling) -> None:
    world.rates = [ALONE, 20.0, 30.0, 42.0, 56.0, 70.0, 84.0, 98.0, 112.0]
    found = scaled(worker_cores=2.0)
    assert max(world.asked[-1]) > max(world.asked[1])
    assert found.status == "workers"
