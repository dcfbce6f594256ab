"""Pipelines whose functions capture resources: edited ones use the same ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from integration.changed_datasets import edited, first, replayed

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument, VectoriseMap
from pipeprof.pipelines.changes.replay import Replay

pytestmark = pytest.mark.usefixtures("without_autograph", "recording")

PREFETCH = InsertStage("prefetch", {"buffer_size": 2}, after="stages.0")
PARALLEL = SetArgument("stages.0", "map", "num_parallel_calls", 2)
WHOLE_BATCHES = VectoriseMap("stages.0", "stages.1")


def numbers() -> tf.data.Dataset:
    return tf.data.Dataset.range(6)


def variables() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    factor, offset = tf.Variable(2, dtype=tf.int64), tf.Variable(30, dtype=tf.int64)

    def change() -> None:
        factor.assign(5)
        offset.assign(700)

    return numbers().map(lambda x: x * factor + offset).batch(2), change


def decorated() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    factor = tf.Variable(2, dtype=tf.int64)

    @tf.function
    def inner(x: tf.Tensor) -> tf.Tensor:
        return x * factor

    @tf.function
    def outer(x: tf.Tensor) -> tf.Tensor:
        return inner(x) + 1

    return numbers().map(outer).batch(2), lambda: factor.assign(5)


def tables() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    given = tf.lookup.KeyValueTensorInitializer(tf.range(3, dtype=tf.int64), tf.range(3, dtype=tf.int64) * 7)
    static = tf.lookup.StaticHashTable(given, -1)
    mutable = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, -1)
    dense = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, -1, -2, -3)

    def change() -> None:
        for table in (mutable, dense):
            table.insert(tf.constant([1, 4], tf.int64), tf.constant([10, 40], tf.int64))

    return numbers().map(lambda x: (static.lookup(x), mutable.lookup(x), dense.lookup(x))).batch(2), change


def texts() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    tokens = keras.layers.TextVectorization(output_sequence_length=3)
    tokens.adapt(["one two", "two three"])
    weight = tf.Variable(1, dtype=tf.int64)
    rows = tf.data.Dataset.from_tensor_slices(["one", "two one four", "three"])
    return rows.map(lambda text: tokens(text) * weight).batch(2), lambda: weight.assign(2)


def nested() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    factor = tf.Variable(2, dtype=tf.int64)
    inner = numbers().flat_map(lambda x: tf.data.Dataset.range(2).map(lambda y: x + y * factor))
    return inner.batch(2), lambda: factor.assign(5)


def grouped() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    key, offset = tf.Variable(1, dtype=tf.int64), tf.Variable(100, dtype=tf.int64)
    windows = numbers().group_by_window(lambda x: x % key, lambda _, rows: rows.map(lambda x: x + offset).batch(2), 2)

    def change() -> None:
        key.assign(3)
        offset.assign(5)

    return windows.prefetch(1), change


def generated() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    factor = tf.Variable(2, dtype=tf.int64)

    def rows() -> Any:
        yield from (number * int(factor) for number in range(4))

    made = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec([], tf.int64))
    return made.map(lambda x: x + factor).batch(2), lambda: factor.assign(5)


@pytest.mark.parametrize(
    ("make", "edits"),
    [
        (variables, [PREFETCH, PARALLEL]),
        (variables, [WHOLE_BATCHES]),
        (decorated, [WHOLE_BATCHES]),
        (tables, [PREFETCH, PARALLEL]),
        (texts, [PREFETCH, PARALLEL]),
        (nested, [PREFETCH]),
        (grouped, [PREFETCH]),
        (generated, [PREFETCH, PARALLEL]),
    ],
)
def test_later_changes_are_seen(make: Callable[[], Any], edits: list[PipelineEdit]) -> None:
    dataset, change = make()
    once = edited(dataset, *edits)
    twice = edited(once, InsertStage("prefetch", {"buffer_size": 1}, after=None))
    before = first(dataset)
    assert first(twice) == before
    change()
    assert first(dataset) != before
    for found in (once, twice):
        assert first(found) == first(dataset)
        tf.nest.assert_same_structure(found.element_spec, dataset.element_spec)


def generator() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    state = tf.random.Generator.from_seed(3)
    return numbers().map(lambda _: state.uniform([])).batch(2), lambda: state.reset_from_seed(3)


def random_layers() -> tuple[tf.data.Dataset, Callable[[], Any]]:
    flip, turn = keras.layers.RandomFlip(seed=1), keras.layers.RandomRotation(0.1, seed=2)
    augment = keras.Sequential([flip, turn])
    pictures = np.random.default_rng(1).random((6, 8, 8, 3), np.float32)
    dataset = tf.data.Dataset.from_tensor_slices(pictures).map(lambda x: augment(x, training=True)).batch(2)

    def reset() -> None:
        for layer in (flip, turn):
            layer.generator.state.assign([5, 0])

    return dataset, reset


@pytest.mark.parametrize("make", [generator, random_layers])
def test_random_numbers_are_drawn_from_the_same_state(make: Callable[[], Any]) -> None:
    dataset, reset = make()
    found = edited(dataset, PREFETCH)
    reset()
    before = first(dataset)
    reset()
    assert first(found) == before
    # What one draws, the other does not draw again.
    assert first(dataset) != before
    with pytest.raises(CannotChangeError, match="its function draws random numbers"):
        edited(dataset, WHOLE_BATCHES)


@pytest.mark.parametrize("make", [variables, tables, generator, random_layers])
def test_stages_with_resources_are_replaced_by_what_they_gave(make: Callable[[], Any]) -> None:
    dataset, _ = make()
    assert len(first(replayed(dataset, Replay(("stages.0",))).dataset)) == len(first(dataset))
