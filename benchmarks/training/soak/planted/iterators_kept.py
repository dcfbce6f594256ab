"""A loop that keeps the iterator of each epoch, with the shuffle buffer of 1 MB in it."""

import numpy as np
import tensorflow as tf
from epochs import epoch_ended

features = np.random.default_rng(0).normal(size=(4000, 250)).astype("float32")
ds = tf.data.Dataset.from_tensor_slices(features).map(lambda row: row * 2.0).shuffle(1000).batch(50)
weights = tf.Variable(tf.random.normal((250, 250)))
iterators = []


@tf.function
def step(batch):
    return tf.reduce_mean(tf.nn.relu(batch @ weights))


for epoch in range(1000):
    batches = iter(ds)
    iterators.append(batches)
    for _ in range(40):
        batch = next(batches)
        for _ in range(12):
            step(batch)
    epoch_ended()
