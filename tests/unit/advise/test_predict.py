from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.edits.edits import HandWritten, InsertStage
from pipeprof.profiles.advise import predict
from pipeprof.profiles.advise.rule import Prediction

from .views import measured, pipeline, stage

TIMES = st.floats(0.001, 10_000)


def test_edits_of_the_main_line_have_the_prediction_of_the_model() -> None:
    view = measured(
        pipeline(stage("source", "range", ms=8.0), stage("stages.0", "map", ms=8.0), static=False),
        interval_ms=16.0,
        dispatch=None,
        worker_cores=0.5,
        headspace=0.5,
    )
    found = predict.expected(view, [InsertStage("prefetch", {"buffer_size": 2}, "source")])
    assert found is not None
    assert found.speedup == pytest.approx(2.0, rel=0.01)
    assert found.formula.startswith("16.0 → 8.0")
    assert predict.expected(view, [HandWritten((), "", "")]) is None


def test_calls_that_wait_are_as_many_as_calls_and_threads_allow() -> None:
    # T1, T2 of the catalogue: 2 cores, 5 ms per element, 16 elements per batch.
    serial = 80.0
    assert predict.more_calls(serial, serial, blocked_ms=serial, calls=16, threads=2).speedup == pytest.approx(2)
    assert predict.more_calls(serial, serial, blocked_ms=serial, calls=16, threads=16).speedup == pytest.approx(16)
    assert predict.more_calls(serial, serial, blocked_ms=serial, calls=4, threads=16).speedup == pytest.approx(4)


def test_what_stays_bounds_what_waiting_calls_bring() -> None:
    assert predict.more_calls(20, 16, blocked_ms=16, calls=16, threads=16, rest_ms=4).speedup == pytest.approx(5)
    assert predict.more_calls(20, 16, blocked_ms=16, calls=16, threads=16, floor_ms=10).speedup == pytest.approx(2)
    found = predict.more_calls(20, 16, blocked_ms=16, calls=16, threads=16, cpu_ms=8)
    assert found.speedup == pytest.approx(2.5)
    assert "computing 8.00 ms" in found.formula


@pytest.mark.parametrize(
    ("stage", "target", "least", "most", "threads"),
    [(100, 12, 2, 64, 9), (100, 0, 2, 64, 64), (100, 0, 2, 16, 16), (10, 12, 5, 64, 5), (1e6, 1, 5, 64, 64)],
)
def test_threads_are_as_many_as_must_wait(stage: float, target: float, least: int, most: int, threads: int) -> None:
    assert predict.threads_needed(stage, target, least, most) == threads


def test_bytes_in_flight() -> None:
    assert predict.buffered(100.0, 16) == 1600
    assert predict.buffered(None, 16) is None


def test_only_what_is_blocked_becomes_shorter() -> None:
    # Four calls are in flight; more of them compute no faster.
    assert predict.more_calls(20, 80, blocked_ms=0, calls=64, threads=64).speedup == pytest.approx(1)
    assert predict.more_calls(20, 80, blocked_ms=80, calls=16, threads=16).speedup == pytest.approx(4)
    half = predict.more_calls(20, 80, blocked_ms=40, calls=64, threads=64)
    assert half.speedup == pytest.approx(20 / (10 + 40 / 64))
    assert "wait 0.625 ms instead of 10.0 ms, and compute 10.0 ms" in half.formula


@pytest.mark.parametrize(
    "found",
    [
        predict.more_calls(20, 16, blocked_ms=16, calls=16, threads=16, restart_ms=10),
    ],
)
def test_the_starts_of_epochs_stay(found: Prediction) -> None:
    assert found.speedup is not None
    assert 1.0 < found.speedup <= 2.0
    assert "10.0 ms of restarts stay" in found.formula


@given(
    interval=TIMES,
    stage=TIMES,
    blocked=st.floats(0, 1),
    calls=st.integers(1, 64),
    threads=st.integers(1, 64),
    floor=st.none() | TIMES,
    restart=st.floats(0, 1),
)
def test_no_prediction_is_below_one_or_beyond_the_replay(
    interval: float, stage: float, blocked: float, calls: int, threads: int, floor: float | None, restart: float
) -> None:
    restarts = {"restart_ms": restart * interval}
    rest = max(0.0, interval - stage)
    for found in (
        predict.more_calls(
            interval,
            stage,
            blocked_ms=blocked * stage,
            calls=calls,
            threads=threads,
            rest_ms=rest,
            floor_ms=floor,
            **restarts,
        ),
    ):
        assert found.speedup is not None
        assert found.speedup >= 1.0
        if floor is not None and floor <= interval:
            assert found.speedup <= interval / floor * (1 + 1e-9)
        assert "×" in found.formula
