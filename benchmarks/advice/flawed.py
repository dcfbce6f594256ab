"""Pipelines with one flaw each, and the same ones mended by hand; and some without a flaw."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

AUTOTUNE = tf.data.AUTOTUNE
SIGNATURE = tf.TensorSpec([32], tf.float32)


def augmented(index: tf.Tensor) -> tf.Tensor:
    """A small picture with random contrast: stateful, so that TensorFlow leaves its map serial."""
    image = tf.random.uniform([96, 96, 3], seed=1) + tf.cast(index % 7, tf.float32)
    for _ in range(4):
        image = tf.image.random_contrast(image, 0.5, 1.5)
    return tf.reduce_mean(image, axis=2)


def serial_stateful_map() -> tf.data.Dataset:
    """A map that draws at random, one call at a time."""
    return tf.data.Dataset.range(1 << 40).map(augmented).batch(16)


def serial_stateful_map_mended() -> tf.data.Dataset:
    """With parallel calls."""
    return tf.data.Dataset.range(1 << 40).map(augmented, num_parallel_calls=AUTOTUNE).batch(16)


def scaled(index: tf.Tensor) -> tf.Tensor:
    """A number in another range."""
    return tf.cast(index, tf.float32) * 0.5 + 1.0


def scalar_map() -> tf.data.Dataset:
    """A tiny map for each element, before the batch."""
    return tf.data.Dataset.range(1 << 40).map(scaled).batch(256)


def scalar_map_mended() -> tf.data.Dataset:
    """For each batch."""
    return tf.data.Dataset.range(1 << 40).batch(256).map(scaled)


def encoded(index: tf.Tensor) -> tf.Tensor:
    """A small vector of one number: it does not work on a batch as it stands."""
    return tf.one_hot(index % 10, 10) * tf.cast(index % 3, tf.float32)


def one_hot_map() -> tf.data.Dataset:
    """A small map for each element, before the batch."""
    return tf.data.Dataset.range(1 << 40).map(encoded).batch(256)


def one_hot_map_mended() -> tf.data.Dataset:
    """For each batch."""

    def encoded_batch(indices: tf.Tensor) -> tf.Tensor:
        return tf.one_hot(indices % 10, 10) * tf.cast(indices % 3, tf.float32)[:, None]

    return tf.data.Dataset.range(1 << 40).batch(256).map(encoded_batch)


ROWS = np.random.default_rng(1).random((20_000, 32), dtype=np.float32)


def one_row_at_a_time() -> Iterator[np.ndarray]:
    """Rows, one by one, without end."""
    while True:
        yield from ROWS


def rows_at_a_time() -> Iterator[np.ndarray]:
    """Rows, a batch at a time, without end."""
    while True:
        for start in range(0, len(ROWS) - 128, 128):
            yield ROWS[start : start + 128]


def generator_per_row() -> tf.data.Dataset:
    """A generator that yields one row at a time."""
    return tf.data.Dataset.from_generator(one_row_at_a_time, output_signature=SIGNATURE).batch(128)


def generator_per_row_mended() -> tf.data.Dataset:
    """A generator that yields batches."""
    return tf.data.Dataset.from_generator(rows_at_a_time, output_signature=tf.TensorSpec([None, 32], tf.float32))


def shuffle_after_batch() -> tf.data.Dataset:
    """A shuffle of batches in place of one of elements."""
    numbers = tf.data.Dataset.range(1 << 40).map(lambda index: tf.fill([4096], tf.cast(index, tf.float32)))
    return numbers.batch(64).shuffle(300).prefetch(1)


def shuffle_after_batch_mended() -> tf.data.Dataset:
    """A shuffle of elements."""
    numbers = tf.data.Dataset.range(1 << 40).map(lambda index: tf.fill([4096], tf.cast(index, tf.float32)))
    return numbers.shuffle(300).batch(64).prefetch(1)


def left(index: np.ndarray) -> np.ndarray:
    """Something that takes 3 ms to arrive."""
    time.sleep(0.003)
    return np.float32(index)


def fetched(index: tf.Tensor) -> tf.Tensor:
    """A value that takes 3 ms to arrive."""
    return tf.ensure_shape(tf.numpy_function(left, [index], tf.float32), [])


def zip_of_slow_sides() -> tf.data.Dataset:
    """Two sides that wait one after the other."""
    one = tf.data.Dataset.range(1 << 40).map(fetched)
    other = tf.data.Dataset.range(1 << 40).map(fetched)
    return tf.data.Dataset.zip((one, other)).batch(8)


def zip_of_slow_sides_mended() -> tf.data.Dataset:
    """Several calls on each side."""
    one = tf.data.Dataset.range(1 << 40).map(fetched, num_parallel_calls=8)
    other = tf.data.Dataset.range(1 << 40).map(fetched, num_parallel_calls=8)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 16
    return tf.data.Dataset.zip((one, other)).batch(8).with_options(options)


def pool_too_small() -> tf.data.Dataset:
    """Many calls that wait, on a pool of two threads."""
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2
    return tf.data.Dataset.range(1 << 40).map(fetched, num_parallel_calls=16).batch(16).with_options(options)


def pool_too_small_mended() -> tf.data.Dataset:
    """As many threads as calls."""
    options = tf.data.Options()
    options.threading.private_threadpool_size = 16
    return tf.data.Dataset.range(1 << 40).map(fetched, num_parallel_calls=16).batch(16).with_options(options)


def array_in_memory() -> tf.data.Dataset:
    """Slices of an array of 500 MB."""
    images = np.ones((2_000, 250, 250), np.float32)
    return tf.data.Dataset.from_tensor_slices(images).repeat().batch(32)


def summed(row: tf.Tensor) -> tf.Tensor:
    """The sum of a row with noise: stateful, so that TensorFlow leaves its map serial."""
    return tf.reduce_sum(tf.random.uniform([50_000], seed=1)) + tf.reduce_sum(row)


def rows_of_an_array() -> tf.data.Dataset:
    """Slices of an array of 200 MB."""
    return tf.data.Dataset.from_tensor_slices(np.ones((50_000, 1_000), np.float32)).repeat()


def serial_map_of_an_array() -> tf.data.Dataset:
    """A map of slices of a large array, one call at a time."""
    return rows_of_an_array().map(summed).batch(16)


def serial_map_of_an_array_mended() -> tf.data.Dataset:
    """With parallel calls."""
    return rows_of_an_array().map(summed, num_parallel_calls=AUTOTUNE).batch(16)


def python_map() -> tf.data.Dataset:
    """A loop in Python for each element: no edit makes it faster."""
    return tf.data.Dataset.range(1 << 40).map(looped, num_parallel_calls=AUTOTUNE).batch(16)


def looped(index: tf.Tensor) -> tf.Tensor:
    """A sum that Python adds up."""

    def add_up(start: np.ndarray) -> np.ndarray:
        total = 0.0
        for number in range(6_000):
            total += (int(start) + number) % 7
        return np.float32(total)

    return tf.ensure_shape(tf.numpy_function(add_up, [index], tf.float32), [])


def python_map_mended() -> tf.data.Dataset:
    """The same sum by TensorFlow."""

    def add_up(index: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast((index + tf.range(6_000, dtype=tf.int64)) % 7, tf.float32))

    return tf.data.Dataset.range(1 << 40).map(add_up, num_parallel_calls=AUTOTUNE).batch(16)


def decoded(number: np.ndarray) -> np.ndarray:
    """The same rows for the same number, by a loop in Python."""
    total = 0
    for place in range(2_000):
        total += (int(number) + place) % 7
    return np.full([32], total, np.float32)


def noisy(number: np.ndarray) -> np.ndarray:
    """Other rows in each epoch."""
    return decoded(number) + RANDOM.random(dtype=np.float32)


RANDOM = np.random.default_rng()


def python_each_epoch() -> tf.data.Dataset:
    """A loop in Python for each element of a short epoch, again in each epoch."""
    made = tf.data.Dataset.range(2_000).shuffle(2_000).map(lambda n: tf.numpy_function(decoded, [n], tf.float32))
    return made.repeat().batch(16)


def python_each_epoch_mended() -> tf.data.Dataset:
    """Kept after the first epoch."""
    made = tf.data.Dataset.range(2_000).map(lambda n: tf.numpy_function(decoded, [n], tf.float32))
    return made.cache().shuffle(2_000).repeat().batch(16)


def python_with_noise() -> tf.data.Dataset:
    """As above, with random numbers that TensorFlow does not see: a cache would repeat those of the first epoch."""
    made = tf.data.Dataset.range(2_000).shuffle(2_000).map(lambda n: tf.numpy_function(noisy, [n], tf.float32))
    return made.repeat().batch(16)


def healthy_parallel() -> tf.data.Dataset:
    """Parallel calls on all cores, and a prefetch."""
    return tf.data.Dataset.range(1 << 40).map(augmented, num_parallel_calls=AUTOTUNE).batch(16).prefetch(AUTOTUNE)


def healthy_batched() -> tf.data.Dataset:
    """Whole batches, in front of a step that takes longer."""
    return tf.data.Dataset.range(1 << 40).batch(256).map(scaled, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def healthy_cached() -> tf.data.Dataset:
    """Decoded once, kept in memory, shuffled and augmented afterwards."""
    images = tf.data.Dataset.range(2_000).map(lambda index: tf.fill([32, 32], tf.cast(index, tf.float32))).cache()
    return images.shuffle(2_000).repeat().batch(64).prefetch(AUTOTUNE)
