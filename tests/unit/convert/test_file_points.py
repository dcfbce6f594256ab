"""Where elements can be kept in files: after what is costly, before what differs from epoch to epoch."""

from __future__ import annotations

import pytest
from unit.convert.made_stages import Pipeline, component, stage

from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.verify.file_points import Point, choose_point

FILES = stage("source", "list_files", 0.1)
DECODE = stage("stages.0", "map", 80.0, name="decode", bytes_out_per_batch=5e6)
AUGMENT = stage("stages.1", "map", 4.0, name="augment", random=True)
BATCH = stage("stages.2", "batch", 1.0)


def test_it_is_after_the_costly_stage_and_before_random_numbers(pipeline: Pipeline) -> None:
    point = choose_point(pipeline(FILES, DECODE, AUGMENT, BATCH))
    assert point == Point(("source", "stages.0"), "decode", "source", saved=point.saved)  # type: ignore[union-attr]
    assert 0.7 < point.saved < 0.9


def test_of_two_places_that_save_as_much_the_one_with_fewer_bytes_is_taken(pipeline: Pipeline) -> None:
    wide = stage("stages.1", "map", 0.1, name="to_float", bytes_out_per_batch=20e6)
    point = choose_point(pipeline(FILES, DECODE, wide, BATCH))
    assert isinstance(point, Point)
    assert point.name == "decode"


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (stage("stages.0", "map", 80.0, name="crop", random=True), "crop (map) draws random numbers"),
        (stage("stages.0", "shuffle", 80.0), "shuffle produces a different order in each epoch"),
        (stage("stages.0", "cache", 80.0), "cache already keeps its elements"),
        (stage("stages.0", "window", 80.0), "window produces datasets"),
    ],
)
def test_what_prevents_it_is_named(pipeline: Pipeline, first: Stage, words: str) -> None:
    reason = choose_point(pipeline(FILES, first, BATCH))
    assert isinstance(reason, str)
    assert reason.startswith("the stages up to list_files do")
    assert words in reason


def test_files_that_are_listed_in_another_order_each_time_are_named(pipeline: Pipeline) -> None:
    shuffled = stage("source", "list_files", 0.1, tf_op="ShuffleDatasetV3")
    assert str(choose_point(pipeline(shuffled, DECODE, BATCH))).startswith("list_files shuffles its files anew")
    listed = stage("source", "list_files", 0.1, tf_op="TensorSliceDataset")
    assert isinstance(choose_point(pipeline(listed, DECODE, BATCH)), Point)


def test_what_is_random_inside_a_stage_counts(pipeline: Pipeline) -> None:
    outer = stage("stages.0", "interleave", 1.0, name="read")
    inner = stage("stages.0.stages.0", "map", 80.0, name="noise", random=True)
    assert "noise (map) in read (interleave) draws random numbers" in str(
        choose_point(pipeline(FILES, outer, inner, BATCH))
    )
    inner = stage("stages.0.stages.0", "map", 80.0, name="parse", random=False)
    found = choose_point(pipeline(FILES, outer, inner, BATCH))
    assert isinstance(found, Point)
    assert found.stages[-1] in {"stages.0", "stages.2"}


@pytest.mark.parametrize("source", ["range", "from_generator"])
def test_a_source_without_end_is_refused(pipeline: Pipeline, source: str) -> None:
    reason = choose_point(pipeline(stage("source", source, cardinality=-1), DECODE, BATCH))
    assert reason == f"{source} produces elements without end"


def test_a_generator_may_be_kept_since_two_epochs_of_it_are_compared(pipeline: Pipeline) -> None:
    point = choose_point(pipeline(stage("source", "from_generator", 50.0, bytes_out_per_batch=1e6), BATCH))
    assert isinstance(point, Point)


def test_ragged_elements_are_not_kept_but_dense_ones_after_them_are(pipeline: Pipeline) -> None:
    ragged = stage("stages.0", "map", 80.0, name="tokens", element_spec=[component("variant")])
    assert "tokens (map) produces ragged or sparse tensors" in str(
        choose_point(pipeline(stage("source", "list_files", element_spec=[component("variant")]), ragged))
    )
    dense = stage("stages.1", "map", 1.0, name="pad", element_spec=[component("int32", 20)], bytes_out_per_batch=1e3)
    point = choose_point(pipeline(FILES, ragged, dense))
    assert isinstance(point, Point)
    assert point.name == "pad"


def test_a_pipeline_that_keeps_up_is_left_alone_unless_its_array_is_large(pipeline: Pipeline) -> None:
    array = stage("source", "from_tensor_slices", 1.0, cardinality=100_000, bytes_per_element=3072.0)
    keeping_up = pipeline(array, DECODE)
    assert keeping_up.verdict is not None
    keeping_up.verdict.bound, keeping_up.target.kind = "step", "function"
    assert str(choose_point(keeping_up)).startswith("the array is made by your function before the dataset exists")
    keeping_up.target.kind = "spec"
    point = choose_point(keeping_up)
    assert isinstance(point, Point)
    assert (point.stages, point.for_memory) == (("source",), True)
    array.bytes_per_element = 400.0
    assert choose_point(keeping_up) == (
        "the step is the limit, not the pipeline: reading files would not make it faster"
    )


def test_what_costs_no_more_than_reading_files_is_left_alone(pipeline: Pipeline) -> None:
    cheap = stage("stages.0", "map", 2.0, name="cast", bytes_out_per_batch=20e6)
    reason = choose_point(pipeline(FILES, cheap, BATCH))
    assert isinstance(reason, str)
    assert "would save less than 10 %" in reason


def test_elements_of_a_filter_are_counted_at_the_filter(pipeline: Pipeline) -> None:
    kept = stage("stages.0", "filter", 1.0)
    parse = stage("stages.1", "map", 50.0, name="parse", bytes_out_per_batch=1e6)
    point = choose_point(pipeline(FILES, kept, parse, BATCH))
    assert isinstance(point, Point)
    assert point.count_at == "stages.0"
