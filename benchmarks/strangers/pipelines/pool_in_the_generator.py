"""A generator that hands its work to a pool of processes, which send every picture back through a pipe.

keras-team/keras issue 11727, 2018-11-25, and tensorflow/tensorflow issue 47955, 2021-03-21.
"""

from __future__ import annotations

import multiprocessing

import numpy as np
import tensorflow as tf
from folders import once, smooth

PICTURES = 200


def make(folder):
    rng = np.random.default_rng(15)
    for i in range(PICTURES):
        np.save(folder / f"{i:03d}.npy", smooth(rng, 192, 192))


FOLDER = once("pool_in_the_generator", make)


def load(i):
    rng = np.random.default_rng(i)
    picture = np.load(FOLDER / f"{i:03d}.npy").astype(np.float32) / 255
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    picture = np.rot90(picture, rng.integers(4)) * rng.uniform(0.8, 1.2)
    return np.ascontiguousarray((picture - picture.mean()) / picture.std(), np.float32)


def pictures():
    order = np.random.default_rng().permutation(PICTURES)
    with multiprocessing.Pool(4) as pool:
        yield from pool.imap(load, order)


def pipeline():
    dataset = tf.data.Dataset.from_generator(pictures, output_signature=tf.TensorSpec([192, 192, 3], tf.float32))
    return dataset.batch(16).prefetch(tf.data.AUTOTUNE)


def fixed():
    """No processes: read and change the pictures with TensorFlow in parallel calls."""

    def load_tf(i):
        raw = tf.io.read_file(tf.strings.join([str(FOLDER) + "/", tf.strings.as_string(i, width=3, fill="0"), ".npy"]))
        picture = tf.reshape(tf.io.decode_raw(tf.strings.substr(raw, 128, -1), tf.uint8), [192, 192, 3])
        picture = tf.image.random_flip_left_right(tf.cast(picture, tf.float32) / 255)
        picture = tf.image.rot90(picture, tf.random.uniform([], 0, 4, tf.int32)) * tf.random.uniform([], 0.8, 1.2)
        return (picture - tf.reduce_mean(picture)) / tf.math.reduce_std(picture)

    dataset = tf.data.Dataset.range(PICTURES).shuffle(PICTURES).map(load_tf, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(16).prefetch(tf.data.AUTOTUNE)
