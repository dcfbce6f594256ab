"""Filters applied to whole batches of a graph: the same batches, with one call of the predicate for each."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.edited_datasets import edited, elements

from pipeprof.pipelines.edits.edits import MoveFilter, SetArgument, VectoriseFilter, VectoriseMap
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.observe.reading import serialised

pytestmark = pytest.mark.usefixtures("without_autograph")

TABLE = tf.reshape(tf.range(40, dtype=tf.float32), [10, 4])
LINES = ["a b c", "", "x", "a,b;c a", "é ü two", "1 2 3 4 5", "Z", "b a", "c c c"]


def numbers(count: int = 103) -> tf.data.Dataset:
    return tf.data.Dataset.range(count)


def pairs() -> tf.data.Dataset:
    return numbers().map(lambda one: {"x": tf.gather(TABLE, one % 10), "y": tf.strings.as_string(one)})


SAME: dict[str, tf.data.Dataset] = {
    "numbers": numbers().filter(lambda one: one % 3 == 1).batch(8),
    "without what is left over": numbers().filter(lambda one: one % 3 == 1).batch(8, drop_remainder=True),
    "in parallel": numbers().filter(lambda one: one % 3 == 1).batch(8, num_parallel_calls=2),
    "none": numbers().filter(lambda one: one < 0).batch(8),
    "few": numbers().filter(lambda one: one % 50 == 7).batch(8),
    "all": numbers().filter(lambda one: one >= 0).batch(8),
    "whatever it is": numbers().filter(lambda _: tf.constant(True)).batch(8),
    "components": pairs().filter(lambda one: tf.reduce_sum(one["x"]) > 30).batch(5),
    "several": tf.data.Dataset.zip((numbers(), pairs())).filter(lambda one, two: one > 50 and two["x"][0] > 4).batch(5),
    "either": numbers().filter(lambda one: one % 7 == 1 or (one > 40 and one % 2 == 0)).batch(5),
    "branches": pairs().filter(lambda one: tf.cond(one["x"][0] > 9, lambda: one["x"][1] > 20, lambda: True)).batch(5),
    "texts": tf.data.Dataset.from_tensor_slices(LINES).filter(lambda it: tf.size(tf.strings.split(it)) > 1).batch(2),
    "epochs": numbers(10).shuffle(10, seed=3).repeat(4).filter(lambda one: one % 3 == 1).batch(3).prefetch(2),
    "captured": pairs().filter(lambda one: one["x"][1] == tf.reduce_max(TABLE[:5], 0)[1]).batch(3),
}  # fmt: skip


def datasets_in(dataset: tf.data.Dataset) -> list[str]:
    return [node.op for node in serialised(dataset, in_memory=0).node]


@pytest.mark.parametrize("name", SAME)
def test_batches_are_the_same(name: str) -> None:
    dataset = SAME[name]
    stages = {"components": 1, "captured": 1, "branches": 1, "epochs": 2}.get(name, 0)
    found = edited(dataset, VectoriseFilter(f"stages.{stages}", f"stages.{stages + 1}"))
    assert found.element_spec == dataset.element_spec
    assert elements(found) == elements(dataset)
    assert "FilterDataset" not in datasets_in(found)


def test_a_filter_that_moves_before_a_map_goes_on_to_batches() -> None:
    dataset = numbers().map(lambda one: (tf.one_hot(one % 10, 10), one % 4)).filter(lambda _, y: y % 2 == 1).batch(8)
    both = (MoveFilter("stages.1", "stages.0"), VectoriseMap("stages.0", "stages.2"))
    mask = VectoriseFilter("stages.1", "stages.2")
    for edits in ((MoveFilter("stages.1", "stages.0"),), both, (*both, mask)):
        found = edited(dataset, *edits)
        assert found.element_spec == dataset.element_spec
        assert elements(found) == elements(dataset)


def test_a_step_after_it_finds_the_stages_that_it_made() -> None:
    dataset = numbers().filter(lambda one: one % 3 == 1).batch(8)
    once = edited(dataset, VectoriseFilter("stages.0", "stages.1"))
    again = edited(once, SetArgument("stages.1", "map", "num_parallel_calls", 2))
    assert elements(again) == elements(dataset)
    assert "ParallelMapDatasetV2" in datasets_in(again)


def test_what_fails_for_an_element_fails_for_its_batch() -> None:
    def checked(one: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_less(one, tf.constant(50, tf.int64))]):
            return one % 3 == 1

    dataset = numbers().filter(checked).batch(8)
    for one in (dataset, edited(dataset, VectoriseFilter("stages.0", "stages.1"))):
        with pytest.raises(tf.errors.InvalidArgumentError):
            list(one)


def test_what_is_no_filter_of_batches_is_refused() -> None:
    def drawn(_: Any) -> Any:
        return tf.random.uniform([]) < 0.5

    def in_python(one: Any) -> Any:
        return tf.reshape(tf.numpy_function(lambda value: np.bool_(value > 3), [one], tf.bool), [])

    def odd(one: Any) -> Any:
        return one % 2 == 1

    uneven = tf.data.Dataset.from_tensor_slices(LINES).map(tf.strings.split).filter(lambda words: tf.size(words) > 0)
    cases = [
        (numbers().filter(drawn).batch(4), 0, 1, "draws random numbers"),
        (numbers().filter(in_python).batch(4), 0, 1, "runs Python"),
        (numbers().map(odd).batch(4), 0, 1, "map is not a filter"),
        (numbers().filter(odd).shuffle(4).batch(4), 0, 2, "stages.2 is not the stage after it"),
        (numbers().filter(odd).batch(4), 0, 0, "stages.0 is not the stage after it"),
        (numbers().filter(odd).shuffle(4), 0, 1, "shuffle is not a batch of elements of one shape"),
        (uneven.padded_batch(4), 1, 2, "padded_batch is not a batch of elements of one shape"),
        (uneven.batch(4), 1, 2, "the elements that it is applied to may differ in shape"),
    ]
    for dataset, stage, batch, text in cases:
        with pytest.raises(CannotEditError, match=text):
            edited(dataset, VectoriseFilter(f"stages.{stage}", f"stages.{batch}"))
