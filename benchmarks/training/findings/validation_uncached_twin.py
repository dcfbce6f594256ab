"""Validation is cached and short."""

import tensorflow as tf
from slow import labelled, load, small_model

train = tf.data.Dataset.range(100).map(load).map(labelled).batch(2)
validation = tf.data.Dataset.range(20).map(load).map(labelled).batch(2).cache()
small_model().fit(train, validation_data=validation, epochs=6, verbose=0)
