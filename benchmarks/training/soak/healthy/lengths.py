"""Sequences of many lengths in padded batches: a function traced for each of 20 lengths, and no more."""

import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
lengths = rng.integers(5, 200, 2000)


def sequences():
    for length in lengths:
        yield np.ones(length, "float32")


ds = tf.data.Dataset.from_generator(sequences, output_signature=tf.TensorSpec((None,), tf.float32))
ds = ds.bucket_by_sequence_length(
    lambda row: tf.shape(row)[0], list(range(10, 210, 10)), [20] * 21, pad_to_bucket_boundary=True
).prefetch(2)


@tf.function
def step(batch):
    return tf.reduce_mean(tf.cumsum(batch, axis=1))


for _ in range(1000):
    for batch in ds:
        step(batch)
