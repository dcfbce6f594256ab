"""Maps of a graph divided before their random ops: the same elements, and the costly part is done once."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from integration.edited_datasets import edited, elements

from pipeprof.pipelines.edits.edits import NewStage, SplitMap
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.observe.reading import serialised

pytestmark = pytest.mark.usefixtures("without_autograph")

CACHE = (NewStage("cache"),)
TABLE = tf.range(64, dtype=tf.int64)
PICTURES = [tf.io.encode_jpeg(tf.fill([8, 8, 3], tf.cast(value, tf.uint8))).numpy() for value in (10, 90, 250)]


def pictures() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((PICTURES, [0, 1, 2]))


def load(raw: Any, label: Any) -> Any:
    image = tf.image.convert_image_dtype(tf.io.decode_jpeg(raw, channels=3), tf.float32)
    image = tf.image.random_brightness(image, 0.5, seed=3)
    return {"image": image, "label": label}


@tf.function
def called(raw: Any, label: Any) -> Any:
    image = tf.cast(tf.io.decode_jpeg(raw, channels=3), tf.float32) + tf.cast(TABLE[label], tf.float32)
    return tf.image.stateless_random_crop(image, [4, 4, 3], tf.random.uniform([2], 0, 99, tf.int32, seed=5)), label


def with_costlier_half_after(raw: Any, label: Any) -> Any:
    image = tf.image.random_flip_left_right(tf.io.decode_jpeg(raw, channels=3), seed=1)
    return tf.image.resize(image, [4, 4]), tf.one_hot(label, 3)


@pytest.mark.parametrize("function", [load, called, with_costlier_half_after], ids=lambda one: one.__name__)
@pytest.mark.parametrize("calls", [None, 1])
def test_elements_are_the_same(function: Any, calls: int | None) -> None:
    tf.random.set_seed(7)
    dataset = pictures().map(function, num_parallel_calls=calls).batch(2)
    found = edited(dataset, SplitMap("stages.0", CACHE))
    assert found.element_spec == dataset.element_spec
    assert elements(found) == elements(dataset)


def test_what_is_kept_is_what_was_decoded() -> None:
    found = edited(pictures().map(load), SplitMap("stages.0", CACHE))
    graph = serialised(found, in_memory=0)
    kept = next(node for node in graph.node if node.op.startswith("Cache"))
    assert tf.uint8.as_datatype_enum in kept.attr["output_types"].list.type
    functions = {function.signature.name: function for function in graph.library.function}
    ops = [{one.op for one in functions[node.attr["f"].func.name].node_def} for node in graph.node if "Map" in node.op]
    assert sorted("DecodeJpeg" in found for found in ops) == [False, True]
    assert sorted("RandomUniform" in found for found in ops) == [False, True]


def test_each_epoch_draws_anew() -> None:
    dataset = pictures().map(load).repeat(2)
    tf.random.set_seed(7)
    found = elements(edited(dataset, SplitMap("stages.0", CACHE)))
    assert found[:3] != found[3:]
    assert found == elements(dataset)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda raw, label: (tf.io.decode_jpeg(raw), label), "does not draw random numbers"),
        (lambda *_: tf.random.uniform([]), "depends on random numbers"),
    ],
)
def test_what_cannot_be_divided(function: Any, reason: str) -> None:
    with pytest.raises(CannotEditError, match=reason):
        edited(pictures().map(function), SplitMap("stages.0", CACHE))


def scaled(raw: Any, label: Any) -> Any:
    image = tf.image.convert_image_dtype(tf.io.decode_jpeg(raw, channels=3), tf.float32)
    image.set_shape([8, 8, 3])
    return {"image": image * 2.0 - 1.0, "label": label}


def standardised(raw: Any, label: Any) -> Any:
    image = tf.cast(tf.io.decode_jpeg(raw, channels=3), tf.float32) - [1.0, 2.0, 3.0]
    return image, tf.reduce_mean(image), label


def test_the_cast_comes_after_the_batch_and_buffers_hold_what_was_decoded() -> None:
    for function in (scaled, standardised):
        dataset = pictures().map(function, num_parallel_calls=1).shuffle(3, seed=1).batch(2).prefetch(1)
        found = edited(dataset, SplitMap("stages.0", (), "stages.2"))
        assert found.element_spec == dataset.element_spec
        assert elements(found) == elements(dataset)
        shuffle = next(node for node in serialised(found, in_memory=0).node if node.op.startswith("Shuffle"))
        assert tf.uint8.as_datatype_enum in shuffle.attr["output_types"].list.type


def test_a_function_without_a_cast_at_its_end_is_not_divided_there() -> None:
    dataset = pictures().map(lambda raw, label: (tf.io.decode_jpeg(raw, channels=3), label)).batch(2)
    with pytest.raises(CannotEditError, match="does not end with a cast"):
        edited(dataset, SplitMap("stages.0", (), "stages.1"))
    with pytest.raises(CannotEditError, match="padded"):
        edited(pictures().map(scaled).padded_batch(2), SplitMap("stages.0", (), "stages.1"))
