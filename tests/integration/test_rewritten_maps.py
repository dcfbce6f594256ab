"""Functions of maps with other ops: Python as a graph, pictures decoded in another way."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.edited_datasets import edited, elements

from pipeprof.pipelines.edits.edits import RewriteMap
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.observe.reading import serialised

SCALE = 3
CALLS: list[int] = []
GRAPH = RewriteMap("stages.0", "graph")


def ops_of(dataset: tf.data.Dataset) -> set[str]:
    graph = serialised(dataset, in_memory=0)
    return {node.op for function in graph.library.function for node in function.node_def}


def scaled(one: Any) -> Any:
    if one > 5:
        one = one - 5
    return tf.cast(one * SCALE, tf.float32), tf.strings.as_string(one)


def mapped(one: Any) -> Any:
    x, name = tf.py_function(scaled, [one], [tf.float32, tf.string])
    x.set_shape([])
    name.set_shape([])
    return {"x": x + 1, "name": name}


def a_lambda(one: Any) -> Any:
    return tf.py_function(lambda x: tf.square(tf.cast(x, tf.float32)), [one], tf.float32)


def numpy_call(one: Any) -> Any:
    return tf.numpy_function(lambda x: tf.cast(x, tf.float32) / 255, [one], tf.float32)


def normalised(x: Any) -> Any:
    x = np.sqrt(np.abs(x)) * np.sign(x)
    return (x - np.mean(x)) / (np.std(x) + 1.0)


def with_numpy(one: Any) -> Any:
    row = tf.cast(tf.range(8) * tf.cast(one, tf.int32) % 7, tf.float32)
    made = tf.numpy_function(normalised, [row], tf.float32)
    made.set_shape([8])
    return made


def test_numpy_that_tensorflow_has_is_a_graph() -> None:
    dataset = tf.data.Dataset.range(9).map(with_numpy).batch(2)
    found = edited(dataset, GRAPH)
    assert "PyFunc" not in ops_of(found)
    for one, other in zip(found, dataset, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_number_of_python_keeps_the_width_that_is_asked_for() -> None:
    dataset = tf.data.Dataset.range(2).map(lambda one: tf.py_function(lambda _: 0.1, [one], tf.float64))
    assert [one.numpy() for one in edited(dataset, GRAPH)] == [0.1, 0.1]


def test_numpy_that_tensorflow_lacks_is_refused() -> None:
    dataset = tf.data.Dataset.range(9).map(
        lambda one: tf.numpy_function(lambda x: np.bincount([x]).astype(np.int64), [one], tf.int64)
    )
    with pytest.raises(CannotEditError, match="does not work as a graph"):
        edited(dataset, GRAPH)


@pytest.mark.parametrize("function", [mapped, a_lambda, numpy_call], ids=lambda one: one.__name__)
def test_python_as_a_graph_gives_the_same(function: Any) -> None:
    dataset = tf.data.Dataset.range(9).map(function).batch(2)
    found = edited(dataset, GRAPH)
    assert found.element_spec == dataset.element_spec
    assert elements(found) == elements(dataset)
    assert not {"EagerPyFunc", "PyFunc"} & ops_of(found)


def with_values(one: Any) -> Any:
    return tf.constant(one.numpy() * 2, tf.int64)


def with_python_numbers(one: Any) -> Any:
    return one + tf.cast(10 * random.random() + np.random.rand(), tf.int64)


def counting(one: Any) -> Any:
    CALLS.append(1)
    return one + len(CALLS)


def drawing(one: Any) -> Any:
    return one + tf.random.uniform([], 0, 5, tf.int64)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (with_values, "does not work as a graph"),
        (with_python_numbers, "draws random numbers in Python"),
        (counting, "another graph each time"),
        (drawing, "RandomUniformInt"),
    ],
)
def test_python_that_does_more_is_refused(function: Any, reason: str) -> None:
    dataset = tf.data.Dataset.range(9).map(lambda one: tf.py_function(function, [one], tf.int64))
    with pytest.raises(CannotEditError, match=reason):
        edited(dataset, GRAPH)


def test_random_ops_may_draw_others() -> None:
    dataset = tf.data.Dataset.range(9).map(lambda one: tf.py_function(drawing, [one], tf.int64))
    found = edited(dataset, RewriteMap("stages.0", "random-graph"))
    assert all(0 <= int(drawn) - number < 5 for number, drawn in enumerate(found))


def jpeg(height: int, width: int) -> bytes:
    x = tf.cast(tf.range(height)[:, None, None] * 3 + tf.range(width)[None, :, None] * 5, tf.int32)
    return bytes(tf.io.encode_jpeg(tf.cast((x + tf.range(3) * 40) % 251, tf.uint8)).numpy())


RESIZES = ("ResizeArea", "ResizeBilinear", "ScaleAndTranslate")
PICTURES = [jpeg(60, 80), jpeg(48, 48), jpeg(97, 33)]


def randomly(raw: Any) -> Any:
    image = tf.io.decode_jpeg(raw, channels=3)
    return tf.cast(tf.image.random_crop(image, [24, 32, 3], seed=3), tf.float32)


def by_box(raw: Any) -> Any:
    image = tf.io.decode_jpeg(raw, channels=3)
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        tf.shape(image), tf.zeros([1, 0, 4]), seed=5, use_image_if_no_bounding_boxes=True
    )
    return tf.image.resize(tf.slice(image, begin, size), [16, 16])


def at_a_place(raw: Any) -> Any:
    return tf.slice(tf.io.decode_jpeg(raw, channels=1), [4, 8, 0], [16, 20, 1])


@pytest.mark.parametrize("function", [randomly, by_box, at_a_place], ids=lambda one: one.__name__)
def test_what_is_cropped_is_decoded_alone(function: Any) -> None:
    tf.random.set_seed(3)
    dataset = tf.data.Dataset.from_tensor_slices(PICTURES).map(function).repeat(2)
    found = edited(dataset, RewriteMap("stages.0", "crop"))
    assert "DecodeAndCropJpeg" in ops_of(found)
    for one, other in zip(found, dataset, strict=True):
        assert one.shape == other.shape
        # Colours at the edge of a crop are not smoothed with what lies outside of it.
        assert np.abs(tf.cast(one, tf.float32) - tf.cast(other, tf.float32)).mean() < 4


def read_whole_too(raw: Any) -> Any:
    image = tf.io.decode_jpeg(raw, channels=3)
    return tf.image.random_crop(image, [8, 8, 3]), tf.reduce_mean(tf.cast(image, tf.float32))


def test_a_picture_that_is_read_whole_is_not_cropped() -> None:
    with pytest.raises(CannotEditError, match="decodes no picture"):
        edited(tf.data.Dataset.from_tensor_slices(PICTURES).map(read_whole_too), RewriteMap("stages.0", "crop"))


@pytest.mark.parametrize("how", ["ratio", "fast-dct"])
def test_pictures_are_decoded_in_another_way(how: str) -> None:
    dataset = tf.data.Dataset.from_tensor_slices(PICTURES).map(
        lambda raw: tf.image.resize(tf.io.decode_jpeg(raw, channels=3, dct_method="INTEGER_ACCURATE"), [8, 8])
    )
    found = list(edited(dataset, RewriteMap("stages.0", how)))
    assert len(found) == len(PICTURES)
    assert all(np.abs(one - other).mean() < 60 for one, other in zip(found, dataset, strict=True))


def test_what_is_decoded_by_the_fast_method_already_stays() -> None:
    dataset = tf.data.Dataset.from_tensor_slices(PICTURES).map(tf.io.decode_jpeg)
    with pytest.raises(CannotEditError):
        edited(dataset, RewriteMap("stages.0", "fast-dct"))
    fast = [tf.io.decode_jpeg(raw, dct_method="INTEGER_FAST").numpy().tolist() for raw in PICTURES]
    assert [one.numpy().tolist() for one in dataset] == fast


def converted(raw: Any) -> Any:
    image = tf.image.convert_image_dtype(tf.io.decode_jpeg(raw, channels=3), tf.float32)
    return {"image": tf.image.resize(image * 2.0 - 1.0, [8, 8]), "size": tf.size(raw)}


def smoothed(raw: Any) -> Any:
    image = 1.0 - tf.cast(tf.io.decode_jpeg(raw, channels=3), tf.float32) / 255.0
    return tf.image.resize(image, [8, 8], antialias=True) * 2.0, tf.image.resize(image, [4, 6], "area")


@pytest.mark.parametrize("function", [converted, smoothed], ids=lambda one: one.__name__)
def test_pictures_are_resized_before_they_are_cast(function: Any) -> None:
    dataset = tf.data.Dataset.from_tensor_slices(PICTURES).map(function)
    found = edited(dataset, RewriteMap("stages.0", "resize-first"))
    assert found.element_spec == dataset.element_spec
    for one, other in zip(found, dataset, strict=True):
        tf.nest.map_structure(lambda left, right: np.testing.assert_allclose(left, right, atol=1e-5), one, other)
    graph = serialised(found, in_memory=0)
    resizes = [node for part in graph.library.function for node in part.node_def if node.op in RESIZES]
    assert resizes
    assert {node.attr["T"].type for node in resizes} == {tf.uint8.as_datatype_enum}


@pytest.mark.parametrize(
    "scale",
    [lambda image: image - [1.0, 2.0, 3.0], lambda image: 1.0 / image, tf.sqrt],
    ids=["a number for each channel", "what divides", "no scaling"],
)
def test_what_is_no_scaling_stays_before_the_resize(scale: Any) -> None:
    dataset = tf.data.Dataset.from_tensor_slices(PICTURES).map(
        lambda raw: tf.image.resize(scale(tf.cast(tf.io.decode_jpeg(raw, channels=3), tf.float32)), [8, 8])
    )
    with pytest.raises(CannotEditError, match="no picture that this could be done to"):
        edited(dataset, RewriteMap("stages.0", "resize-first"))
