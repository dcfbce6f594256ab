"""A tf.function of twenty steps that draws from an iterator."""

import tensorflow as tf
from log import batches, step_in_graph

iterator = iter(batches(100).repeat())


@tf.function
def train(iterator, steps):
    total = 0.0
    for _ in tf.range(steps):
        total += step_in_graph(next(iterator))
    return total


for _ in range(200):
    train(iterator, tf.constant(20))
