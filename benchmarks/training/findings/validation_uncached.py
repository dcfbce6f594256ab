"""Validation loads its rows again after every epoch and takes longer than the training."""

import tensorflow as tf
from slow import labelled, load, small_model

train = tf.data.Dataset.range(40).map(load).map(labelled).batch(2).cache()
validation = tf.data.Dataset.range(100).map(lambda number: load(number, 0.01)).map(labelled).batch(2)
small_model().fit(train, validation_data=validation, epochs=7, verbose=0)
