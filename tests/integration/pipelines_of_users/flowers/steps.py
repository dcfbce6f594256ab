"""Helpers that a pipeline in another file uses."""

from __future__ import annotations

import tensorflow as tf


def scaled(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32) / 255


def ending(dataset: tf.data.Dataset, batch_size: int = 4) -> tf.data.Dataset:
    return dataset.batch(
        batch_size,
    ).prefetch(2)  # line: prefetch in a helper
