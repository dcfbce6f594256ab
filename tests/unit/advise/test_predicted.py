"""What a change gives, by the work that it leaves, the calls and the prefetches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.time.flows import line, part, prefetch

from pipeprof.profiles.advise.predict import predicted
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.time.flow import Flow

MS, SHARE, CALLS = st.floats(0.01, 100), st.floats(0, 1), st.integers(1, 64)
NAMES = st.sampled_from(("source", "map", "inner"))


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A source, a map with a stage in its function, a prefetch or none, a step or none."""
    own, inner = part("map", draw(MS), pooled=True), part("inner", draw(MS))
    whole = replace(own, waiting_ms=draw(MS) + inner.computing_ms, lock_ms=draw(SHARE), inside=(inner,))
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
