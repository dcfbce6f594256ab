from __future__ import annotations

from dataclasses import replace

import pytest

from pipeprof.pipelines.changes.edits import HandWritten, InsertStage
from pipeprof.profiles.advise import predict

from .views import measured, pipeline, stage


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


def test_the_work_of_a_stage_in_calls_has_the_prediction_of_the_model() -> None:
    rows = stage("source", "from_generator", ms=16.0, blocked_ms=16.0)
    view = measured(
        pipeline(rows, stage("stages.0", "batch", ms=0.1), static=False),
        interval_ms=16.0,
        dispatch=None,
        worker_cores=0.1,
        headspace=0.99,
    )
    several = predict.in_parallel(view, view.stages[0], 8, 8)
    capped = predict.in_parallel(view, view.stages[0], 8, 2)
    assert several is not None
    assert capped is not None
    assert several.speedup == pytest.approx(8.0, rel=0.05)
    assert capped.speedup == pytest.approx(2.0, rel=0.05)
    assert predict.in_parallel(replace(view, profile=None), view.stages[0], 8, 8) is None
