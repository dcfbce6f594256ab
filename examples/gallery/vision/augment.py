"""One of seven changes of a picture."""

from __future__ import annotations

from functools import partial

import tensorflow as tf

CHANGES = (
    tf.identity,
    partial(tf.image.random_brightness, max_delta=0.3),
    partial(tf.image.random_contrast, lower=0.6, upper=1.4),
    partial(tf.image.random_hue, max_delta=0.1),
    partial(tf.image.random_saturation, lower=0.5, upper=1.5),
    tf.image.flip_left_right,
    partial(tf.image.rot90, k=2),
)


def one_of_seven(image: tf.Tensor) -> tf.Tensor:
    """Make a change that is drawn anew for each picture."""
    number = tf.random.uniform([], maxval=len(CHANGES), dtype=tf.int32)
    return tf.switch_case(number, [partial(change, image) for change in CHANGES])
