"""A dataset distributed over one device."""

import tensorflow as tf
from log import batches, step

strategy = tf.distribute.MirroredStrategy(["CPU:0"])
dataset = strategy.experimental_distribute_dataset(batches(100))
for _ in range(50):
    for _batch in dataset:
        step()
