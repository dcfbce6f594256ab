"""A py_function that keeps the arrays that it was given: 1 MB an epoch."""

import numpy as np
import tensorflow as tf
from epochs import epoch_ended

features = np.random.default_rng(0).normal(size=(1000, 250)).astype("float32")
seen = {}


def remember(number, row):
    seen.setdefault(int(number), []).append(row.numpy().copy())
    return row


def augment(number, row):
    row = tf.py_function(remember, [number, row], tf.float32)
    return tf.ensure_shape(row, (250,))


ds = tf.data.Dataset.from_tensor_slices(features).enumerate().map(augment).batch(50).prefetch(2)
weights = tf.Variable(tf.random.normal((250, 250)))


@tf.function
def step(batch):
    return tf.reduce_mean(tf.nn.relu(batch @ weights))


for epoch in range(1000):
    for batch in ds:
        for _ in range(12):
            step(batch)
    epoch_ended()
