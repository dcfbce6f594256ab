"""What a change is predicted to give, by the work that it leaves, the calls and the prefetches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.time.flows import line, part, prefetch
from unit.view.recorded import recorded_view
from unit.view.views import measured, pipeline, stage

from pipeprof.profiles.advise.apply import ideas_for
from pipeprof.profiles.advise.batch_savings import left_on_batches
from pipeprof.profiles.advise.predict import expected, predicted
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.time.flow import Flow
from pipeprof.profiles.view.view import PipelineView


def run(ms: float = 8.0, **facts: Any) -> PipelineView:
    rows = stage("source", "from_generator", ms=ms, blocked_ms=ms), stage("stages.0", "map", ms=8.0)
    given = {"interval_ms": 8.0 + ms, "dispatch": None, "worker_cores": 0.5, "headspace": 0.9, **facts}
    return measured(pipeline(*rows), **given)


def test_a_change_has_the_prediction_of_the_model() -> None:
    found = expected(run(), {}, {}, ["source"])
    assert (found.speedup, found.formula[:10]) == (pytest.approx(2.0, rel=0.01), "16.0 → 8.0")
    assert expected(run(), {}, {}) is None
    assert expected(replace(run(), profile=None), {}, {"source": 8}) is None


@pytest.mark.parametrize(("threads", "speedup"), [(8, 8.0), (2, 2.0), (None, 4.0)])
def test_calls_at_a_time_need_threads(threads: int | None, speedup: float) -> None:
    view = measured(
        pipeline(stage("source", "from_generator", ms=16.0, blocked_ms=16.0)),
        interval_ms=16.0, dispatch=None, worker_cores=0.1, headspace=0.99,
    )  # fmt: skip
    found = expected(view, {}, {"source": 8}, threads=threads)
    assert found.speedup == pytest.approx(speedup, rel=0.05)


def test_no_idea_is_predicted_to_be_faster_than_a_free_pipeline() -> None:
    view = recorded_view("zip_serial", headspace=0.3)
    gains = [one.speedup for one in ideas_for(view)[0] if one.speedup is not None]
    assert max(gains) == pytest.approx(1 / 0.7)


IN_PYTHON = [PythonCost(function="f", ms_per_batch=2.0, share=1.0)]


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ({"ops": [OpCost(op="Cast", ms_per_batch=2.05)]}, 0.25),
        ({"ops": [OpCost(op="PyFunc", ms_per_batch=6.0)], "python": IN_PYTHON}, 0.25),
        ({"blocked_ms_per_batch": 4.0, "calling_ms_per_batch": 2.0}, 0.5 + 0.25 * 0.25),
    ],
    ids=["each call has the cost of its ops", "and that of calling Python", "without a trace all but waiting is less"],
)
def test_whole_batches_leave_what_a_function_does_beyond_its_calls(facts: dict[str, Any], left: float) -> None:
    row = Stage(id="stages.0", op="map", origin="written", time_ms_per_batch=8.0, calls_per_batch=100.0, **facts)
    assert left_on_batches(row) == pytest.approx(left)


MS, SHARE, CALLS = st.floats(0.01, 100), st.floats(0, 1), st.integers(1, 64)
NAMES = st.sampled_from(("source", "map", "inner"))


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A source, a map with a stage in its function, a prefetch or none, a step or none."""
    own, inner = part("map", draw(MS), pooled=True), part("inner", draw(MS))
    whole = replace(own, inside=(inner,)).timed(waiting_ms=draw(MS) + inner.times.computing_ms, lock_ms=draw(SHARE))
    parts = [part("source", draw(MS), pooled=draw(st.booleans())), whole]
    if draw(st.booleans()):
        parts.append(prefetch("ahead", float(draw(st.integers(1, 20)))))
    step, cores = draw(st.floats(0, 100)), float(draw(st.integers(1, 16)))
    return line(
        *parts, step_ms=step, floor_ms=step + draw(SHARE), restart_ms=draw(MS), in_turn=draw(st.booleans()),
        cores=cores, pool=cores, other_cpu_ms=draw(SHARE), bursts=draw(SHARE),
    )  # fmt: skip


