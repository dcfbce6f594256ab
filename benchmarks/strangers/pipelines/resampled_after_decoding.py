"""rejection_resample() balances two classes after decoding: four of five decoded photos are thrown away.

tensorflow/tensorflow issues 14451 (2017-11-10) and 39195 (2020-05-05).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from folders import once, smooth

PHOTOS = 1000


def make(folder):
    rng = np.random.default_rng(16)
    pictures = [tf.io.encode_jpeg(smooth(rng, 240, 320)).numpy() for _ in range(40)]
    for i in range(PHOTOS):
        (folder / f"{i:04d}.jpg").write_bytes(pictures[i % 40])
    np.save(folder / "labels.npy", (rng.random(PHOTOS) < 0.1).astype(np.int32))


FOLDER = once("resampled_after_decoding", make)


def sources():
    paths = [str(FOLDER / f"{i:04d}.jpg") for i in range(PHOTOS)]
    return tf.data.Dataset.from_tensor_slices((paths, np.load(FOLDER / "labels.npy"))).shuffle(PHOTOS).repeat()


def load(path, label):
    return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), [160, 160]), label


def balance(dataset):
    dataset = dataset.rejection_resample(
        class_func=lambda _, label: label, target_dist=[0.5, 0.5], initial_dist=[0.9, 0.1], seed=1
    )
    return dataset.map(lambda _, element: element)


def pipeline():
    photos = sources().map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return balance(photos).batch(32).prefetch(tf.data.AUTOTUNE)


def fixed():
    """Resample names and labels, then decode what is left."""
    photos = balance(sources()).map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return photos.batch(32).prefetch(tf.data.AUTOTUNE)
