"""From a profile to the model: structure, and times that fit into the measured time of a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.view.views import same

from pipeprof.profiles.advise.facts.work import pays
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Contention, DeviceWindow, Quantiles
from pipeprof.profiles.document.stages import Causes, CpuAccount, PythonCost, Stage
from pipeprof.profiles.time.flow import Flow
from pipeprof.profiles.time.read_flow import flow_of
from pipeprof.profiles.view.view import PipelineView

Recorded = Callable[[str], Profile]


def stage(id: str, op: str, ms: float = 0.0, **facts: Any) -> Stage:
    """A stage that computes for so long."""
    executed = "BatchDatasetV2" if op == "batch" else f"{op.title()}Dataset"
    given: dict[str, Any] = {"origin": "written", "tf_op": executed, "cpu_ms_per_batch": ms}
    return Stage(id=id, op=op, time_ms_per_batch=ms, timed_by="model", **{**given, **facts})


def parallel(ms: float, calls: float, **facts: Any) -> Stage:
    return stage("stages.0", "map", ms, tf_op="ParallelMapDatasetV2", parallelism=calls, **facts)


def read(recorded: Recorded, *stages: Stage, **facts: Any) -> Flow:
    """A run without a step on four cores, 10 ms a batch."""
    profile = recorded("step-none").model_copy(deep=True)
    profile.steps.interval_ms.mean = 10.0
    profile.host.cores, profile.host.schedulable_cores = 4.0, 4
    given = {"stages": list(stages), "headspace": None, "cpu": None, "contention": None, **facts}
    flow = flow_of(profile.model_copy(update=given))
    assert flow is not None
    return flow


def python(ms: float) -> list[PythonCost]:
    return [PythonCost(function="add", ms_per_batch=ms, share=1.0)]


ALONE, LITTLE = Contention(worker_cores=1.05, others_cores=0.0), Contention(worker_cores=0.02, others_cores=0.0)
FULL = Causes(python_share=1.0, worker_cores=1.05, python_lock_share=0.7)
WAITS = Causes(python_share=0.95, worker_cores=0.1, python_lock_share=0.09)
FITTED: dict[str, tuple[Stage, dict[str, Any], str, dict[str, float]]] = {
    "time that no stage explains stays on its thread": (stage("stages.0", "map", 6.0), {}, "serial", {"held_ms": 6.0}),
    "a stage that had no core takes as long as it waited for one": (
        stage("stages.0", "map", 7.5, cpu_ms_per_batch=6.0), {}, "serial", {"held_ms": 7.5}),
    "times that are too long are cut": (
        parallel(60.0, 4.0, cpu_ms_per_batch=6.0, blocked_ms_per_batch=54.0), {}, "calls", {"held_ms": 40.0}),
    "threads with nothing to do are not taken for computing": (
        parallel(16.0, 4.0), {}, "calls", {"held_ms": 16.0, "idle_ms": 24.0}),
    "cores that were full set the pace": (
        parallel(37.0, 16.0), {"contention": Contention(worker_cores=3.8, others_cores=0.0)}, "cores", {}),
    "calls of Python do not count the wait for each other": (
        parallel(30.0, 4.0, cpu_ms_per_batch=9.5, python=python(9.5)),
        {"causes": Causes(python_share=1.0, python_lock_share=1.0)},
        "lock", {"held_ms": 10.0}),
    # Its CPU time is that of one call after the other: with one call at a time nothing is lost.
    "a lock that sets the pace is held all the time, however often it was sampled": (
        parallel(20.0, 4.0, cpu_ms_per_batch=10.5, blocked_ms_per_batch=9.0, python=python(6.0)),
        {"causes": FULL, "contention": ALONE}, "lock", {"held_ms": 10.5}),
    "a lock that others hold is no time of a function that waits": (
        stage("stages.0", "map", 9.9, python=python(9.5), cpu_ms_per_batch=0.2, blocked_ms_per_batch=9.7),
        {"causes": WAITS, "contention": LITTLE}, "serial", {"lock_ms": 0.2}),
    "calls that TensorFlow chooses are no fewer than were seen": (
        parallel(40.0, 2.0, tunable=True, cpu_ms_per_batch=1.0, blocked_ms_per_batch=39.0),
        {}, "calls", {"calls": 4.0, "held_ms": 40.0}),
}  # fmt: skip


@pytest.mark.parametrize("name", FITTED)
def test_times_fit_into_a_step(recorded: Recorded, name: str) -> None:
    row, facts, resource, expected = FITTED[name]
    flow = read(recorded, stage("source", "range", 0.1), row, **facts)
    assert (flow.terms()[0].resource, flow.interval_ms()) == (resource, pytest.approx(10.0, rel=0.06))
    part = flow.by_id["stages.0"]
    known = {"calls": part.calls, "held_ms": part.held_ms, **vars(part.times)}
    assert {key: known[key] for key in expected} == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("name", ["input-bound", "step-bound"])
def test_a_profile_is_read_as_long_as_it_was_measured(recorded: Recorded, name: str) -> None:
    profile = recorded(name)
    flow = flow_of(profile)
    assert flow.interval_ms() == pytest.approx(profile.steps.interval_ms.mean, rel=0.02)
    profile.steps = None
    assert flow_of(profile) is None


def test_a_prefetch_that_tensorflow_added_is_the_end(recorded: Recorded) -> None:
    added = stage("injected.0", "prefetch", origin="injected", tunable=True)
    flow = read(recorded, stage("source", "range", 10.0), added)
    assert (flow.end, flow.by_id["injected.0"].reads) == (flow.by_id["injected.0"], ("source",))


def test_the_runtime_works_for_the_stages_and_ends_with_their_calls(recorded: Recorded) -> None:
    account = CpuAccount(total_ms=8.0, stages_ms=5.0, loop_ms=0.4, runtime_ms=2.6 + 0.6, scale=1.0)
    flow = read(recorded, stage("source", "range", 1.0), stage("stages.0", "map", 4.0), cpu=account)
    assert flow.other_cpu_ms == pytest.approx(0.4)
    assert [part.times.cpu_ms for part in flow.parts] == pytest.approx([7.6 / 5.0, 4 * 7.6 / 5.0])


@pytest.mark.parametrize("sides", ["inputs", "datasets"])
def test_the_sides_of_a_zip_are_read_by_it_and_take_turns(recorded: Recorded, sides: str) -> None:
    left, right = f"source.{sides}.0", f"source.{sides}.1"
    first = stage(f"{left}.source", "range", 0.5, depth=1), stage(f"{left}.stages.0", "map", 3.5, depth=1)
    second = stage(f"{right}.source", "range", 6.0, depth=1)
    flow = read(recorded, stage("source", "zip"), *first, second, stage("stages.0", "batch"))
    assert flow.by_id["source"].reads == (f"{left}.stages.0", f"{right}.source")
    assert len(flow.terms()[0].parts) == 3


def test_what_runs_inside_a_function_is_a_part_of_its_stage(recorded: Recorded) -> None:
    inside = stage("stages.0.source", "range", 3.0, depth=1), stage("stages.0.stages.0", "map", 4.0, depth=1)
    flow = read(recorded, stage("source", "range", 1.0), stage("stages.0", "interleave", 2.0), *inside)
    assert [part.id for part in flow.parts] == ["source", "stages.0"]
    assert flow.by_id["stages.0"].held_ms == pytest.approx(9.0)


def test_a_pipeline_without_counters_is_one_time_on_one_thread(recorded: Recorded) -> None:
    row = Stage(id="source", op="range", origin="written", tf_op="RangeDataset")
    assert read(recorded, row).interval_ms() == pytest.approx(10.0)


def test_a_pipeline_of_thousands_of_stages_is_read(recorded: Recorded) -> None:
    line = [stage("source", "range", 0.001), *(stage(f"stages.{number}", "map", 0.001) for number in range(3000))]
    assert read(recorded, *line).interval_ms() == pytest.approx(10.0)
    sides = [stage(f"source.inputs.{number}.source", "range", 0.001, depth=1) for number in range(3000)]
    inside = [stage(f"stages.0.stages.{number}", "map", 0.001, depth=1) for number in range(3000)]
    flow = read(recorded, stage("source", "zip"), *sides, stage("stages.0", "interleave"), *inside)
    assert [len(flow.by_id["source"].reads), len(flow.by_id["stages.0"].inside)] == [3000, 3000]


@pytest.mark.parametrize(
    ("median_ms", "resource"),
    [(0.0, "step"), (3.9, "serial")],
    ids=["most steps find a batch: the buffer is too small for pauses", "each step waits: the stages take longer"],
)
def test_waits_longer_than_the_formula_are_uneven_where_most_steps_do_not_wait(recorded, median_ms, resource):
    steps = recorded("step-none").steps
    steps.dispatch = "sync"
    steps.interval_ms.mean = 10.0
    steps.busy_ms = same(6.0)
    steps.wait_ms = Quantiles(mean=4.0, p50=median_ms, p95=20.0, p99=20.0)
    buffer = stage("stages.1", "prefetch", buffer_size=1.0)
    waiting = stage("stages.0", "map", 5.0, cpu_ms_per_batch=0.1, blocked_ms_per_batch=4.9)
    flow = read(recorded, stage("source", "range", 0.1), waiting, buffer, steps=steps)
    assert (flow.interval_ms(), flow.terms()[0].resource) == (pytest.approx(10.0), resource)
    assert (flow.bursts > 1) is (resource == "step")


def gpu_loop(recorded: Recorded, fetch_ms: float, *, wait_ms: float | None) -> Profile:
    """A loop of 20 ms on a GPU that is at work when the next batch is requested; its own clock may have been read."""
    profile = recorded("script-loop").model_copy(deep=True)
    fetch = same(fetch_ms)
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


@pytest.mark.parametrize(("wait_ms", "turns"), [(None, False), (7.9, True), (0.5, False)])
def test_a_loop_gets_no_faster_than_its_step_or_than_without_its_fetch(recorded, wait_ms, turns):
    profile = gpu_loop(recorded, 8.0, wait_ms=wait_ms)
    flow = flow_of(profile)
    assert (profile.takes_turns, flow.in_turn, profile.gains_are_bounds) == (turns, turns, wait_ms is None)
    assert flow.interval_ms() == pytest.approx(20.0)
    assert flow.scaled(["source"], 0.0).interval_ms() == pytest.approx(20.0 - (wait_ms or 8.0))


def test_a_loop_that_barely_fetches_has_nothing_to_gain_by_a_faster_pipeline(recorded: Recorded) -> None:
    profiles = [gpu_loop(recorded, fetch_ms, wait_ms=None) for fetch_ms in (0.9, 1.1)]
    assert [pays(PipelineView("measured", (), profile=profile)) for profile in profiles] == [False, True]
