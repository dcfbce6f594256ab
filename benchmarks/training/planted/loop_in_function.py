"""A loop over a dataset inside of a tf.function."""

import tensorflow as tf
from log import batches, step_in_graph


@tf.function
def train(dataset):
    total = 0.0
    for batch in dataset:
        total += step_in_graph(batch)
    return total


dataset = batches(100)
for _ in range(50):
    train(dataset)
