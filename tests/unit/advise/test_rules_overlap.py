"""``no-prefetch`` and ``no-prefetch-between``: each on what must trigger it and on near twins that must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.advise.views import Built, function, measured, pipeline, recorded, stage, unnamed

from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView

PYTHON = function("PyFunc")
RANDOM = function("RandomUniform")


def found(rule: str, view: PipelineView) -> list[Proposal]:
    return list(rules()[rule].diagnose(view))


def taking_turns(**options: Any) -> Built:
    """A producer of 8 ms that ends in a synchronous batch."""
    return pipeline(
        stage("source", "range"),
        stage("stages.0", "map", ms=8.0, name="a", function=PYTHON),
        stage("stages.1", "padded_batch", arguments={"batch_size": 4}),
        options=options,
    )


def turns(view: Built, **conditions: Any) -> PipelineView:
    """Measured with a step of 10 ms and no prefetch at the end."""
    given: dict[str, Any] = {"interval_ms": 18.0, "wait_share": 8 / 18, "headspace": 8 / 18, "prefetched": False}
    return measured(view, **(given | {"worker_cores": 0.3} | conditions))


class TestNoPrefetch:
    def test_pipeline_and_step_take_turns(self) -> None:
        (draft,) = found("no-prefetch", turns(taking_turns(**{"autotune.enabled": False})))
        assert draft.stage == "stages.1"
        assert draft.edits == (InsertStage("prefetch", {"buffer_size": AUTOTUNE}),)
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(1.8)
        assert (draft.evidence["step_ms"], draft.evidence["dispatch"]) == (pytest.approx(10.0), "sync")
        assert draft.evidence["pipeline_ms"] == pytest.approx(8.0)
        assert draft.evidence["option"] == "autotune.enabled"

    def test_only_the_cores_that_are_left_can_do_both_at_a_time(self) -> None:
        (draft,) = found("no-prefetch", turns(taking_turns(), worker_cores=1.2, cores=4.0, others_cores=2.4))
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(18 / (18 * 1.2 / 1.6), rel=0.01)
        assert not found("no-prefetch", turns(taking_turns(), cores=4.0, others_cores=3.0))

    @pytest.mark.parametrize(
        "option", ["experimental_optimization.inject_prefetch", "experimental_optimization.apply_default_optimizations"]
    )
    def test_it_names_the_option_that_was_switched_off(self, option: str) -> None:
        (draft,) = found("no-prefetch", turns(taking_turns(**{option: False})))
        assert draft.evidence["option"] == option

    def test_what_tensorflow_adds_by_itself_is_enough(self) -> None:
        assert not found("no-prefetch", turns(taking_turns(), prefetched=True))

    @pytest.mark.parametrize("dispatch", [1, 2, None])
    def test_it_is_worth_nothing_with_steps_in_flight_or_without_a_step(self, dispatch: int | None) -> None:
        assert not found("no-prefetch", turns(taking_turns(), dispatch=dispatch))

    @pytest.mark.parametrize(
        "tf_op", ["ParallelMapDatasetV2", "MapAndBatchDataset", "ParallelInterleaveDatasetV4", "PrefetchDataset"]
    )
    def test_a_stage_that_runs_ahead_at_the_end_is_enough(self, tf_op: str) -> None:
        view = pipeline(stage("source", "range"), stage("stages.0", "map", ms=8.0, tf_op=tf_op, function=PYTHON))
        assert not found("no-prefetch", turns(view))

    def test_a_stage_without_effect_is_not_the_end(self) -> None:
        view = turns(
            pipeline(
                stage("source", "range"),
                stage("stages.0", "map", ms=8.0, tf_op="ParallelMapDatasetV2"),
                stage("stages.1", "take", arguments={"count": -1}),
            )
        )
        stages = tuple(replace(one, executed_op=None) if one.id == "stages.1" else one for one in view.stages)
        assert not found("no-prefetch", replace(view, stages=stages))

    def test_a_repeat_above_a_prefetch_changes_nothing(self) -> None:
        view = pipeline(
            stage("source", "range"),
            stage("stages.0", "map", ms=8.0, function=PYTHON),
            stage("stages.1", "prefetch"),
            stage("stages.2", "repeat"),
        )
        assert not found("no-prefetch", turns(view))

    def test_only_what_stands_above_the_last_that_runs_ahead_takes_turns(self) -> None:
        view = pipeline(
            stage("source", "range"),
            stage("stages.0", "map", ms=8.0, tf_op="ParallelMapDatasetV2", parallelism=4),
            stage("stages.1", "batch", ms=3.0, arguments={"batch_size": 4}),
        )
        (draft,) = found("no-prefetch", turns(view))
        assert draft.evidence["pipeline_ms"] == pytest.approx(3.01, rel=0.01)

    def test_a_short_pipeline_is_left_alone(self) -> None:
        assert not found("no-prefetch", turns(taking_turns(), interval_ms=10.4, wait_share=0.4 / 10.4))

    def test_starts_of_epochs_are_not_what_a_prefetch_hides(self) -> None:
        assert not found("no-prefetch", turns(taking_turns(), wait_share=0.3, restart_share=0.29))

    def test_one_core_is_silent(self) -> None:
        assert not found("no-prefetch", turns(taking_turns(), cores=1.0))
        assert not found("no-prefetch", turns(taking_turns(), cores=2.0, worker_cores=1.9))

    @pytest.mark.parametrize("name", ["tail_inject_off", "tail_autotune_off"])
    def test_recorded_without_a_prefetch(self, name: str) -> None:
        (draft,) = found("no-prefetch", on_a_step(name))
        assert draft.stage == "stages.1"
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(1.88, abs=0.05)

    @pytest.mark.parametrize("name", ["tail_injected", "tail_written", "map_batch", "autotune_off", "two_maps"])
    def test_recorded_twins(self, name: str) -> None:
        assert not found("no-prefetch", on_a_step(name))


def on_a_step(name: str) -> PipelineView:
    return recorded(name, interval_ms=18.8, wait_share=8.8 / 18.8, headspace=0.47, dispatch="sync", worker_cores=0.3)


def in_a_row(*between: str, upper_ms: float = 2.0, lower_ms: float = 2.0, **facts: Any) -> Built:
    """A generator, what stands between, and a map, both slow."""
    middle = [stage(f"stages.{index}", op, ms=0.01) for index, op in enumerate(between)]
    return pipeline(
        stage("source", "from_generator", ms=lower_ms, name="b"),
        *middle,
        stage(f"stages.{len(between)}", "map", ms=upper_ms, name="a", **({"function": PYTHON} | facts)),
    )


def drained(view: Built, interval_ms: float = 4.05, **conditions: Any) -> PipelineView:
    given: dict[str, Any] = {"interval_ms": interval_ms, "dispatch": None, "wait_share": 1.0, "headspace": 0.99}
    return measured(view, **(given | {"worker_cores": 0.1, "blocked_share": 1.0} | conditions))


class TestNoPrefetchBetween:
    def test_a_slow_generator_and_a_slow_map_take_turns(self) -> None:
        (draft,) = found("no-prefetch-between", drained(in_a_row()))
        assert draft.edits == (InsertStage("prefetch", {"buffer_size": 2}, after="source"),)
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(2, rel=0.05)

    def test_a_prefetch_between_is_all_it_takes(self) -> None:
        assert not found("no-prefetch-between", drained(in_a_row("prefetch"), interval_ms=2.05))

    def test_cheap_stages_between_do_not_help(self) -> None:
        (draft,) = found("no-prefetch-between", drained(in_a_row("repeat")))
        # Nearest to the stage above, of places that as many elements pass.
        assert [edit.after for edit in draft.edits if isinstance(edit, InsertStage)] == ["stages.0"]

    def test_the_prefetch_goes_where_the_fewest_elements_pass(self) -> None:
        view = pipeline(
            stage("source", "from_generator", ms=2.0),
            stage("stages.0", "batch", arguments={"batch_size": 8}),
            stage("stages.1", "unbatch", count=800),
            stage("stages.2", "map", ms=2.0, function=PYTHON, count=800),
        )
        (draft,) = found("no-prefetch-between", drained(view))
        assert [edit.after for edit in draft.edits if isinstance(edit, InsertStage)] == ["stages.0"]

    def test_three_in_a_row_are_one_finding(self) -> None:
        view = pipeline(
            stage("source", "from_generator", ms=2.0),
            stage("stages.0", "map", ms=2.0, function=PYTHON),
            stage("stages.1", "filter", ms=2.0, function=PYTHON),
        )
        (draft,) = found("no-prefetch-between", drained(view, interval_ms=6.1))
        assert {edit.after for edit in draft.edits if isinstance(edit, InsertStage)} == {"source", "stages.0"}
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(3, rel=0.1)

    def test_one_of_them_being_fast_is_silent(self) -> None:
        assert not found("no-prefetch-between", drained(in_a_row(lower_ms=0.3), interval_ms=2.35))

    def test_a_parallel_map_draws_ahead_of_its_calls(self) -> None:
        view = in_a_row(tf_op="ParallelMapDatasetV2", parallelism=4, arguments={"num_parallel_calls": 4})
        assert not found("no-prefetch-between", drained(view))

    def test_a_fused_map_of_one_call_takes_turns_with_its_source(self) -> None:
        view = pipeline(
            stage("source", "from_generator", ms=2.0),
            stage("stages.0", "map", ms=2.0, function=PYTHON, tf_op="MapAndBatchDataset", parallelism=1, tunable=False),
            stage("stages.1", "batch", tf_op="MapAndBatchDataset", fused_with="stages.0"),
        )
        (draft,) = found("no-prefetch-between", drained(view))
        assert draft.stage == "stages.0"

    def test_a_row_that_does_not_set_the_pace_is_silent(self) -> None:
        view = pipeline(
            stage("source", "from_generator", ms=5.0),
            stage("stages.0", "filter", ms=5.0, function=PYTHON),
            stage("stages.1", "map", ms=80.0, tf_op="ParallelMapDatasetV2", parallelism=4),
        )
        assert not found("no-prefetch-between", drained(view, interval_ms=20.0))

    def test_a_pace_that_the_row_does_not_explain_is_left_alone(self) -> None:
        assert not found("no-prefetch-between", drained(in_a_row(upper_ms=5.0, lower_ms=5.0), interval_ms=20.0))

    def test_without_a_prefetch_at_the_end_the_step_stays_in_turn(self) -> None:
        view = turns(in_a_row(upper_ms=4.0, lower_ms=4.0), worker_cores=0.1, headspace=0.99)
        (draft,) = found("no-prefetch-between", view)
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(18 / 14, rel=0.01)

    def test_the_map_that_owns_the_step_is_the_better_finding(self) -> None:
        view = drained(in_a_row(upper_ms=3.0, lower_ms=1.0))
        assert found("no-prefetch-between", view)
        assert [finding.rule for finding in advise(view)[0]] == ["serial-map-latency"]

    def test_python_that_computes_takes_turns_on_its_lock_anyway(self) -> None:
        computing = {"worker_cores": 1.0, "python_ms": 4.0, "python_share": 1.0}
        assert not found("no-prefetch-between", drained(in_a_row(), **computing))

    def test_elements_too_small_to_hand_over_are_silent(self) -> None:
        view = pipeline(
            stage("source", "range", ms=2.0, count=100_000),
            stage("stages.0", "filter", ms=2.0, function=RANDOM, count=100_000),
        )
        assert not found("no-prefetch-between", drained(view))

    def test_one_core_is_silent(self) -> None:
        assert not found("no-prefetch-between", drained(in_a_row(), cores=1.0))

    @pytest.mark.parametrize(
        ("name", "speedup"), [("serial_after_serial", 1.95), ("generator_then_map", 1.95), ("zip_serial", 2.0)]
    )
    def test_recorded(self, name: str, speedup: float) -> None:
        (draft,) = found("no-prefetch-between", recorded(name, worker_cores=0.1))
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(speedup, abs=0.1)

    @pytest.mark.parametrize("name", ["serial_prefetch_serial", "generator_prefetch_map", "zip_prefetched"])
    def test_recorded_twins(self, name: str) -> None:
        assert not found("no-prefetch-between", recorded(name, worker_cores=0.1))

    def test_the_sides_of_a_zip_are_one_finding_maps_and_all(self) -> None:
        view = recorded("zip", worker_cores=0.1)
        (draft,) = found("no-prefetch-between", view)
        assert draft.stage == "source"
        assert [edit.after for edit in draft.edits if isinstance(edit, InsertStage)] == [
            "source.inputs.0.stages.0",
            "source.inputs.1.stages.0",
        ]
        assert not found("serial-map-latency", view)

    def test_a_prediction_keeps_its_promise(self) -> None:
        before, after = recorded("zip_serial", worker_cores=0.1), recorded("zip_prefetched", worker_cores=0.1)
        (draft,) = found("no-prefetch-between", before)
        assert before.profile is not None
        assert after.profile is not None
        assert before.profile.steps is not None
        assert after.profile.steps is not None
        got = before.profile.steps.interval_ms.mean / after.profile.steps.interval_ms.mean
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(got, rel=0.1)


@pytest.mark.parametrize("view", [turns(taking_turns()), drained(in_a_row())])
def test_findings_do_not_need_names(view: PipelineView) -> None:
    for rule in ("no-prefetch", "no-prefetch-between"):
        named, plain = found(rule, view), found(rule, unnamed(view))
        assert [(one.stage, one.edits, one.evidence) for one in named] == [
            (one.stage, one.edits, one.evidence) for one in plain
        ]


@pytest.mark.parametrize("silent", [{"wait_share": 0.01}, {"headspace": 0.01}])
def test_a_pipeline_that_keeps_up_gets_no_advice(silent: dict[str, float]) -> None:
    for view in (turns(taking_turns(), **silent), measured(in_a_row(), interval_ms=4.05, **silent)):
        findings, _ = advise(view)
        assert [one.rule for one in findings if one.family == "speed"] == []
