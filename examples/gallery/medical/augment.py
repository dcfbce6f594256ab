"""Changes of a picture or volume together with its mask."""

from __future__ import annotations

import tensorflow as tf


def flipped(image: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Flip both or none."""
    seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
    return tuple(tf.image.stateless_random_flip_left_right(part, seed) for part in (image, mask))


def reversed_axes(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn both over along each of two axes, or along none."""
    for axis in (1, 2):
        turned = tf.random.uniform([]) < 0.5
        image, label = (tf.where(turned, tf.reverse(part, [axis]), part) for part in (image, label))
    return image, label


def brightness(image: tf.Tensor) -> tf.Tensor:
    """Make three of ten volumes brighter or darker."""
    factor = tf.where(tf.random.uniform([]) < 0.3, tf.random.uniform([], 0.7, 1.3), 1.0)
    return image * factor
