"""Batches only for the sake of a vectorized map, taken apart again for the shuffle, and batched once more.

tensorflow/tensorflow issue 40386, 2020-06-11, and tensorflow/hub issue 608, 2020-06-10.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def arrays():
    rng = np.random.default_rng(13)
    return rng.integers(0, 256, (60000, 128), np.uint8), rng.integers(0, 10, 60000)


def scale(x, y):
    return tf.cast(x, tf.float32) / 255.0 - 0.5, tf.one_hot(y, 10)


def pipeline():
    dataset = tf.data.Dataset.from_tensor_slices(arrays()).batch(256)
    dataset = dataset.map(scale, num_parallel_calls=tf.data.AUTOTUNE).unbatch()
    return dataset.shuffle(4000).batch(64).prefetch(tf.data.AUTOTUNE)


def fixed():
    """Shuffle the small elements, batch once, then the map: the same elements in the same distribution."""
    dataset = tf.data.Dataset.from_tensor_slices(arrays()).shuffle(4000).batch(64)
    return dataset.map(scale, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
