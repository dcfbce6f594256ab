"""What happens to the colours of one view."""

from __future__ import annotations

from functools import partial

import tensorflow as tf

CHANGES = (
    partial(tf.image.random_brightness, max_delta=0.4),
    partial(tf.image.random_contrast, lower=0.6, upper=1.4),
    partial(tf.image.random_saturation, lower=0.6, upper=1.4),
    partial(tf.image.random_hue, max_delta=0.1),
)


def _jittered(view: tf.Tensor) -> tf.Tensor:
    order = tf.random.shuffle(tf.range(len(CHANGES)))
    for turn in range(len(CHANGES)):
        view = tf.switch_case(order[turn], [partial(change, view) for change in CHANGES])
    return view


def _grey(view: tf.Tensor) -> tf.Tensor:
    return tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(view))


def colours(view: tf.Tensor) -> tf.Tensor:
    """Change four of five views in random order, and make one of five grey."""
    view = tf.cond(tf.random.uniform([]) < 0.8, lambda: _jittered(view), lambda: view)
    return tf.cond(tf.random.uniform([]) < 0.2, lambda: _grey(view), lambda: view)
