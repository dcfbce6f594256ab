"""Pictures in memory, and pictures that load slowly."""

import functools
import time

import numpy as np
import tensorflow as tf

IN_MEMORY, BATCH = 2_000, 50
ON_DISK, LATENCY = 100, 0.020
SHAPE = (64, 64, 3)


@functools.cache
def in_memory():
    """Generate all pictures and labels once."""
    rng = np.random.default_rng(1)
    return rng.random((IN_MEMORY, *SHAPE), dtype=np.float32), rng.integers(0, 2, IN_MEMORY).astype(np.int32)


def one_at_a_time():
    images, labels = in_memory()
    yield from zip(images, labels, strict=True)


def fifty_at_a_time():
    images, labels = in_memory()
    for start in range(0, IN_MEMORY, BATCH):
        yield images[start : start + BATCH], labels[start : start + BATCH]


def read(number):
    """Return one picture and its label; the pause stands for a slow disk."""
    time.sleep(LATENCY)
    return np.full(SHAPE, number / ON_DISK, np.float32), np.int32(number % 2)


def loaded():
    """Yield all pictures, each loaded on demand."""
    for number in range(ON_DISK):
        yield read(number)


def load(number):
    """Load one picture by its number; `map` can call this in parallel."""
    image, label = tf.numpy_function(read, [number], [tf.float32, tf.int32])
    return tf.ensure_shape(image, SHAPE), tf.ensure_shape(label, [])
