"""Small pictures through albumentations in numpy_function; the transforms are built anew for every picture.

albumentations-team/albumentations issue 1464, 2023-07-07. Needs albumentations.
"""

from __future__ import annotations

import os

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations as A
import numpy as np
import tensorflow as tf


def arrays():
    rng = np.random.default_rng(6)
    return rng.integers(0, 256, (6000, 28, 28), np.uint8), rng.integers(0, 10, 6000)


def transforms():
    return A.Compose([A.HorizontalFlip(p=0.5), A.RandomBrightnessContrast(p=0.5), A.RandomGamma(p=0.5)])


def augment(image):
    out = transforms()(image=image)["image"]
    out = tf.cast(out / 255.0, tf.float32)
    return tf.expand_dims(out, -1)


def mapped(image, label):
    out = tf.numpy_function(augment, [image], tf.float32)
    out.set_shape([28, 28, 1])
    return out, label


def pipeline():
    dataset = tf.data.Dataset.from_tensor_slices(arrays()).shuffle(6000)
    dataset = dataset.map(mapped, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(64).prefetch(tf.data.AUTOTUNE)


def fixed():
    """The same kinds of changes with TensorFlow's operations, on batches where they may be."""

    def augment_tf(image, label):
        image = tf.cast(image[..., None], tf.float32) / 255.0
        image = tf.image.random_flip_left_right(image)
        scale = tf.random.uniform([tf.shape(image)[0], 1, 1, 1], 0.8, 1.2)
        shift = tf.random.uniform([tf.shape(image)[0], 1, 1, 1], -0.2, 0.2)
        gamma = tf.random.uniform([tf.shape(image)[0], 1, 1, 1], 0.8, 1.2)
        return tf.clip_by_value(image * scale + shift, 0.0, 1.0) ** gamma, label

    dataset = tf.data.Dataset.from_tensor_slices(arrays()).shuffle(6000).batch(64)
    return dataset.map(augment_tf, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
