"""A detection pipeline whose function has loops in loops: some million ops in a second of trace."""

from __future__ import annotations

import tensorflow as tf

BOXES = 64
ROUNDS = 24


def _overlap(one: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Intersection over union of one box with others, shapes (4,) and (boxes, 4)."""
    low = tf.maximum(one[:2], boxes[:, :2])
    high = tf.minimum(one[2:], boxes[:, 2:])
    inner = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    area = tf.reduce_prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
    return inner / (area + tf.reduce_prod(one[2:] - one[:2]) - inner + 1e-6)


def _suppressed(boxes: tf.Tensor) -> tf.Tensor:
    """Which boxes are left when those that overlap with a better one are dropped: a loop over pairs of them."""

    def outer(index: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def inner(other: tf.Tensor, left: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            far = _overlap(boxes[index], boxes[other : other + 1])[0] < 0.5
            return other + 1, left & far

        _, left = tf.while_loop(lambda other, _left: other < index, inner, [tf.constant(0), tf.constant(True)])
        return index + 1, tf.tensor_scatter_nd_update(kept, [[index]], [left])

    start = [tf.constant(0), tf.ones([ROUNDS], tf.bool)]
    return tf.while_loop(lambda index, _kept: index < ROUNDS, outer, start)[1]


def _image(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    seed = tf.stack([tf.constant(1, tf.int64), number])
    corners = tf.random.stateless_uniform([BOXES, 2], seed)
    sizes = tf.random.stateless_uniform([BOXES, 2], seed + 1)
    boxes = tf.concat([corners, corners + sizes], axis=1)
    return boxes, _suppressed(boxes)


def detection() -> tf.data.Dataset:
    """Boxes of images and which of them are kept."""
    images = tf.data.Dataset.range(10**9).map(_image, num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(8).prefetch(tf.data.AUTOTUNE)
