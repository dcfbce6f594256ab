"""A large shuffle buffer on slow rows is filled again at each epoch's start: the first batch takes 0.2 s."""

import time

import tensorflow as tf
from slow import load

dataset = tf.data.Dataset.range(200).map(load).shuffle(100).batch(4)
for _epoch in range(4):
    for _batch in dataset:
        time.sleep(0.002)
