"""Batches of another length each, and a step whose signature leaves the length open: one trace."""

import time

import tensorflow as tf

weights = tf.Variable(tf.ones([4]))


@tf.function(input_signature=[tf.TensorSpec([None, 4])])
def step(batch):
    total = 0.0
    for _layer in range(4):
        total += tf.reduce_mean(tf.nn.relu(batch * weights))
    return total


rows = tf.data.Dataset.range(1, 41).map(lambda length: tf.ones([length, 4]))
for _epoch in range(5):
    for batch in rows:
        step(tf.constant(batch.numpy()))
        time.sleep(0.002)
