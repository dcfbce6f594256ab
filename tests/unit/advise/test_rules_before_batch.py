"""Rules about work per element below a batch, each with near twins, and what a saved part of the time is worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.advise.function_views import ARITHMETIC, FLOAT, PARSE, PARSED, TEXT, found, only, records, small_map
from unit.advise.views import Built, function, measured, pipeline, stage, tensor

from pipeprof.pipelines.changes.edits import VectoriseMap
from pipeprof.pipelines.static.written_calls import WrittenFunction
from pipeprof.profiles.advise.batch_savings import batching, per_batch, saving, wall_ms
from pipeprof.profiles.advise.predict import expected
from pipeprof.profiles.view.view import ComponentView, FunctionView, PipelineView, StageView

# map-before-batch-scalar


def test_arithmetic_on_each_element() -> None:
    view = measured(small_map(), interval_ms=4.0, headspace=0.9)
    draft = only("map-before-batch-scalar", view)
    assert draft.stage == "stages.0"
    assert draft.evidence["us_per_element"] == pytest.approx(7.8125)
    assert draft.evidence["element_bytes"] == 8
    assert [(edit.stage, edit.before) for edit in draft.edits] == [("stages.1", "stages.0")]
    assert draft.predicted == expected(view, [VectoriseMap("stages.0", "stages.1")])
    assert draft.predicted.speedup > 1.5
    assert draft.semantics is None


@pytest.mark.parametrize(
    ("ms", "interval", "words"),
    [
        (
            2.0,
            4.0,
            # The stage's own time in the table is 2 ms: the two numbers must not appear together unexplained.
            "7.81 µs each in tf.data's counters, 2.00 ms per batch, which omit most of the call overhead; a call takes "
            "about 12 µs. That is up to 3.06 ms of the 4.00 ms per batch.",
        ),
        (
            4.0,
            4.5,
            "15.6 µs each, and the call alone costs about 12 µs. That is up to 3.06 ms of the 4.50 ms per batch.",
        ),
        (1.0, 2.9, "That is about all of the 2.90 ms per batch."),
    ],
)
def test_calls_are_told_beside_the_interval(ms: float, interval: float, words: str) -> None:
    view = measured(small_map(ms=ms), interval_ms=interval, headspace=0.9)
    assert words in only("map-before-batch-scalar", view).sentence


def test_stages_that_only_order_elements_move_along() -> None:
    view = pipeline(
        stage("source", "range", element=(tensor("int64"),)),
        stage("stages.0", "map", function=ARITHMETIC, element=(FLOAT,), ms=2.0),
        stage("stages.1", "shuffle", arguments={"buffer_size": 100}),
        stage("stages.2", "batch", arguments={"batch_size": 256}),
        static=False,
    )
    draft = only("map-before-batch-scalar", measured(view, interval_ms=4.0))
    assert [(edit.stage, edit.before) for edit in draft.edits] == [("stages.1", "stages.0"), ("stages.2", "stages.0")]


SPLITS = function("DecodeCSV", "Pack", elementwise=True, reads=frozenset({""}), writes=frozenset({""}))


def lines(body: FunctionView = SPLITS, *above: StageView, size: int = 128) -> PipelineView:
    """Lines of 21 numbers, split one by one: 1.5 ms of every 3 ms, as one pipeline was measured."""
    view = pipeline(
        stage("source", "TextLineDataset", element=(TEXT,)),
        stage("stages.0", "map", name="a", function=body, element=(tensor("float32", 21),), ms=1.5),
        stage("stages.1", "batch", arguments={"batch_size": size}),
        *above,
        static=False,
    )
    return measured(view, interval_ms=3.0, headspace=0.9)


def test_lines_are_split_batch_by_batch() -> None:
    draft = only("map-before-batch-scalar", lines())
    assert [(edit.stage, edit.before) for edit in draft.edits] == [("stages.1", "stages.0")]
    assert draft.predicted == expected(lines(), [VectoriseMap("stages.0", "stages.1")])


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(lines(replace(SPLITS, elementwise=False)), id="columns stand another way"),
        pytest.param(lines(SPLITS, stage("stages.2", "ignore_errors")), id="a bad line is left out today"),
        pytest.param(lines(size=4), id="few lines in a batch"),
    ],
)
def test_lines_that_are_left_alone(view: PipelineView) -> None:
    assert not found("map-before-batch-scalar", view)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(replace(ARITHMETIC, random=True), id="one draw for a whole batch"),
        pytest.param(replace(ARITHMETIC, random=None), id="perhaps random"),
        pytest.param(replace(ARITHMETIC, python=True), id="python"),
        pytest.param(replace(ARITHMETIC, stateful_op="Print"), id="state"),
        pytest.param(replace(ARITHMETIC, elementwise=False), id="shape counts"),
        pytest.param(replace(ARITHMETIC, elementwise=None), id="not known"),
    ],
)
def test_functions_that_mean_something_else_on_a_batch(body: FunctionView) -> None:
    assert found("map-before-batch-scalar", measured(small_map(), interval_ms=4.0))
    assert not found("map-before-batch-scalar", measured(small_map(body), interval_ms=4.0))
    assert not found("map-before-batch-scalar", small_map(body, static=True))


@pytest.mark.parametrize(
    ("more", "shown"), [("", True), ("    parsed['a'] = tf.reshape(parsed['a'], [4, 4])\n", False)]
)
def test_a_function_that_only_parses_is_written_whole(more: str, shown: bool) -> None:
    # Defaults of features are reshaped, and what is sparse is packed, without a call of the user's.
    body = function("ParseExampleV2", "Reshape", "SerializeSparse")
    text = f"def parse(record):\n    parsed = tf.io.parse_single_example(record, FEATURES)\n{more}    return parsed"
    view = measured(records(body, given=WrittenFunction("parse", 1, text)), interval_ms=6.0)
    by_hand = only("parse-single-example", view).by_hand
    assert (by_hand is not None) is shown
    assert not shown or "parsed = tf.io.parse_example(record, FEATURES)" in getattr(by_hand, "python", "")


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(small_map(size=7, ms=0.1), id="small batch"),
        pytest.param(small_map(element=(tensor("float32", 128, 128),)), id="large element"),
        pytest.param(small_map(element=(tensor("float32", 3),)), id="another shape"),
        pytest.param(small_map(element=(tensor("float32", None),)), id="unknown size"),
        pytest.param(small_map(ms=256 * 0.05), id="real work"),
    ],
)
def test_small_maps_are_left_alone(view: Built) -> None:
    assert not found("map-before-batch-scalar", measured(view, interval_ms=4.0))


def test_waiting_for_cores_is_no_work() -> None:
    view = small_map(ms=256 * 0.05)
    assert not found("map-before-batch-scalar", measured(view, interval_ms=16.0))
    assert found("map-before-batch-scalar", measured(view, interval_ms=16.0, runnable_wait_share=0.75))
    view = records(ms=128 * 0.2)
    assert not found("parse-single-example", measured(view, interval_ms=30.0))
    assert found("parse-single-example", measured(view, interval_ms=30.0, runnable_wait_share=0.75))


def test_calls_that_are_a_small_part_of_the_step_are_left_alone() -> None:
    assert not found("map-before-batch-scalar", measured(small_map(), interval_ms=100.0))


def test_a_map_of_one_component_beside_another_shape() -> None:
    def view(reads: frozenset[str] | None) -> PipelineView:
        body = replace(ARITHMETIC, reads=reads, writes=frozenset({"x"}))
        built = pipeline(
            stage("source", "from_tensor_slices", element=(tensor("int32", 4), tensor("int64"))),
            stage("stages.0", "map", function=body, element=(tensor("float32", 4), tensor("int64")), ms=2.0),
            stage("stages.1", "batch", arguments={"batch_size": 256}),
            static=False,
        )
        return measured(built, interval_ms=4.0)

    assert found("map-before-batch-scalar", view(frozenset({"x"})))
    assert not found("map-before-batch-scalar", view(frozenset({"x", "y"})))
    assert not found("map-before-batch-scalar", view(None))


def test_several_components_of_one_shape() -> None:
    body = replace(ARITHMETIC, reads=frozenset({"x", "y"}), writes=frozenset({"x"}))
    view = pipeline(
        stage("source", "from_tensor_slices", element=(tensor("float32", 4), tensor("float32", 4))),
        stage("stages.0", "map", function=body, element=(tensor("float32", 4), tensor("float32", 4)), ms=2.0),
        stage("stages.1", "batch", arguments={"batch_size": 256}),
        static=False,
    )
    assert found("map-before-batch-scalar", measured(view, interval_ms=4.0))


def test_shapes_that_nobody_knows_prove_nothing() -> None:
    unknown = (ComponentView("float32", None),)
    view = pipeline(
        stage("source", "range", element=unknown, bytes_per_element=4.0),
        stage("stages.0", "map", function=ARITHMETIC, element=unknown, bytes_per_element=4.0, ms=2.0),
        stage("stages.1", "batch", arguments={"batch_size": 256}),
        static=False,
    )
    assert not found("map-before-batch-scalar", measured(view, interval_ms=4.0))


def test_small_maps_without_a_run() -> None:
    draft = only("map-before-batch-scalar", small_map(static=True))
    assert draft.evidence["batch_size"] == 256
    assert draft.predicted is None
    assert not found("map-before-batch-scalar", small_map(size=64, static=True))


def test_a_small_map_above_the_batch_is_where_it_belongs() -> None:
    view = pipeline(
        stage("source", "range", element=(tensor("int64"),)),
        stage("stages.0", "batch", arguments={"batch_size": 1024}, element=(tensor("int64", None),)),
        stage("stages.1", "map", function=ARITHMETIC, element=(tensor("float32", None),), ms=0.005),
        static=False,
    )
    assert not found("map-before-batch-scalar", measured(view, interval_ms=0.1))


# parse-single-example


def test_records_parsed_one_by_one() -> None:
    view = measured(records(), interval_ms=6.0, headspace=0.9)
    draft = only("parse-single-example", view)
    assert draft.stage == "stages.1"
    assert draft.semantics == "same"
    assert draft.evidence["us_per_record"] == pytest.approx(40.625)
    assert draft.predicted == expected(view, draft.edits)
    assert draft.edits == (VectoriseMap("stages.1", "stages.2"),)


def test_records_parsed_one_by_one_by_a_function_of_a_spec() -> None:
    view = records(written={"python": "input.py:parse"})
    draft = only("parse-single-example", measured(view, interval_ms=6.0))
    assert "tf.io.parse_example" in draft.edits[-1].yaml
    assert "tf.io.parse_example(records, features)" in draft.edits[-1].python


@pytest.mark.parametrize("op", ["ParseExample", "ParseExampleV2", "ParseSingleExample"])
def test_every_op_that_parses(op: str) -> None:
    assert found("parse-single-example", measured(records(function(op)), interval_ms=6.0))


def test_features_of_any_length_come_out_as_they_are_batched_now() -> None:
    body, element = function("ParseExampleV2", "SerializeSparse"), (tensor("variant"), tensor("int64"))
    draft = only("parse-single-example", measured(records(body, element=element), interval_ms=6.0))
    assert draft.semantics == "same"
    assert draft.edits == (VectoriseMap("stages.1", "stages.2"),)


@pytest.mark.parametrize("op", ["SparseToDense", "DecodeRaw"])
def test_rows_that_may_differ_in_length_are_parsed_by_hand(op: str) -> None:
    body = function("ParseExampleV2", op)
    draft = only("parse-single-example", measured(records(body, element=(tensor("int64", None),)), interval_ms=6.0))
    assert draft.semantics == "values"
    assert [type(edit).__name__ for edit in draft.edits] == ["MoveStage", "HandWritten"]


def test_what_follows_the_parse_is_named() -> None:
    body, written = function("ParseExampleV2", "DecodeRaw", "Reshape"), {"python": "input.py:parse"}
    draft = only("parse-single-example", measured(records(body, written=written), interval_ms=6.0))
    assert draft.semantics == "values"
    assert "(DecodeRaw, Reshape)" in draft.recommendation
    assert not found("parse-single-example", records(body, static=True))


def test_parsing_reshapes_default_values_itself() -> None:
    draft = only(
        "parse-single-example",
        records(function("ParseExampleV2", "Reshape"), static=True, written={"python": "input.py:parse"}),
    )
    assert "(Reshape)" in draft.recommendation


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(function("ParseExampleV2", "DecodeJpeg"), id="a picture"),
        pytest.param(function("ParseExampleV2", "ResizeBilinear"), id="a resize"),
        pytest.param(function("ParseExampleV2", "PyFunc"), id="python"),
        pytest.param(function("ParseExampleV2", "StatelessRandomUniformV2"), id="random"),
        pytest.param(function("ParseExampleV2", "StatelessWhile"), id="a loop"),
        pytest.param(function("ParseSequenceExampleV2"), id="sequences are padded in batches"),
        pytest.param(FunctionView(), id="not known"),
    ],
)
def test_functions_that_need_single_records(body: FunctionView) -> None:
    assert not found("parse-single-example", measured(records(body), interval_ms=6.0))
    assert not found("parse-single-example", records(body, static=True))


@pytest.mark.parametrize(
    "view",
    [pytest.param(records(size=4, ms=0.16), id="small batch"), pytest.param(records(ms=128 * 0.2), id="other work")],
)
def test_parses_are_left_alone(view: Built) -> None:
    assert not found("parse-single-example", measured(view, interval_ms=6.0))


def test_parses_that_are_a_small_part_of_the_step_are_left_alone() -> None:
    assert not found("parse-single-example", measured(records(), interval_ms=200.0))


def test_the_same_op_on_a_batch_parses_all_at_once() -> None:
    view = pipeline(
        stage("source", "TFRecordDataset", element=(TEXT,)),
        stage("stages.0", "batch", arguments={"batch_size": 32}, element=(tensor("string", None),)),
        stage("stages.1", "map", function=PARSE, element=PARSED, ms=2.0),
        stage("stages.2", "batch", arguments={"batch_size": 8}),
        static=False,
    )
    assert not found("parse-single-example", measured(view, interval_ms=3.0))


def test_records_without_a_run() -> None:
    draft = only("parse-single-example", records(static=True))
    assert draft.evidence["parse_ms_per_batch"] == pytest.approx(4.992)
    assert not found("parse-single-example", records(size=16, static=True))


# what a saved part is worth


def test_a_saving_ends_at_the_slowest_of_the_others() -> None:
    view = pipeline(
        stage("source", "range", ms=0.1),
        stage("stages.0", "map", ms=16.0),
        stage("stages.1", "map", ms=24.0, tf_op="ParallelMapDatasetV2", parallelism=2.0),
        static=False,
    )
    run = measured(view, headspace=0.9)
    most = saving(run, "all of it", 15.0, {"stages.0"})
    assert most.speedup == pytest.approx(20 / 12)
    text = "20.0 → 12.0 ms per step (1.67×): all of it = 15.0 ms less; map alone takes 12.0 ms"
    assert most.formula == text
    little = saving(run, "a part", 1.0, {"stages.0"})
    assert little.speedup == pytest.approx(20 / 19)
    assert little.formula == "20.0 → 19.0 ms per step (1.05×): a part = 1.00 ms less"
    by_step = saving(measured(view, headspace=0.2), "all of it", 15.0, {"stages.0"})
    assert by_step.speedup == pytest.approx(20 / 16)
    assert saving(replace(run, profile=None), "", 1.0, ()) is None


def test_elements_are_counted_against_the_last_stage() -> None:
    run = measured(small_map(size=64))
    assert per_batch(run, run.by_id["stages.0"]) == 64
    assert per_batch(run, run.by_id["stages.1"]) == 1
    stages = tuple(replace(one, measured=one.measured.model_copy(update={"elements": None})) for one in run.stages)
    known = run.by_id["stages.0"]
    uncounted = replace(run, stages=(stages[0], known, stages[2]))
    assert per_batch(uncounted, known) == 64
    assert per_batch(replace(uncounted, profile=None), known) is None


def test_a_ceiling_that_was_worked_out_holds() -> None:
    view = small_map()
    run = measured(view)
    row = run.by_id["stages.0"].measured.model_copy(update={"ceiling_batches_per_second": 2000.0})
    assert wall_ms(run, replace(run.by_id["stages.0"], measured=row)) == pytest.approx(0.5)
    assert wall_ms(run, run.by_id["stages.0"]) == pytest.approx(2.0)


def test_what_looks_into_elements_ends_the_way_to_the_batch() -> None:
    view = pipeline(
        stage("source", "range"), stage("stages.0", "cache"), stage("stages.1", "batch", arguments={"batch_size": 4})
    )
    assert batching(view, view.by_id["source"]) is None
    assert batching(view, view.by_id["stages.0"]).size == 4
