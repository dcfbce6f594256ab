"""The validation set is the last tenth of a decoded dataset: skip() decodes the other nine tenths in every epoch.

tensorflow/tensorflow issue 44008, 2020-10-14 (the same in a comment of issue 28831, 2019-06-21).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from folders import once, smooth

PHOTOS, TRAIN = 1200, 1080


def make(folder):
    rng = np.random.default_rng(9)
    pictures = [tf.io.encode_jpeg(smooth(rng, 240, 320)).numpy() for _ in range(40)]
    for i in range(PHOTOS):
        (folder / f"{i:04d}-{i % 5}.jpg").write_bytes(pictures[i % 40])


FOLDER = once("validation_by_skip", make)


def load(path):
    picture = tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), [160, 160])
    label = tf.strings.to_number(tf.strings.split(tf.strings.split(path, "-")[-1], ".")[0], tf.int32)
    return picture, label


def pipeline():
    photos = tf.data.Dataset.list_files(str(FOLDER / "*.jpg"), shuffle=False)
    dataset = photos.map(load, num_parallel_calls=tf.data.AUTOTUNE).skip(TRAIN)
    return dataset.batch(16).prefetch(tf.data.AUTOTUNE)


def fixed():
    """Split the file names, then decode: the same batches."""
    photos = tf.data.Dataset.list_files(str(FOLDER / "*.jpg"), shuffle=False)
    dataset = photos.skip(TRAIN).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.batch(16).prefetch(tf.data.AUTOTUNE)
