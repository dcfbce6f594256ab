"""A shuffle of loaded rows: its buffer is filled again when an epoch begins."""

import time

import tensorflow as tf
from slow import load

dataset = tf.data.Dataset.range(120).map(load).shuffle(60).batch(4)
for _epoch in range(25):
    for _batch in dataset:
        time.sleep(0.004)
