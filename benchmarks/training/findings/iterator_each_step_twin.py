"""One look at a batch with next(iter(...)), and one iterator for all steps."""

import time

import tensorflow as tf
from slow import load

dataset = tf.data.Dataset.range(1000).map(load).shuffle(8).batch(2)
shape = next(iter(dataset)).shape
iterator = iter(dataset.repeat())
for _step in range(50):
    batch = next(iterator)
    time.sleep(0.002)
