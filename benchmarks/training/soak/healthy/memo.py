"""A py_function that keeps what it has decoded, in an order of chance, until it has all: 10 MB in several epochs."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
kept = {}


def decode(number):
    return kept.setdefault(int(number), np.full(2500, float(number), "float32"))


def load(number):
    return tf.ensure_shape(tf.numpy_function(decode, [number], tf.float32), (2500,))


ds = tf.data.Dataset.from_generator(lambda: rng.integers(0, 1000, 400), output_signature=tf.TensorSpec((), tf.int64))
ds = ds.map(load).batch(50).prefetch(2)
weights = tf.Variable(tf.random.normal((2500, 100)))


@tf.function
def step(batch):
    return tf.reduce_mean(tf.nn.relu(batch @ weights))


for _ in range(1000):
    for batch in ds:
        step(batch)
