"""The other strand of a sequence."""

from __future__ import annotations

import tensorflow as tf


def turned_over(sequence: tf.Tensor, target: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Turn every second sequence over, with its target."""
    turned = tf.random.uniform([]) < 0.5
    return (tf.where(turned, tf.reverse(sequence, [0, 1]), sequence), tf.where(turned, tf.reverse(target, [0]), target))
