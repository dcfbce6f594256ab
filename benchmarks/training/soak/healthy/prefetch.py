"""A parallel map and a prefetch that AUTOTUNE makes larger."""

import numpy as np
import tensorflow as tf

features = np.random.default_rng(0).normal(size=(4000, 250)).astype("float32")


def noisy(row):
    return row + tf.random.stateless_normal((250,), seed=[1, 2])


ds = tf.data.Dataset.from_tensor_slices(features).map(noisy, num_parallel_calls=tf.data.AUTOTUNE)
ds = ds.batch(50).prefetch(tf.data.AUTOTUNE)
weights = tf.Variable(tf.random.normal((250, 250)))


@tf.function
def step(batch):
    return tf.reduce_mean(tf.nn.relu(batch @ weights))


for _ in range(1000):
    for batch in ds:
        step(batch)
