"""Every dataset that is made is iterated, or is a stage of one that is."""

import time

import tensorflow as tf
from slow import load

dataset = tf.data.Dataset.range(300).map(load).batch(2)
augmented = dataset.map(lambda row: row + tf.random.normal([4])).prefetch(tf.data.AUTOTUNE)
for _epoch in range(2):
    for _batch in augmented:
        time.sleep(0.002)
for _batch in dataset.take(3):
    pass
