"""Ops and Python functions as parts of their stage's time: no TensorFlow, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.time.attribution.trace_work import Work
from pipeprof.profiles.time.cpu_account import CpuUsage, attribute_time


def stage(ms: float | None, **more: Any) -> Stage:
    return Stage(id="a", origin="written", op="map", time_ms_per_batch=ms, share=1.0 if ms else None, **more)


def attributed(row: Stage, work: Work, total_ms: float = 100.0, interval_ms: float | None = None) -> Stage:
    usage = CpuUsage(total_ms=total_ms, batches=100, interval_ms=interval_ms)
    rows, _ = attribute_time([row], {"a": work}, usage, 4.0)
    return rows[0]


def ops(row: Stage) -> dict[str, float]:
    return {one.op: one.ms_per_batch for one in row.ops or []}


def test_an_op_has_the_same_kind_of_time_as_its_stage():
    """A stage with 50 ms on a core and 800 ms of waiting for one: its op has no 850."""
    work = Work(ms=850.0, computing=0.06, waiting=0.94, ops=[OpCost(op="DecodeAndCropJpeg", ms_per_batch=800.0)])
    row = attributed(stage(850.0), work, total_ms=51.0)
    assert row.cpu_ms_per_batch == pytest.approx(51.0)
    assert ops(row)["DecodeAndCropJpeg"] == pytest.approx(48.0)


def test_what_tracing_adds_is_taken_off_by_what_the_model_counted_meanwhile():
    work = Work(computing=1.0, waiting=0.0, model_ms=15.0, ops=[OpCost(op="Sort", ms_per_batch=12.0)])
    assert ops(attributed(stage(10.0), work)) == pytest.approx({"Sort": 8.0})


def test_a_batch_that_waited_in_a_buffer_when_the_trace_began_makes_no_op_smaller():
    """Half as many calls as batches while traced, by the model too."""
    work = Work(computing=1.0, waiting=0.0, model_ms=5.0, ops=[OpCost(op="Sort", ms_per_batch=4.5)])
    assert ops(attributed(stage(10.0), work)) == pytest.approx({"Sort": 9.0})


def test_ops_are_never_longer_than_their_stage():
    work = Work(computing=1.0, waiting=0.0, ops=[OpCost(op=op, ms_per_batch=9.0) for op in "xyz"])
    assert sum(ops(attributed(stage(10.0), work)).values()) == pytest.approx(10.0)


def test_ops_on_several_threads_take_more_than_passes():
    work = Work(computing=1.0, waiting=0.0, intra_op=1.0, ops=[OpCost(op="MatMul", ms_per_batch=10.0)])
    assert ops(attributed(stage(10.0), work)) == pytest.approx({"MatMul": 20.0})


def python(ms: float, lock: float | None, name: str = "parse") -> PythonCost:
    return PythonCost(function=name, parent="PyFunc", ms_per_batch=ms, share=1.0, lock_share=lock)


def test_a_function_that_sleeps_has_the_time_by_the_clock():
    work = Work(computing=0.0, waiting=0.0, ops=[OpCost(op="PyFunc", ms_per_batch=20.0)], python=[python(20.0, 0.02)])
    (found,) = attributed(stage(20.0), work).python or []
    assert found.ms_per_batch == pytest.approx(19.6)


def test_waiting_for_the_lock_is_no_time_of_the_function_that_waits():
    """It computes for 2 of 7.2 ms, and is blocked with the lock taken for the rest."""
    work = Work(computing=0.28, waiting=0.0, ops=[OpCost(op="PyFunc", ms_per_batch=7.2)], python=[python(7.2, 1.0)])
    row = attributed(stage(7.2), work)
    (found,) = row.python or []
    assert found.ms_per_batch == pytest.approx(2.0, rel=0.02)
    assert ops(row)["PyFunc"] == pytest.approx(7.2)


def test_functions_are_never_longer_than_the_op_that_calls_them():
    work = Work(
        computing=1.0, waiting=0.0, ops=[OpCost(op="PyFunc", ms_per_batch=4.0), OpCost(op="Sort", ms_per_batch=6.0)],
        python=[python(5.0, 1.0), python(3.0, 1.0, "other")],
    )  # fmt: skip
    row = attributed(stage(10.0), work)
    assert sum(one.ms_per_batch for one in row.python or []) == pytest.approx(ops(row)["PyFunc"])


def test_ops_of_fused_stages_fit_into_the_time_of_the_first():
    first, last = stage(10.0), Stage(id="b", origin="written", op="map", fused_with="a")
    work = {id_: Work(computing=1.0, waiting=0.0, ops=[OpCost(op="Sort", ms_per_batch=10.0)]) for id_ in "ab"}
    rows, _ = attribute_time([first, last], work, CpuUsage(total_ms=99.0), 4.0)
    assert [ops(row)["Sort"] for row in rows] == pytest.approx([5.0, 5.0])
