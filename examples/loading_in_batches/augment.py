"""Random augmentation of a whole batch, with separate random values for each picture."""

import tensorflow as tf


def augment(images, labels):
    """`random_flip_left_right` draws for each picture of a batch; `random_brightness` would draw once for all."""
    images = tf.image.convert_image_dtype(images, tf.float32)
    images = tf.image.random_flip_left_right(images)
    brighter = tf.random.uniform([tf.shape(images)[0], 1, 1, 1], -0.2, 0.2)
    return images + brighter, labels
