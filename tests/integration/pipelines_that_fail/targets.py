"""Functions that return datasets, each of which comes to a bad end in its own way."""

from __future__ import annotations

import ctypes
import os
import signal
import time

import numpy as np
import tensorflow as tf

GOOD = 50


def _mapped(function, elements: int = 10**9) -> tf.data.Dataset:
    dataset = tf.data.Dataset.range(elements)
    return dataset.map(lambda x: tf.numpy_function(function, [x], tf.float32), name="planted").batch(2)


def steady() -> tf.data.Dataset:
    print("made by the user")
    return tf.data.Dataset.range(10**9).batch(8)


def builds_slowly() -> tf.data.Dataset:
    time.sleep(3600)
    return steady()


def profiled() -> tf.data.Dataset:
    """Runs TensorFlow's profiler itself, so that there can be no other."""
    tf.profiler.experimental.start("logs")
    return tf.data.Dataset.range(10**9).map(lambda x: tf.cast(x, tf.float32) * 2).batch(64)


def empty() -> tf.data.Dataset:
    return tf.data.Dataset.range(10).filter(lambda x: x < 0)


def hangs() -> tf.data.Dataset:
    def wait(x):
        if x > GOOD:
            time.sleep(3600)
        return np.float32(x)

    return _mapped(wait)


def crashes() -> tf.data.Dataset:
    def crash(x):
        if x > GOOD:
            ctypes.string_at(0)
        return np.float32(x)

    return _mapped(crash)


def killed() -> tf.data.Dataset:
    def kill(x):
        if x > GOOD:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.float32(x)

    return _mapped(kill)


def grows() -> tf.data.Dataset:
    def chunk(x):
        return np.full([500_000], x, np.float32)

    return tf.data.Dataset.range(10**9).map(lambda x: tf.numpy_function(chunk, [x], tf.float32)).shuffle(10**6).batch(2)


def keeps() -> tf.data.Dataset:
    """2,000 images of 2 MB, of which TensorFlow does not know the shape before the run."""
    numbers = tf.data.Dataset.range(2000)
    images = numbers.map(lambda x: tf.fill([tf.random.uniform([], 500_000, 500_001, tf.int32)], tf.cast(x, tf.float32)))
    return images.cache().repeat()


def raises() -> tf.data.Dataset:
    def fail(x):
        if x > GOOD:
            msg = "a bad record"
            raise ValueError(msg)
        return np.float32(x)

    return _mapped(fail)


def wrong_shape() -> tf.data.Dataset:
    dataset = tf.data.Dataset.range(10**6).map(lambda x: tf.zeros([tf.where(x > GOOD, 2, 1)]))
    return dataset.batch(4, name="collect")


def not_a_dataset() -> list[int]:
    return [1, 2, 3]
