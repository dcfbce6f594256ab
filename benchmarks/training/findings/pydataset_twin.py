"""The same rows from a tf.data dataset."""

import time

import numpy as np
import tensorflow as tf
from slow import small_model


def rows_of(index):
    time.sleep(0.006)
    return np.full((4, 4), index, np.float32)


def load_rows(index):
    rows = tf.ensure_shape(tf.numpy_function(rows_of, [index], tf.float32), [4, 4])
    return rows, rows[:, :1]


small_model().fit(tf.data.Dataset.range(60).map(load_rows), epochs=4, verbose=0)
