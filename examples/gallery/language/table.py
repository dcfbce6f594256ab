"""A table of rows in memory, as a library for data sets would hold it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

LENGTH = 64
WORDS = np.random.default_rng(61).integers(0, 30_000, (2_000, LENGTH))


def fetch(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The words and labels of rows, shapes (rows, 64) and (rows,)."""
    return WORDS[rows], WORDS[rows].sum(axis=1) % 2


def fetched(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The same of a batch of numbers, in one call."""
    words, label = tf.numpy_function(fetch, [rows], [tf.int64, tf.int64])
    return tf.ensure_shape(words, [*rows.shape, LENGTH]), tf.ensure_shape(label, rows.shape)
