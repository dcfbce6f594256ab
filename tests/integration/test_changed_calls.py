"""Changes of recorded calls: the same pipelines as when written so, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.changed_datasets import edited, first, written

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.graph.observe.reading import read_written, serialised
from pipeprof.pipelines.graph.stages import StageGraph

pytestmark = pytest.mark.usefixtures("without_autograph", "recording")


def assert_same(one: Any, other: Any, *, reads: bool = True) -> None:
    """Assert that two datasets are the same pipeline; without its elements, if there are no files to read."""
    assert written(one) == written(other)
    assert one.element_spec == other.element_spec
    assert not reads or first(one, 6) == first(other, 6)


def plus(element: Any) -> Any:
    return element + 1


def times(element: Any) -> Any:
    return element * 3


def files_of(element: Any) -> Any:
    return tf.data.Dataset.range(element).map(plus)


def test_a_dataset_that_a_function_captures_is_changed() -> None:
    other = tf.data.Dataset.range(4).map(plus)
    dataset = tf.data.Dataset.range(3).flat_map(lambda x: tf.data.Dataset.zip((tf.data.Dataset.range(x), other)))
    captured = InsertStage("prefetch", {"buffer_size": 2}, after="stages.0.source.inputs.1.stages.0")
    assert first(edited(dataset, captured)) == first(dataset)


# Arguments and stages.


def arguments() -> dict[str, tuple[Any, list[PipelineEdit], Any]]:
    numbers = tf.data.Dataset.range(20)
    set_ = SetArgument
    files = ["a", "b"]
    return {
        "map back": (
            numbers.map(plus, num_parallel_calls=3, deterministic=False),
            [set_("stages.0", "map", "num_parallel_calls", None)],
            numbers.map(plus),
        ),
        "interleave": (
            numbers.interleave(files_of, cycle_length=4),
            [set_("stages.0", "interleave", "num_parallel_calls", 2)],
            numbers.interleave(files_of, cycle_length=4, num_parallel_calls=2),
        ),
        "flat_map": (
            numbers.flat_map(files_of),
            [set_("stages.0", "flat_map", "cycle_length", 3), set_("stages.0", "flat_map", "num_parallel_calls", 2)],
            numbers.interleave(files_of, cycle_length=3, num_parallel_calls=2),
        ),
        "inside": (
            numbers.interleave(files_of, cycle_length=4),
            [set_("stages.0.stages.0", "map", "num_parallel_calls", 2)],
            numbers.interleave(lambda x: tf.data.Dataset.range(x).map(plus, num_parallel_calls=2), cycle_length=4),
        ),
        "batch": (
            numbers.map(plus).batch(2).map(times),
            [
                set_("stages.1", "batch", "num_parallel_calls", 2),
                set_("stages.1", "batch", "batch_size", 5),
                set_("stages.1", "batch", "drop_remainder", True),
            ],
            numbers.map(plus).batch(5, num_parallel_calls=2, drop_remainder=True).map(times),
        ),
        "shuffle": (
            numbers.shuffle(4),
            [
                set_("stages.0", "shuffle", "buffer_size", 9),
                set_("stages.0", "shuffle", "seed", 7),
                set_("stages.0", "shuffle", "reshuffle_each_iteration", False),
            ],
            numbers.shuffle(9, seed=7, reshuffle_each_iteration=False),
        ),
        "readers": (
            tf.data.TFRecordDataset(files),
            [
                set_("source", "TFRecordDataset", "num_parallel_reads", 2),
                set_("source", "TFRecordDataset", "buffer_size", 1000),
            ],
            tf.data.TFRecordDataset(files, num_parallel_reads=2, buffer_size=1000),
        ),
    }


def stages() -> dict[str, tuple[Any, list[PipelineEdit], Any]]:
    numbers = tf.data.Dataset.range(20)
    pairs = numbers.map(lambda x: {"x": x, "y": [x, x]})
    names = tf.data.Dataset.from_tensor_slices(["a", "b"])
    shuffled, cached = numbers.shuffle(10, seed=1), numbers.cache().shuffle(7, seed=1)
    return {
        "structured": (
            pairs.shuffle(4, seed=1),
            [InsertStage("padded_batch", {"batch_size": 2, "padded_shapes": {"x": [], "y": [3]}})],
            pairs.shuffle(4, seed=1).padded_batch(2, padded_shapes={"x": [], "y": [3]}),
        ),
        "with a function": (
            numbers.map(plus).shuffle(3, seed=1),
            [InsertStage("filter", {"ops": [{"tf.math.greater": {"y": 4}}]}, after="stages.0")],
            numbers.map(plus).filter(lambda x: tf.math.greater(x, 4)).shuffle(3, seed=1),
        ),
        "move to other elements": (
            pairs.cache(),
            [MoveStage("stages.1", "cache", "stages.0")],
            numbers.cache().map(lambda x: {"x": x, "y": [x, x]}),
        ),
        "move a map after the batch": (
            numbers.map(plus).map(times).batch(2),
            [MoveStage("stages.2", "batch", "stages.0")],
            numbers.batch(2).map(plus).map(times),
        ),
        "before a shuffle that two lines read": (
            tf.data.Dataset.zip((shuffled.map(plus), shuffled.map(times))).batch(2),
            [
                InsertStage("cache", {}, after="source.inputs.0.source"),
                InsertStage("cache", {}, after="source.inputs.1.source"),
                SetArgument("source.inputs.0.stages.0", "shuffle", "buffer_size", 7),
                SetArgument("source.inputs.1.stages.0", "shuffle", "buffer_size", 7),
            ],
            tf.data.Dataset.zip((cached.map(plus), cached.map(times))).batch(2),
        ),
        "inside a function": (
            numbers.interleave(files_of, cycle_length=2),
            [
                InsertStage("cache", {}, after="stages.0.source"),
                InsertStage("shuffle", {"buffer_size": 3, "seed": 1}, after="stages.0.stages.0"),
            ],
            numbers.interleave(lambda x: tf.data.Dataset.range(x).cache().map(plus).shuffle(3, seed=1), cycle_length=2),
        ),
        "moved and removed inside a function": (
            numbers.interleave(lambda x: tf.data.Dataset.range(x).map(plus).cache().prefetch(1), cycle_length=2),
            [MoveStage("stages.0.stages.1", "cache", "stages.0.stages.0"), ReplaceStages(("stages.0.stages.2",))],
            numbers.interleave(lambda x: tf.data.Dataset.range(x).cache().map(plus), cycle_length=2),
        ),
        "a reader of listed files": (
            tf.data.TFRecordDataset(names.shuffle(2, seed=1)).batch(2),
            [
                InsertStage("prefetch", {"buffer_size": 2}, after="stages.1"),
                SetArgument("stages.1", "TFRecordDataset", "num_parallel_reads", 2),
                InsertStage("repeat", {"count": 2}, after="source"),
            ],
            tf.data.TFRecordDataset(names.repeat(2).shuffle(2, seed=1), num_parallel_reads=2).prefetch(2).batch(2),
        ),
    }


def test_changes_are_as_if_written_so() -> None:
    for name, (dataset, edits, expected) in {**arguments(), **stages()}.items():
        try:
            assert_same(edited(dataset, *edits), expected, reads="reader" not in name)
        except (AssertionError, CannotChangeError) as error:
            msg = f"{name}: {error}"
            raise AssertionError(msg) from error


def test_what_does_not_fit_is_refused() -> None:
    numbers = tf.data.Dataset.range(20)
    pairs = numbers.map(lambda x: {"x": x, "y": tf.cast(x, tf.float32)})
    filtered = pairs.filter(lambda one: one["y"] > 2.0)
    set_ = SetArgument
    cases: list[tuple[Any, PipelineEdit, str]] = [
        (numbers.padded_batch(2), set_("stages.0", "padded_batch", "num_parallel_calls", 2), "has no argument num_par"),
        (numbers.map(plus), set_("stages.0", "map", "map_func", 2), "TensorFlow does not accept it there"),
        (numbers, SetOption("threading.no_such", 3), "TensorFlow does not accept threading.no_such"),
        (filtered, MoveStage("stages.1", "filter", "stages.0"), "stages.1: TensorFlow does not accept it there"),
        (numbers.batch(2), set_("stages.0", "batch", "batch_size", 0), "(?i)batch.size must be greater than zero"),
    ]
    for dataset, edit, reason in cases:
        with pytest.raises(CannotChangeError, match=reason):
            edited(dataset, edit)


# Maps on whole batches.


def bytes_of(dataset: Any) -> list[list[bytes]]:
    return [[np.asarray(part).tobytes() for part in tf.nest.flatten(one)] for one in dataset]


def ops_in(dataset: Any) -> set[str]:
    found = serialised(dataset, in_memory=0)
    return {node.op for function in found.library.function for node in function.node_def}


def test_a_map_on_whole_batches_gives_the_same_bytes() -> None:
    images = tf.constant(np.arange(10 * 6 * 6 * 3, dtype=np.uint8).reshape(10, 6, 6, 3))
    labels = tf.range(10)
    weights = tf.constant(np.arange(20, dtype=np.float32))
    example = tf.train.Example(
        features=tf.train.Features(feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0]))})
    ).SerializeToString()
    inner = tf.function(lambda image: tf.cast(image, tf.float32) / 255.0)
    slices = tf.data.Dataset.from_tensor_slices
    cases = {
        "cast": slices((images, labels)).map(lambda x, y: (tf.cast(x, tf.float32), tf.one_hot(y, 4))),
        "structure": slices({"x": images}).map(lambda one: {"y": (tf.reshape(one["x"], [-1]), one["x"])}),
        "standardize": slices(images).map(tf.image.per_image_standardization),
        "captured": slices(labels).map(lambda x: tf.gather(weights, [x, x + 1])),
        "calls": slices(images).map(lambda x: inner(inner(x)) + 1.0),
        "parallel": slices(labels).map(lambda x: x * 2, num_parallel_calls=2),
        "constant": slices(labels).map(lambda _: tf.constant([1, 2])),
        "checked": slices(labels).map(lambda x: [tf.debugging.assert_less(x, 100), x + 1][1]),
        "branch": tf.data.Dataset.range(10).map(lambda x: tf.cond(x > 3, lambda: 9 // (x - 3), lambda: x)),
        "records": slices([example] * 5).map(
            lambda one: tf.io.parse_single_example(one, {"x": tf.io.FixedLenFeature([2], tf.float32)})
        ),
        "lines": slices(["1,a", "2,b", "3,c"]).map(lambda line: tuple(tf.io.decode_csv(line, [[0], [""]]))),
    }
    for name, mapped in cases.items():
        for options in ({}, {"drop_remainder": True}):
            dataset = mapped.batch(4, **options)
            found = edited(dataset, VectoriseMap("stages.0", "stages.1"))
            assert found.element_spec == dataset.element_spec, name
            if name == "lines":
                assert first(found) == first(dataset)
            else:
                assert bytes_of(found) == bytes_of(dataset), name
            assert written_ops(found)[-1] == written_ops(dataset)[0], name
            assert not any("While" in op for op in ops_in(found)), name


def written_ops(dataset: Any) -> list[str]:
    """The ops of the stages along the main line."""
    return [stage.op for stage in StageGraph.from_dict(read_written(dataset, in_memory=0)).stages()][1:]


def test_a_map_moves_over_stages_that_do_not_look_at_elements() -> None:
    numbers = tf.data.Dataset.range(20)
    halves = numbers.map(lambda x: {"half": tf.cast(x, tf.float32) / 2.0})
    dataset = halves.shuffle(5, seed=3).repeat(2).batch(4)
    found = edited(dataset, VectoriseMap("stages.0", "stages.3"))
    assert written_ops(found) == ["shuffle", "repeat", "batch", "map"]
    assert bytes_of(found) == bytes_of(dataset)


def test_an_assertion_still_stops_the_pipeline_on_whole_batches() -> None:
    def checked(element: Any) -> Any:
        tf.debugging.assert_less(element, tf.constant(5, tf.int64))
        return element + 1

    found = edited(tf.data.Dataset.range(9).map(checked).batch(4), VectoriseMap("stages.0", "stages.1"))
    assert first(found, 1) == [[1, 2, 3, 4]]
    with pytest.raises(tf.errors.InvalidArgumentError):
        list(found)


def test_noise_is_drawn_anew_for_each_row_of_a_batch() -> None:
    def noisy(element: dict[str, Any]) -> dict[str, Any]:
        kept = tf.cast(tf.random.uniform([8]) > 0.5, tf.float32)
        return {**element, "states": element["states"] * kept + tf.random.normal([8], stddev=0.01)}

    steps = tf.data.Dataset.from_tensor_slices({"states": np.ones([12, 8], np.float32), "at": np.arange(12)})
    dataset = steps.map(noisy).shuffle(4, seed=1).batch(6)
    found = edited(dataset, VectoriseMap("stages.0", "stages.2"))
    assert found.element_spec == dataset.element_spec
    batches = [batch["states"].numpy() for batch in found]
    rows = {row.tobytes() for batch in batches for row in batch}
    assert len(rows) == 12
    assert written_ops(found)[-1] == "map"


def test_functions_that_cannot_take_whole_batches_are_named() -> None:
    numbers = tf.data.Dataset.range(20)
    ragged = numbers.map(lambda x: tf.range(x % 3 + 1))
    jpeg = tf.io.encode_jpeg(tf.zeros([4, 4, 3], tf.uint8))
    cases = [
        (numbers.map(lambda x: tf.numpy_function(plus, [x], tf.int64)).batch(2), r"runs Python \(PyFunc\)"),
        (numbers.map(lambda x: tf.py_function(plus, [x], tf.int64)).batch(2), r"runs Python \(EagerPyFunc\)"),
        (
            numbers.map(lambda x: tf.random.uniform([]) + tf.cast(x, tf.float32)).batch(2),
            r"random numbers \(RandomUniform\)",
        ),
        (numbers.map(lambda x: tf.random.shuffle(tf.stack([x, x]))).batch(2), r"random numbers \(RandomShuffle\)"),
        (tf.data.Dataset.from_tensors(jpeg).map(tf.io.decode_jpeg).batch(2), "its op DecodeJpeg to whole batches"),
        (numbers.map(lambda x: tf.unique([x, x])[0]).batch(2), "its op Unique to whole batches"),
        (numbers.map(lambda x: tf.timestamp() + tf.cast(x, tf.float64)).batch(2), r"state \(Timestamp\)"),
        (numbers.map(lambda x: tf.RaggedTensor.from_row_lengths([x], [1])).batch(2), "are ragged, sparse or datasets"),
    ]
    for dataset, text in cases:
        with pytest.raises(CannotChangeError, match=f"stages.0: .*{text}"):
            edited(dataset, VectoriseMap("stages.0", "stages.1"))
    with pytest.raises(
        CannotChangeError, match=r"stages.1: the elements that it is applied to may differ in shape: int"
    ):
        edited(ragged.map(plus).batch(2), VectoriseMap("stages.1", "stages.2"))
