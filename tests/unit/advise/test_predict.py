"""What a change is predicted to give, from the view of a run, and what an idea leaves of the work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.view.recorded import recorded_view
from unit.view.views import measured, pipeline, stage

from pipeprof.profiles.advise.apply import ideas_for
from pipeprof.profiles.advise.batch_savings import copied_share, left_on_batches
from pipeprof.profiles.advise.predict import expected
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.view.view import PipelineView


def run(ms: float = 8.0, **facts: Any) -> PipelineView:
    rows = stage("source", "from_generator", ms=ms, blocked_ms=ms), stage("stages.0", "map", ms=8.0)
    given = {"interval_ms": 8.0 + ms, "dispatch": None, "worker_cores": 0.5, "headspace": 0.9, **facts}
    return measured(pipeline(*rows, static=False), **given)


def test_a_change_has_the_prediction_of_the_model() -> None:
    found = expected(run(), {}, {}, ["source"])
    assert (found.speedup, found.formula[:10]) == (pytest.approx(2.0, rel=0.01), "16.0 → 8.0")
    assert expected(run(), {}, {}) is None
    assert expected(replace(run(), profile=None), {}, {"source": 8}) is None


@pytest.mark.parametrize(("threads", "speedup"), [(8, 8.0), (2, 2.0), (None, 4.0)])
def test_calls_at_a_time_need_threads(threads: int | None, speedup: float) -> None:
    view = measured(
        pipeline(stage("source", "from_generator", ms=16.0, blocked_ms=16.0), static=False),
        interval_ms=16.0, dispatch=None, worker_cores=0.1, headspace=0.99,
    )  # fmt: skip
    found = expected(view, {}, {"source": 8}, threads=threads)
    assert found.speedup == pytest.approx(speedup, rel=0.05)


def test_no_idea_is_predicted_to_be_faster_than_a_free_pipeline() -> None:
    view = recorded_view("zip_serial", headspace=0.3)
    gains = [one.speedup for one in ideas_for(view)[0] if one.speedup is not None]
    assert max(gains) == pytest.approx(1 / 0.7)


@pytest.mark.parametrize(
    ("facts", "left"),
    [
        ({"ops": [OpCost(op="Cast", ms_per_batch=2.05)]}, 0.25),
        ({"ops": [OpCost(op="PyFunc", ms_per_batch=6.0)], "python": 2.0}, 0.25),
        ({"blocked_ms_per_batch": 4.0, "calling_ms_per_batch": 2.0}, 0.5 + 0.25 * 0.25),
    ],
    ids=["each call has the cost of its ops", "and that of calling Python", "without a trace all but waiting is less"],
)
def test_whole_batches_leave_what_a_function_does_beyond_its_calls(facts: dict[str, Any], left: float) -> None:
    if "python" in facts:
        facts = {**facts, "python": [PythonCost(function="f", ms_per_batch=facts["python"], share=1.0)]}
    row = Stage(id="stages.0", op="map", origin="written", time_ms_per_batch=8.0, calls_per_batch=100.0, **facts)
    assert left_on_batches(row) == pytest.approx(left)


def test_elements_out_of_a_cache_are_still_copied_into_the_batch_that_was_one_with_their_map() -> None:
    rows = (
        stage("source", "range"),
        stage("stages.0", "map", ms=1.0, bytes_per_element=4000.0),
        stage("stages.1", "batch", arguments={"batch_size": 100}, fused_with="stages.0"),
    )
    view = measured(pipeline(*rows, static=False))
    # 0.5 µs for each out of the cache, 0.4 for its row, 1 for its bytes.
    assert copied_share(view, view.stages[1]) == pytest.approx(0.19)
