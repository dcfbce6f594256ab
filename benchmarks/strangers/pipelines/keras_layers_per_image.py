"""Augmentation layers of Keras applied to single pictures in a map.

keras-team/keras issue 21954, 2025-12-25; keras-cv issues 291 (2022-04) and 581 (2022-07-13).
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


def arrays():
    rng = np.random.default_rng(11)
    return rng.integers(0, 256, (1024, 96, 96, 3), np.uint8), rng.integers(0, 10, 1024)


def layers():
    return keras.Sequential(
        [
            keras.layers.Rescaling(1 / 255),
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.1),
            keras.layers.RandomZoom(0.1),
            keras.layers.RandomContrast(0.2),
        ]
    )


def pipeline():
    augment = layers()
    dataset = tf.data.Dataset.from_tensor_slices(arrays()).shuffle(1024).repeat()
    dataset = dataset.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(32).prefetch(tf.data.AUTOTUNE)


def fixed():
    """The same layers on batches."""
    augment = layers()
    dataset = tf.data.Dataset.from_tensor_slices(arrays()).shuffle(1024).repeat().batch(32)
    dataset = dataset.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.prefetch(tf.data.AUTOTUNE)
