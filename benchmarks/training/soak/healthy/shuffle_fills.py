"""A shuffle buffer of 16 MB that fills slowly over many short passes of a repeated dataset, and stays full."""

import numpy as np
import tensorflow as tf

features = np.random.default_rng(0).normal(size=(1000, 250)).astype("float32")
ds = tf.data.Dataset.from_tensor_slices(features).map(lambda row: row + tf.random.uniform((250,)))
ds = ds.repeat().shuffle(16_000).batch(20)
weights = tf.Variable(tf.random.normal((250, 400)))


@tf.function
def step(batch):
    return tf.reduce_mean(tf.nn.relu(batch @ weights))


for batch in ds:
    for _ in range(3):
        step(batch)
