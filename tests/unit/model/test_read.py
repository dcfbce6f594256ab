"""From a profile to the model: structure, and times that fit into the measured time of a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeprof.profiles.advise.facts.work import pays
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention, DeviceWindow, Quantiles
from pipeprof.profiles.document.stages import Causes, OpCost, PythonCost, Stage
from pipeprof.profiles.document.time import CpuAccount
from pipeprof.profiles.predict.flow import Flow
from pipeprof.profiles.predict.read import flow_of
from pipeprof.profiles.view.view import PipelineView

Recorded = Callable[[str], Profile]
EXECUTED = {
    "range": "RangeDataset",
    "map": "MapDataset",
    "interleave": "InterleaveDataset",
    "zip": "ZipDataset",
    "batch": "BatchDatasetV2",
    "prefetch": "PrefetchDataset",
}


def stage(id: str, op: str, ms: float = 0.0, **facts: Any) -> Stage:
    """A stage that computes for so long."""
    given: dict[str, Any] = {"origin": "written", "tf_op": EXECUTED[op], "cpu_ms_per_batch": ms}
    return Stage(id=id, op=op, time_ms_per_batch=ms, timed_by="model", **{**given, **facts})


def parallel(id: str, ms: float, calls: float, **facts: Any) -> Stage:
    return stage(id, "map", ms, tf_op="ParallelMapDatasetV2", parallelism=calls, **facts)


def read(recorded: Recorded, *stages: Stage, interval_ms: float = 10.0, **facts: Any) -> Flow:
    """A run without a step on four cores."""
    profile = recorded("step-none").model_copy(deep=True)
    assert profile.steps is not None
    profile.steps.interval_ms.mean = interval_ms
    profile.host.cores, profile.host.schedulable_cores = 4.0, 4
    profile.stages, profile.headspace, profile.cpu, profile.contention = list(stages), None, None, None
    for name, value in facts.items():
        setattr(profile, name, value)
    flow = flow_of(profile)
    assert flow is not None
    return flow


def test_time_that_no_stage_explains_stays_on_the_thread_that_sets_the_pace(recorded: Recorded) -> None:
    flow = read(recorded, stage("source", "range", 2.0), stage("stages.0", "map", 6.0))
    assert flow.interval_ms() == pytest.approx(10.0)
    assert (flow.by_id["source"].held_ms, flow.by_id["stages.0"].held_ms) == (4.0, 6.0)


def test_a_stage_that_had_no_core_takes_as_long_as_it_waited_for_one(recorded: Recorded) -> None:
    flow = read(recorded, stage("source", "range", 2.0), stage("stages.0", "map", 7.5, cpu_ms_per_batch=6.0))
    assert flow.by_id["stages.0"].held_ms == pytest.approx(7.5)
    assert flow.by_id["source"].held_ms == pytest.approx(2.5)


def test_times_that_are_too_long_are_cut(recorded: Recorded) -> None:
    waiting = parallel("stages.0", 60.0, 4.0, cpu_ms_per_batch=6.0, blocked_ms_per_batch=54.0)
    flow = read(recorded, stage("source", "range", 5.0), waiting)
    assert flow.interval_ms() == pytest.approx(10.0)
    assert flow.by_id["stages.0"].held_ms == pytest.approx(40.0)
    assert flow.by_id["source"].held_ms == 5.0


def test_threads_with_nothing_to_do_are_not_taken_for_computing(recorded: Recorded) -> None:
    flow = read(recorded, stage("source", "range", 1.0), parallel("stages.0", 16.0, 4.0))
    assert flow.interval_ms() == pytest.approx(10.0)
    assert flow.by_id["stages.0"].held_ms == pytest.approx(16.0)
    assert flow.by_id["stages.0"].idle_ms == pytest.approx(24.0)


def test_cores_that_were_full_set_the_pace(recorded: Recorded) -> None:
    busy = Contention(worker_cores=3.8, others_cores=0.0)
    flow = read(recorded, stage("source", "range", 1.0), parallel("stages.0", 37.0, 16.0), contention=busy)
    assert flow.terms()[0].resource == "cores"


def test_calls_of_python_do_not_count_the_wait_for_each_other(recorded: Recorded) -> None:
    added = PythonCost(function="add", ms_per_batch=9.5, share=1.0)
    flow = read(
        recorded,
        stage("source", "range", 0.1),
        parallel("stages.0", 30.0, 4.0, cpu_ms_per_batch=9.5, python=[added]),
        causes=Causes(python_lock_share=1.0),
    )
    assert flow.terms()[0].resource == "lock"
    assert flow.by_id["stages.0"].held_ms == pytest.approx(10.0, rel=0.06)


def test_a_lock_that_sets_the_pace_is_held_all_the_time_however_often_it_was_sampled(recorded: Recorded) -> None:
    python = [PythonCost(function="add", ms_per_batch=6.0, share=1.0)]
    flow = read(
        recorded,
        stage("source", "range", 0.1),
        parallel("stages.0", 20.0, 4.0, cpu_ms_per_batch=10.5, blocked_ms_per_batch=9.0, python=python),
        causes=Causes(python_share=1.0, worker_cores=1.05, demanded_cores=1.2, python_lock_share=0.7),
        contention=Contention(worker_cores=1.05, others_cores=0.0),
    )
    assert (flow.terms()[0].resource, flow.interval_ms()) == ("lock", pytest.approx(10.0))
    # Its CPU time is that of one call after the other: with one call at a time nothing is lost.
    assert flow.by_id["stages.0"].held_ms == pytest.approx(10.5, rel=0.02)


def test_a_lock_that_others_hold_is_no_time_of_a_function_that_waits(recorded: Recorded) -> None:
    python = [PythonCost(function="sleep", ms_per_batch=9.5, share=1.0)]
    flow = read(
        recorded,
        stage("source", "range", 0.1),
        stage("stages.0", "map", 9.9, cpu_ms_per_batch=0.2, blocked_ms_per_batch=9.7, python=python),
        causes=Causes(python_share=0.95, worker_cores=0.1, demanded_cores=0.1, python_lock_share=0.09),
        contention=Contention(worker_cores=0.02, others_cores=0.0),
    )
    assert flow.by_id["stages.0"].lock_ms == pytest.approx(0.2, rel=0.05)


def test_the_runtime_works_for_the_stages_and_ends_with_their_calls(recorded: Recorded) -> None:
    account = CpuAccount(total_ms=8.0, stages_ms=5.0, loop_ms=0.4, runtime_ms=2.6 + 0.6, scale=1.0)
    flow = read(recorded, stage("source", "range", 1.0), stage("stages.0", "map", 4.0), cpu=account)
    assert flow.other_cpu_ms == pytest.approx(0.4)
    assert [flow.by_id[name].cpu_ms for name in ("source", "stages.0")] == [
        pytest.approx(ms * 7.6 / 5.0) for ms in (1.0, 4.0)
    ]


@pytest.mark.parametrize("sides", ["inputs", "datasets"])
def test_the_sides_of_a_zip_are_read_by_it_and_take_turns(recorded: Recorded, sides: str) -> None:
    flow = read(
        recorded,
        stage("source", "zip", 0.0),
        stage(f"source.{sides}.0.source", "range", 0.5, depth=1),
        stage(f"source.{sides}.0.stages.0", "map", 3.5, depth=1),
        stage(f"source.{sides}.1.source", "range", 6.0, depth=1),
        stage("stages.0", "batch"),
    )
    assert flow.by_id["source"].reads == (f"source.{sides}.0.stages.0", f"source.{sides}.1.source")
    assert len(flow.terms()[0].parts) == 3


def test_what_runs_inside_a_function_is_a_part_of_its_stage(recorded: Recorded) -> None:
    flow = read(
        recorded,
        stage("source", "range", 1.0),
        stage("stages.0", "interleave", 2.0),
        stage("stages.0.source", "range", 3.0, depth=1),
        stage("stages.0.stages.0", "map", 4.0, depth=1),
    )
    assert [part.id for part in flow.parts] == ["source", "stages.0"]
    assert flow.by_id["stages.0"].held_ms == pytest.approx(9.0)


def test_tensorflow_adds_nothing_where_it_added_nothing(recorded: Recorded) -> None:
    assert not read(recorded, stage("source", "range", 10.0)).injects
    added = stage("injected.0", "prefetch", origin="injected", tunable=True)
    flow = read(recorded, stage("source", "range", 10.0), added)
    assert flow.injects
    assert flow.end is not None
    assert flow.end.id == "injected.0"


def test_a_pipeline_without_counters_is_one_time_on_one_thread(recorded: Recorded) -> None:
    unknown: dict[str, Any] = {"time_ms_per_batch": None, "cpu_ms_per_batch": None}
    rows = [Stage(id=id, op=op, origin="written", tf_op=EXECUTED[op], **unknown) for id, op in (("source", "range"),)]
    assert read(recorded, *rows).interval_ms() == pytest.approx(10.0)


def test_a_pipeline_of_thousands_of_stages_is_read(recorded: Recorded) -> None:
    line = [stage("source", "range", 0.001), *(stage(f"stages.{number}", "map", 0.001) for number in range(3000))]
    assert read(recorded, *line).interval_ms() == pytest.approx(10.0)
    sides = [stage(f"source.inputs.{number}.source", "range", 0.001, depth=1) for number in range(3000)]
    flow = read(recorded, stage("source", "zip"), *sides)
    assert len(flow.by_id["source"].reads) == 3000
    inside = [stage(f"stages.0.stages.{number}", "map", 0.001, depth=1) for number in range(3000)]
    assert len(read(recorded, stage("source", "range"), stage("stages.0", "interleave"), *inside).parts) == 2


def test_calls_that_tensorflow_chooses_are_no_fewer_than_were_seen(recorded: Recorded) -> None:
    waiting = parallel("stages.0", 40.0, 2.0, tunable=True, cpu_ms_per_batch=1.0, blocked_ms_per_batch=39.0)
    flow = read(recorded, stage("source", "range", 0.1), waiting)
    assert (flow.by_id["stages.0"].calls, flow.by_id["stages.0"].held_ms) == (4.0, 40.0)


@pytest.mark.parametrize(
    ("median_ms", "resource"),
    [
        pytest.param(0.0, "step", id="most steps find a batch: the buffer is too small for pauses"),
        pytest.param(3.9, "serial", id="each step waits: the stages take longer than was measured"),
    ],
)
def test_waits_longer_than_the_formula_are_uneven_where_most_steps_do_not_wait(
    recorded: Recorded, median_ms: float, resource: str
) -> None:
    steps = recorded("step-none").steps
    assert steps is not None
    steps.dispatch = "sync"
    steps.interval_ms.mean = 10.0
    steps.busy_ms = Quantiles(mean=6.0, p50=6.0, p95=6.0, p99=6.0)
    steps.wait_ms = Quantiles(mean=4.0, p50=median_ms, p95=20.0, p99=20.0)
    buffer = stage("stages.1", "prefetch", tf_op="PrefetchDataset", buffer_size=1.0)
    waiting = stage("stages.0", "map", 5.0, cpu_ms_per_batch=0.1, blocked_ms_per_batch=4.9)
    flow = read(recorded, stage("source", "range", 0.1), waiting, buffer, steps=steps)
    assert flow.interval_ms() == pytest.approx(10.0)
    assert flow.terms()[0].resource == resource
    assert (flow.bursts > 1) is (resource == "step")


def test_what_a_filter_keeps_of_a_pass_is_what_was_seen(recorded: Recorded) -> None:
    facts = {"cardinality": 100, "elements": 4_000}
    kept = {"cardinality": None, "elements": 1_000, "random": False, "tf_op": "FilterDataset"}
    filtered = Stage(id="stages.1", origin="written", op="filter", **kept)
    found = read(recorded, stage("source", "range", **facts), stage("stages.0", "map", 6.0, **facts), filtered)
    assert found.by_id["stages.1"].passes == 25
    endless = {**facts, "cardinality": -1}
    found = read(recorded, stage("source", "range", **endless), stage("stages.0", "map", 6.0, **endless), filtered)
    assert found.by_id["stages.1"].passes == -1


def test_ops_that_parse_are_apart(recorded: Recorded) -> None:
    ops = [OpCost(op=name, ms_per_batch=ms) for name, ms in (("ParseExampleV2", 2.0), ("Cast", 1.0))]
    found = read(recorded, stage("source", "range"), stage("stages.0", "map", 6.0, ops=ops)).by_id["stages.0"]
    assert (found.op_ms, found.parsing_ms) == (pytest.approx((1.0,)), pytest.approx(2.0))


def gpu_loop(recorded: Recorded, fetch_ms: float, *, wait_ms: float | None) -> Profile:
    """A loop of 20 ms on a GPU that is at work when the next batch is requested; its own clock may have been read."""
    profile = recorded("script-loop").model_copy(deep=True)
    assert profile.steps is not None
    assert profile.training is not None
    fetch = Quantiles(mean=fetch_ms, p50=fetch_ms, p95=fetch_ms, p99=fetch_ms)
    profile.steps.interval_ms.mean, profile.steps.fetch_ms, profile.steps.restart_share = 20.0, fetch, None
    profile.stages, profile.cpu, profile.contention = [stage("source", "range", fetch_ms)], None, None
    profile.steps.wait_ms, profile.steps.wait_share, profile.training.wait = None, None, None
    if wait_ms is not None:
        wait, busy = replace(fetch, mean=wait_ms), replace(fetch, mean=20.0 - wait_ms)
        profile.steps.wait_ms, profile.steps.busy_ms = wait, busy
        profile.training.wait = "clock"
        profile.training.window = DeviceWindow(
            count=100, seconds=2.0, step_ms=busy, wait_ms=wait, wait_share=wait_ms / 20
        )
    return profile


def test_a_loop_whose_step_is_not_waited_for_gets_no_faster_than_without_its_fetch(recorded: Recorded) -> None:
    profile = gpu_loop(recorded, 8.0, wait_ms=None)
    flow = flow_of(profile)
    assert flow is not None
    assert profile.gains_are_bounds
    assert not profile.takes_turns
    assert (flow.in_turn, flow.loop_ms) == (False, 12.0)
    assert (flow.interval_ms(), flow.by_id["source"].held_ms) == (pytest.approx(20.0), pytest.approx(8.0))
    free = flow.scaled(["source"], 0.0)
    assert free.interval_ms() == pytest.approx(12.0)


@pytest.mark.parametrize(("wait_ms", "turns"), [(7.9, True), (0.5, False)])
def test_a_gpu_that_waits_for_all_of_a_fetch_takes_turns_with_the_loop(
    wait_ms: float, turns: bool, recorded: Recorded
) -> None:
    profile = gpu_loop(recorded, 8.0, wait_ms=wait_ms)
    flow = flow_of(profile)
    assert flow is not None
    assert (profile.takes_turns, flow.in_turn) == (turns, turns)
    assert flow.scaled(["source"], 0.0).interval_ms() == pytest.approx(20.0 - wait_ms)


def test_a_loop_that_barely_fetches_has_nothing_to_gain_by_a_faster_pipeline(recorded: Recorded) -> None:
    profiles = [gpu_loop(recorded, fetch_ms, wait_ms=None) for fetch_ms in (0.9, 1.1)]
    assert [pays(PipelineView("measured", (), profile=profile)) for profile in profiles] == [False, True]
