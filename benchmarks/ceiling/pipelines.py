"""Pipelines of the benchmark: cheap stages after a slow source, and a slow Python function with its fast twin."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

SLOW_SECONDS = 0.0005
ROUNDS = 4000


def rows() -> Iterator[np.float32]:
    """Elements of a slow source."""
    number = 0
    while True:
        time.sleep(SLOW_SECONDS)
        yield np.float32(number)
        number += 1


def after_slow_source() -> tf.data.Dataset:
    """A filter, a map and a batch that cost next to nothing, unlike their source."""
    dataset = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec([], tf.float32))
    return dataset.filter(lambda x: tf.math.floormod(x, 3.0) < 1.5).map(lambda x: x + 1.0).batch(16)


def add_up(value: np.ndarray) -> np.float32:
    """A loop in Python."""
    total = 0.0
    for number in range(ROUNDS):
        total += number * 0.5
    return np.float32(value + total - total)


def in_python() -> tf.data.Dataset:
    """A map in Python."""
    dataset = tf.data.Dataset.range(10**9).map(lambda x: tf.cast(x, tf.float32))
    dataset = dataset.map(lambda x: tf.ensure_shape(tf.py_function(add_up, [x], tf.float32), []))
    return dataset.batch(16)


def in_tensorflow() -> tf.data.Dataset:
    """The same in TensorFlow."""
    dataset = tf.data.Dataset.range(10**9).map(lambda x: tf.cast(x, tf.float32))
    return dataset.map(lambda x: x + 0.0).batch(16)
