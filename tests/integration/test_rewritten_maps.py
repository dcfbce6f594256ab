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
