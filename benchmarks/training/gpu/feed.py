"""Batches of pictures, each of which takes some milliseconds in a ``numpy_function``; nothing prefetches."""

import time

import numpy as np
import tensorflow as tf


def batches(milliseconds, count=400, size=32, side=224):
    """A dataset of so many batches; 38.5 MB each."""
    picture = np.random.default_rng(0).random((size, side, side, 3), dtype=np.float32)

    def slow(_number):
        time.sleep(milliseconds / 1000)
        return picture

    def load(number):
        return tf.ensure_shape(tf.numpy_function(slow, [number], tf.float32), picture.shape)

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    options.experimental_optimization.map_parallelization = False
    return tf.data.Dataset.range(count).map(load).with_options(options)
