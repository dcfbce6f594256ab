"""The same random crop and flip for both halves of a picture."""

from __future__ import annotations

import tensorflow as tf

SIZE = [128, 128, 3]


def together(left: tf.Tensor, right: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Crop both at the same place, and flip both or none."""
    crop, flip = tf.unstack(tf.random.uniform([2, 2], maxval=2**31 - 1, dtype=tf.int32))
    cropped = (tf.image.stateless_random_crop(half, SIZE, crop) for half in (left, right))
    left, right = (tf.image.stateless_random_flip_left_right(half, flip) for half in cropped)
    return left, right
