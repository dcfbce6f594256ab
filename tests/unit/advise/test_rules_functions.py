"""Rules about functions in a pipeline: each has a view that it must find something in, and near twins without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from unit.advise.function_views import (
    DECODES,
    WANTED,
    found,
    generator,
    late_filter,
    measured_again,
    only,
    python_map,
    records,
    small_map,
)
from unit.advise.recorded import recorded_view
from unit.advise.views import function, measured, pipeline, stage, tensor, unnamed

from pipeprof.pipelines.changes.edits import MoveFilter, MoveStage
from pipeprof.pipelines.changes.in_spec import apply_to_data, can_change
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.profiles.advise.predict import expected
from pipeprof.profiles.advise.rule import bar_to_try, rules
from pipeprof.profiles.advise.text.in_words import written_spec
from pipeprof.profiles.view.view import ComponentView, MeasuredFacts, PipelineView, StageView

# py-function-gil


def test_python_that_computes_all_the_time() -> None:
    draft = only("py-function-gil", python_map(size=256))
    assert draft.stage == "stages.0"
    assert draft.evidence["calls_per_batch"] == 256
    assert draft.evidence["python_share"] == 0.9
    assert (draft.edits, draft.predicted.speedup) == ((), None)


def test_parallel_calls_of_python_take_turns() -> None:
    draft = only("py-function-gil", python_map(ms=140.0, parallelism=8.0))
    assert draft.evidence["parallel_calls"] == 8


def test_a_filter_is_called_for_what_goes_in() -> None:
    view = pipeline(
        stage("source", "range", count=12800),
        stage("stages.0", "filter", ms=18.0, function=function("PyFunc")),
        stage("stages.1", "batch", arguments={"batch_size": 32}),
        static=False,
    )
    draft = only("py-function-gil", measured(view, python_share=0.9, worker_cores=1.0))
    assert draft.evidence["calls_per_batch"] == 128
    assert draft.edits == ()


def test_the_largest_of_several_is_named() -> None:
    view = pipeline(
        stage("source", "range"),
        stage("stages.0", "map", ms=4.0, function=function("PyFunc")),
        stage("stages.1", "map", ms=9.0, function=function("PyFunc")),
        stage("stages.2", "map", ms=7.0, function=function("Cast")),
        static=False,
    )
    draft = only("py-function-gil", measured(view, python_share=0.7, worker_cores=1.0))
    assert draft.stage == "stages.1"
    assert draft.evidence["time_share"] == pytest.approx(0.65, abs=0.01)


def test_threads_that_wait_for_cores_would_use_them() -> None:
    assert found("py-function-gil", python_map(worker_cores=0.4, runnable_wait_share=0.5))
    assert not found("py-function-gil", python_map(worker_cores=0.4, runnable_wait_share=0.0))


def test_the_lock_is_told_where_it_was_measured() -> None:
    draft = only("py-function-gil", python_map(python_lock=0.95))
    assert draft.evidence["python_lock_share"] == 0.95


def test_python_that_leaves_the_work_to_numpy_may_be_parallel() -> None:
    view = python_map(python_lock=0.05)
    assert not found("py-function-gil", view)
    (draft,) = found("serial-map-cpu", view)
    assert draft.stage == "stages.0"
    assert not found("serial-map-cpu", python_map(python_lock=0.3))
    assert not found("serial-map-cpu", python_map())


@pytest.mark.parametrize(
    "run",
    [
        pytest.param({"python_lock": 0.4}, id="its lock is free most of the time"),
        pytest.param({"worker_cores": 0.05}, id="it sleeps or reads"),
        pytest.param({"worker_cores": 2.0}, id="it lets go of the lock"),
        pytest.param({"python_share": 0.15}, id="it is short"),
        pytest.param({"python_share": None}, id="nothing was traced"),
        pytest.param({"worker_cores": None}, id="nothing was counted"),
    ],
)
def test_python_is_left_alone(run: dict[str, Any]) -> None:
    assert not found("py-function-gil", python_map(**run))


def test_python_beside_a_slower_stage_is_left_alone() -> None:
    view = pipeline(
        stage("source", "range"),
        stage("stages.0", "map", ms=60.0, parallelism=4.0, function=function("DecodeJpeg")),
        stage("stages.1", "map", ms=14.0, function=function("PyFunc")),
        static=False,
    )
    assert not found("py-function-gil", measured(view, python_share=0.7, worker_cores=1.5))


def test_tensorflow_ops_do_not_hold_pythons_lock() -> None:
    assert not found("py-function-gil", python_map("DecodeJpeg"))


# from-generator-per-element


def test_a_generator_that_hands_over_row_by_row() -> None:
    draft = only("from-generator-per-element", generator())
    assert draft.stage == "source"
    assert draft.evidence["us_per_element"] == pytest.approx(62.5)
    assert draft.evidence["elements_per_batch"] == 64
    # 64 x 57 µs become 100 µs; half a millisecond is all that the step takes.
    assert draft.predicted.speedup == pytest.approx(5 / (5 - (64 * 57 - 100) / 1000))
    assert [edit.stages for edit in draft.edits] == [("source", "stages.0")]


def test_a_row_of_100_scalars_costs_as_much_as_20_rows_of_one_tensor() -> None:
    def wide(components: int) -> PipelineView:
        view = pipeline(
            stage("source", "from_generator", ms=100.0, element=(tensor("float32"),) * components),
            stage("stages.0", "batch", arguments={"batch_size": 64}, ms=0.1),
            static=False,
        )
        return measured(view, interval_ms=105.0, headspace=0.9)

    draft = only("from-generator-per-element", wide(100))
    assert draft.evidence["hand_over_us"] == 57 + 99 * 12
    assert draft.predicted.speedup == pytest.approx(105 / (105 - (64 * (57 + 99 * 12) - (100 + 99 * 12)) / 1000))
    # One tensor costs as much only where the generator itself works.
    assert not found("from-generator-per-element", wide(1))


def test_what_stands_between_still_gets_single_rows() -> None:
    view = pipeline(
        stage("source", "from_generator", ms=4.0),
        stage("stages.0", "map", ms=0.3),
        stage("stages.1", "padded_batch", arguments={"batch_size": 64}),
        static=False,
    )
    draft = only("from-generator-per-element", measured(view, interval_ms=5.0))
    (edit,) = draft.edits
    assert edit.stages == ("source",)
    assert edit.yaml.endswith("stages:\n  - unbatch: {}   # the later stages stay the same")
    assert edit.python.endswith("dataset = dataset.unbatch()")


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(generator(ms=0.06, size=1), id="whole batches"),
        pytest.param(generator(ms=64 * 0.5), id="the generator works"),
        pytest.param(generator(ms=0.4, size=7), id="few rows"),
        pytest.param(generator(batch="prefetch"), id="no batch"),
        pytest.param(generator(share=0.4), id="something else comes first"),
    ],
)
def test_generators_are_left_alone(view: PipelineView) -> None:
    assert not found("from-generator-per-element", view)


def generated_pictures(*above: StageView, width: int = 64, **run: Any) -> PipelineView:
    view = pipeline(
        stage("source", "from_generator", ms=3.0, element=(tensor("float32", width, width, 3),)),
        stage("stages.0", "batch", arguments={"batch_size": 50}, ms=0.1),
        *above,
        static=False,
    )
    return measured(view, interval_ms=4.0, headspace=0.9, **run)


def test_the_price_of_whole_batches_is_what_the_prefetch_holds_of_them() -> None:
    draft = only("from-generator-per-element", generated_pictures(dispatch=None))
    assert draft.evidence["tuned_prefetch_bytes"] == 512 * 50 * 64 * 64 * 3 * 4
    assert draft.predicted.formula.endswith("; 2 × 2.34 MiB in the prefetch")
    (edit,) = draft.edits
    assert edit.yaml.endswith("stages:\n  - prefetch: {buffer_size: 2}")
    assert edit.python.endswith("\ndataset = dataset.prefetch(2)")


def test_a_prefetch_that_is_written_stays_and_has_its_price() -> None:
    tuned = stage("stages.1", "prefetch", arguments={"buffer_size": AUTOTUNE})
    draft = only("from-generator-per-element", generated_pictures(tuned))
    assert draft.predicted.formula.endswith("; up to 512 × 2.34 MiB = 1.17 GiB more in the tuned prefetch")
    assert "prefetch" not in draft.edits[0].yaml


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(generated_pictures(width=16), id="small batches"),
        pytest.param(generated_pictures(stage("stages.1", "prefetch", arguments={"buffer_size": 2})), id="bounded"),
        pytest.param(generated_pictures(prefetched=False), id="no prefetch"),
    ],
)
def test_whole_batches_without_a_price(view: PipelineView) -> None:
    draft = only("from-generator-per-element", view)
    assert "tuned_prefetch_bytes" not in draft.evidence
    assert draft.predicted.formula.endswith("less")
    assert "prefetch" not in draft.edits[0].yaml


def test_a_generator_under_a_long_step_is_left_alone() -> None:
    view = generator()
    assert found("from-generator-per-element", view)
    assert not found("from-generator-per-element", measured_again(view, 100.0))


def test_a_generator_is_no_suspicion_without_a_run() -> None:
    view = pipeline(stage("source", "from_generator"), stage("stages.0", "batch", arguments={"batch_size": 64}))
    assert not found("from-generator-per-element", view)


# filter-after-expensive-map


def test_elements_mapped_and_thrown_away() -> None:
    view = late_filter()
    draft = only("filter-after-expensive-map", view)
    assert draft.stage == "stages.1"
    assert draft.semantics == "same"
    assert draft.evidence["kept_share"] == pytest.approx(0.25)
    assert draft.evidence["wasted_ms_per_batch"] == pytest.approx(9.0)
    assert [(edit.stage, edit.before) for edit in draft.edits] == [("stages.1", "stages.0")]
    assert draft.predicted == expected(view, draft.edits)
    assert draft.predicted.speedup > 1.5


def test_a_filter_is_told_what_it_is_called_with_before_the_map() -> None:
    view = late_filter()
    pair, single = (tensor("int64"), tensor("float32")), (tensor("int64"),)

    def told(before: tuple[ComponentView, ...], after: tuple[ComponentView, ...]) -> str:
        elements = {"source": before, "stages.0": after}
        stages = tuple(replace(one, element=elements.get(one.id)) for one in view.stages)
        return only("filter-after-expensive-map", replace(view, stages=stages)).recommendation

    words = "Its function is called with 2 tensors now, and with 1 there, as from_tensor_slices outputs them."
    assert told(single, pair).endswith(words)
    assert told(pair, pair).endswith("in the same order.")


def test_a_filter_of_other_elements_before_the_maps_takes_what_it_reads_of_them_in_a_graph() -> None:
    view = late_filter()
    pair, other = (tensor("string"), tensor("int64")), (tensor("float32"), tensor("int64"))

    def moved(before: tuple[ComponentView, ...], **spec: Any) -> Any:
        elements = {"source": before, "stages.0": other}
        stages = tuple(replace(one, element=elements.get(one.id), **spec) for one in view.stages)
        return only("filter-after-expensive-map", replace(view, stages=stages)).edits[0]

    assert moved(pair) == MoveFilter("stages.1", before="stages.0")
    assert moved(other) == MoveStage("stages.1", "filter", before="stages.0")


SMALL = {"ops": [{"tf.math.less": {"y": 3, "on": "id"}}]}


def of_spec(view: PipelineView, filter_: Mapping[str, Any], *calls: Any) -> PipelineView:
    """The view as that of a spec, whose map makes these calls."""
    written = {"stages.0": {"ops": list(calls)}, "stages.1": filter_, "stages.2": {"batch_size": 32}}
    return replace(view, stages=tuple(replace(one, written=written.get(one.id, {})) for one in view.stages))


def test_a_filter_of_a_spec_moves_as_it_is_where_its_fields_have_the_same_names() -> None:
    decode = {"tf.io.decode_jpeg": {"on": "image"}}
    same = only("filter-after-expensive-map", of_spec(late_filter(), SMALL, decode))
    assert same.edits == (MoveStage("stages.1", "filter", before="stages.0"),)
    renamed = of_spec(late_filter(), SMALL, decode, {"rename": {"number": "id"}})
    draft = only("filter-after-expensive-map", renamed)
    assert draft.edits == (MoveFilter("stages.1", before="stages.0"),)
    moved = apply_to_data(written_spec(renamed), draft.edits)["stages"][0]
    assert moved == {"filter": {"ops": [{"tf.math.less": {"y": 3, "on": "number"}}]}}


def test_a_filter_of_a_spec_with_a_map_in_python_moves_in_the_graph_alone() -> None:
    view = of_spec(late_filter(), SMALL)
    python = tuple(
        replace(one, written={"python": "f.py:fn"}, element=(tensor("int64"),)) if one.op == "map" else one
        for one in view.stages
    )
    draft = only("filter-after-expensive-map", replace(view, stages=python))
    assert draft.edits == (MoveFilter("stages.1", before="stages.0"),)
    assert not can_change(written_spec(replace(view, stages=python)), draft.edits)


def test_a_filter_that_reads_what_a_map_makes_is_worth_a_try() -> None:
    view = late_filter(predicate=replace(WANTED, reads=frozenset({"image"})), kept=0.7)
    assert not found("filter-after-expensive-map", view)
    with bar_to_try():
        draft = only("filter-after-expensive-map", view)
        assert draft.edits == (MoveFilter("stages.1", before="stages.0"),)
        assert (draft.semantics, draft.predicted) == ("same", None)
        spec = of_spec(view, SMALL, {"tf.io.decode_jpeg": {"on": "image"}})
        assert only("filter-after-expensive-map", spec).edits == draft.edits
        draws = replace(DECODES, random=True, stateful_op="RandomUniform")
        drawn = only("filter-after-expensive-map", late_filter(draws, replace(WANTED, reads=frozenset({"image"}))))
        assert (drawn.edits, drawn.semantics) == (draft.edits, "randomness")
        for body in (replace(draws, python=True), replace(DECODES, python=True), replace(DECODES, stateful_op="Rng")):
            random = late_filter(body, predicate=replace(WANTED, reads=frozenset({"image"})))
            assert not found("filter-after-expensive-map", random)
        assert not found(
            "filter-after-expensive-map", late_filter(predicate=replace(WANTED, reads=frozenset({"image"})), kept=0.97)
        )


def test_a_cheap_map_before_a_filter_gains_little() -> None:
    draft = only("filter-after-expensive-map", late_filter(ms=2.0, predicate=WANTED, kept=0.05))
    assert 1.05 < draft.predicted.speedup < 14 / (14 - 2)


def test_a_random_map_gives_the_kept_elements_other_draws() -> None:
    draft = only("filter-after-expensive-map", late_filter(replace(DECODES, random=True, stateful_op="RandomUniform")))
    assert draft.semantics == "randomness"


def test_python_may_count_its_calls() -> None:
    body = replace(DECODES, python=True, random=None, stateful_op="PyFunc")
    assert only("filter-after-expensive-map", late_filter(body)).semantics == "values"


def test_the_filter_passes_every_map_that_it_does_not_read_from() -> None:
    cheap = function("Mul", reads=frozenset({"weight"}), writes=frozenset({"weight"}))
    maker = function("Cast", reads=frozenset({"text"}), writes=frozenset({"label"}))
    view = pipeline(
        stage("source", "from_tensor_slices", count=12800),
        stage("stages.0", "map", function=maker, ms=0.5, count=12800),
        stage("stages.1", "map", function=DECODES, ms=12.0, count=12800),
        stage("stages.2", "prefetch", count=12800),
        stage("stages.3", "map", function=cheap, ms=0.5, count=12800),
        stage("stages.4", "filter", function=WANTED, ms=1.0),
        stage("stages.5", "batch", arguments={"batch_size": 32}),
        static=False,
    )
    draft = only("filter-after-expensive-map", measured(view, interval_ms=16.0))
    assert [(edit.stage, edit.before) for edit in draft.edits] == [("stages.4", "stages.1")]
    assert draft.evidence["map_ms_per_batch"] == pytest.approx(12.5)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(late_filter(replace(DECODES, writes=None)), id="what is made is not known"),
        pytest.param(late_filter(predicate=replace(WANTED, reads=None)), id="what is read is not known"),
        pytest.param(late_filter(predicate=replace(WANTED, reads=frozenset())), id="it reads nothing"),
        pytest.param(late_filter(predicate=replace(WANTED, random=True)), id="it draws"),
        pytest.param(late_filter(kept=0.85, own_ms=0.01), id="nearly all are kept"),
        pytest.param(late_filter(ms=0.5, own_ms=0.1), id="a small part of the step"),
        pytest.param(late_filter(ms=0.8), id="the filter is dearer"),
    ],
)
def test_filters_are_left_alone(view: PipelineView) -> None:
    assert not found("filter-after-expensive-map", view)


# as recorded

COMPUTES = MeasuredFacts(worker_cores=1.0, runnable_wait_share=0.0, python_share=0.95)
RECORDED = [
    ("cast_before_batch", "cast_after_batch", "map-before-batch-scalar", "stages.0"),
    ("filter_on_input", "filter_first", "filter-after-expensive-map", "stages.2"),
    ("filter_on_kept_input", "filter_on_result", "filter-after-expensive-map", "stages.2"),
    ("generator_rows", "generator_chunks", "from-generator-per-element", "source"),
    ("parse_before_batch", "parse_after_batch", "parse-single-example", "stages.1"),
    ("python_parallel", "cast_before_batch", "py-function-gil", "stages.0"),
]


@pytest.mark.parametrize(("recording", "twin", "name", "place"), RECORDED)
def test_recordings_and_their_twins(recording: str, twin: str, name: str, place: str) -> None:
    view = recorded_view(recording, facts=COMPUTES)
    assert only(name, view).stage == place
    assert only(name, unnamed(view)).stage == place
    assert not found(name, recorded_view(twin, facts=COMPUTES))


def test_recorded_python_that_waits() -> None:
    waits = replace(COMPUTES, worker_cores=0.103)
    assert not found("py-function-gil", recorded_view("python_per_batch", facts=waits))


# all of them

TRIGGERS: dict[str, Callable[[], PipelineView]] = {
    "py-function-gil": python_map,
    "from-generator-per-element": generator,
    "map-before-batch-scalar": lambda: measured(small_map(), interval_ms=4.0),
    "parse-single-example": lambda: measured(records(), interval_ms=6.0),
    "filter-after-expensive-map": late_filter,
}


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_names_change_nothing_but_the_words(name: str) -> None:
    view = TRIGGERS[name]()
    named, plain = only(name, view), only(name, unnamed(view))
    assert replace(named, sentence="", recommendation="") == replace(plain, sentence="", recommendation="")
    assert "a (" in named.sentence
    assert "a (" not in plain.sentence


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_without_costs_nothing_measured_is_said(name: str) -> None:
    view = TRIGGERS[name]()
    bare = replace(
        view,
        stages=tuple(replace(one, measured=None) for one in view.stages),
        profile=view.profile.model_copy(update={"stages": None}),
    )
    assert not found(name, bare)


@pytest.mark.parametrize("name", sorted(TRIGGERS))
def test_texts_and_edits_are_complete(name: str) -> None:
    rule, draft = rules()[name], only(name, TRIGGERS[name]())
    assert rule.family == "speed"
    assert all((rule.title, rule.seen, rule.why, rule.fix, rule.ignore_when))
    assert all(threshold.source for threshold in rule.thresholds)
    assert name == "py-function-gil" or (draft.edits and draft.predicted.speedup > 1.05)
