"""A small checkpoint at the end of each epoch."""

import time

import tensorflow as tf
from slow import load

weights = tf.Variable(tf.ones([4]))
checkpoint = tf.train.Checkpoint(weights=weights)
dataset = tf.data.Dataset.range(150).map(load).batch(2)
for epoch in range(2):
    for _batch in dataset:
        weights.assign_add(weights)
        time.sleep(0.002)
    checkpoint.write(f"training_checkpoints/{epoch}")