def after(flow: Flow, found: Predicted | None) -> float:
    assert found.wait_ms >= 0
    interval = flow.interval_ms() / found.speedup
    assert interval >= max(flow.step_ms, flow.floor_ms) - 1e-6, "faster than preloaded batches"
    return interval


@given(flows(), NAMES, SHARE, SHARE)
def test_less_work_never_makes_a_pipeline_slower(flow: Flow, name: str, one: float, other: float) -> None:
    less, more = (after(flow, predicted(flow, {name: left}, {})) for left in sorted((one, other)))
    assert less <= more + 1e-6
    assert more <= flow.interval_ms() + 1e-6
    assert after(flow, predicted(flow, {name: 1.0}, {})) == pytest.approx(flow.interval_ms()), "all of it left"


@given(flows(), NAMES, CALLS, CALLS)
def test_more_calls_never_make_it_slower_where_cores_are_free(flow: Flow, name: str, one: int, other: int) -> None:
    flow = replace(flow, cores=1e6)
    few, many = (after(flow, predicted(flow, {}, {name: calls}, threads=64)) for calls in sorted((one, other)))
    assert many <= few + 1e-6
    assert few <= flow.interval_ms() + 1e-6


@given(flows(), st.sampled_from(("source", "map")))
def test_a_prefetch_never_makes_it_slower(flow: Flow, name: str) -> None:
    assert after(flow, predicted(flow, {}, {}, [name])) <= flow.interval_ms() + 1e-6


@given(flows(), NAMES, SHARE, CALLS)
def test_more_cores_never_make_it_slower(flow: Flow, name: str, left: float, calls: int) -> None:
    more = replace(flow, cores=flow.cores + 4)
    few, many = (after(one, predicted(one, {name: left}, {"map": calls})) for one in (flow, more))
    assert many <= few + 1e-6


TWO = line(part("source", 4.0), part("map", 16.0, waits=True), step_ms=1.0)


def test_the_formula_names_what_limits_afterwards() -> None:
    found = predicted(TWO, {}, {"map": 4})
    assert found == Predicted(speedup=5.0, wait_ms=3.0, formula="20.0 → 4.00 ms per step: source takes 4.00 ms")


def test_what_is_about_no_stage_of_the_pipeline_is_not_predicted() -> None:
    assert predicted(TWO, {}, {}) is None
    assert predicted(TWO, {"stages.9": 0.5}, {"stages.8": 2}, ["stages.7"]) is None


def test_work_inside_a_function_is_a_part_of_its_stage() -> None:
    inner = part("inner", 6.0)
    flow = line(part("source"), replace(part("map", 8.0), inside=(inner,)), part("batch", 2.0), cores=1.25)
    found = [predicted(flow, {"inner": 0.5}, {}), predicted(flow, {"inner": 0.0, "map": 0.0}, {})]
    assert [one.speedup if one is not None else None for one in found] == [pytest.approx(10 / 7), pytest.approx(5.0)]
    calls = predicted(flow, {}, {"inner": 6})
    # Of the thread, 6 of 10 ms take one; the cores need 8.
    assert calls.speedup == pytest.approx(10 / 8)


def test_a_larger_pool_lets_more_calls_run_also_where_tensorflow_chooses_them() -> None:
    for tuned in (False, True):
        waits = part("map", 32.0, waits=True, ahead=True, calls=4.0 if tuned else 16.0, tuned=tuned)
        flow = line(part("source"), waits)
        assert after(flow, predicted(flow, {}, {}, threads=16)) == pytest.approx(2.0)


def test_a_pass_starts_sooner_where_its_first_batch_is_made_sooner() -> None:
    found = predicted(line(part("map", 8.0), restart_ms=2.0), {"map": 0.25}, {})
    assert found.speedup == pytest.approx(4.0)
    assert found.formula.endswith("0.500 ms of restarts stay")
