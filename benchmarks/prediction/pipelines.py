"""Small pipelines of this benchmark: each is slow for one reason, or for none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

ROWS = np.random.default_rng(1).random(20_000, dtype=np.float32)


def wait(number: tf.Tensor, seconds: Any) -> tf.Tensor:
    """The number, after a while in which no core has anything to do."""

    def wait_for(value: Any) -> Any:
        time.sleep(seconds(value))
        return value

    return tf.ensure_shape(tf.numpy_function(wait_for, [number], np.int64), [])


def fetched(number: tf.Tensor) -> tf.Tensor:
    """4 ms of waiting, as for a file far away."""
    return wait(number, lambda _: 0.004)


def looked_up(number: tf.Tensor) -> tf.Tensor:
    """3 ms of waiting."""
    return wait(number, lambda _: 0.003)


def uneven(number: tf.Tensor) -> tf.Tensor:
    """24 ms for one in eight, 2 ms for the others."""
    return wait(number, lambda value: 0.024 if value % 8 == 0 else 0.002)


def sorted_and_drawn(number: tf.Tensor) -> tf.Tensor:
    """A millisecond on one core, with something random: TensorFlow does not run it in parallel."""
    ordered = tf.sort(tf.constant(ROWS) + tf.cast(number, tf.float32))
    return ordered[0] + tf.random.uniform([])


def sorted_only(number: tf.Tensor) -> tf.Tensor:
    """A millisecond on one core; TensorFlow runs it in parallel."""
    return tf.sort(tf.constant(ROWS) + tf.cast(number, tf.float32))[0]


def added_up(number: tf.Tensor) -> tf.Tensor:
    """Half a millisecond in a loop of Python, which holds the interpreter's lock."""

    def add(value: Any) -> Any:
        total = 0
        for each in range(20_000):
            total += each
        return np.int64(value + total)

    return tf.ensure_shape(tf.numpy_function(add, [number], np.int64), [])


def numbers(count: int = 1_000_000) -> tf.data.Dataset:
    """Numbers without end."""
    return tf.data.Dataset.range(count).repeat()


def waiting_map() -> tf.data.Dataset:
    """One call after another, each of which only waits."""
    return numbers().map(fetched).batch(4)


def waiting_in_parallel() -> tf.data.Dataset:
    """Eight calls that wait, on a pool with a thread for each core."""
    return numbers().map(fetched, num_parallel_calls=8).batch(8)


def slow_generator() -> tf.data.Dataset:
    """A generator and a map that take turns."""

    def rows() -> Iterator[int]:
        number = 0
        while True:
            time.sleep(0.002)
            yield number
            number += 1

    signature = tf.TensorSpec([], tf.int64)
    return tf.data.Dataset.from_generator(rows, output_signature=signature).map(looked_up).batch(4)


def computing_map() -> tf.data.Dataset:
    """A millisecond of computing for each element, on one core."""
    return numbers().map(sorted_and_drawn).batch(8)


def computing_in_parallel() -> tf.data.Dataset:
    """The same on all cores, as TensorFlow chooses."""
    return numbers().map(sorted_only, num_parallel_calls=tf.data.AUTOTUNE).batch(8).prefetch(tf.data.AUTOTUNE)


def tiny_map() -> tf.data.Dataset:
    """Arithmetic on one number at a time."""
    return numbers().map(lambda number: tf.cast(number, tf.float32) * 2.0 + 1.0).batch(256)


def pictures() -> tf.data.Dataset:
    """Small pictures in memory, scaled one by one."""
    images = np.random.default_rng(2).integers(0, 255, (2000, 32, 32, 3), dtype=np.uint8)
    source = tf.data.Dataset.from_tensor_slices(images).repeat().shuffle(500)
    return source.map(lambda image: tf.cast(image, tf.float32) / 255.0).batch(64)


def in_turn() -> tf.data.Dataset:
    """Pipeline and step take turns: nothing runs ahead."""
    dataset = numbers().map(lambda number: wait(number, lambda _: 0.006))
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    return dataset.with_options(options)


def bursts() -> tf.data.Dataset:
    """A producer with long pauses, and a buffer of one."""
    return numbers().map(uneven).prefetch(1)


def two_sides() -> tf.data.Dataset:
    """Two slow sides, drawn one after the other."""
    return tf.data.Dataset.zip((numbers().map(looked_up), numbers().map(fetched))).batch(2)


def short_epochs() -> tf.data.Dataset:
    """A finite pipeline that does the same work in each epoch."""
    return tf.data.Dataset.range(160).map(sorted_and_drawn).batch(8).prefetch(2)


def python_loops() -> tf.data.Dataset:
    """Python that computes, in four calls at a time."""
    return numbers().map(added_up, num_parallel_calls=4).batch(16).prefetch(2)


def records() -> tf.data.Dataset:
    """Examples parsed one by one."""
    features = {"a": tf.io.FixedLenFeature([8], tf.float32), "b": tf.io.FixedLenFeature([], tf.int64)}

    def example(number: int) -> bytes:
        floats = tf.train.Feature(float_list=tf.train.FloatList(value=[0.5 * number] * 8))
        label = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
        return tf.train.Example(features=tf.train.Features(feature={"a": floats, "b": label})).SerializeToString()

    source = tf.data.Dataset.from_tensor_slices([example(number) for number in range(2000)]).repeat()
    return source.map(lambda text: tf.io.parse_single_example(text, features)).batch(128)


def healthy() -> tf.data.Dataset:
    """Nothing to gain: half a millisecond for a step of six."""
    return numbers().shuffle(1000).batch(64).map(lambda batch: tf.cast(batch, tf.float32) / 3.0).prefetch(2)
