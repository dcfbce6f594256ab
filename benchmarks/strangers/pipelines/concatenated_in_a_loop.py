"""Hundreds of small datasets, one per slide, each with its own batch and prefetch, concatenated one after the other.

tensorflow/tensorflow issue 59746, 2023-02-20 (DigitalSlideArchive/HistomicsStream pull request 106).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from folders import once

SLIDES, TILES = 200, 12


def make(folder):
    rng = np.random.default_rng(5)
    for i in range(SLIDES):
        np.save(folder / f"slide-{i:03d}.npy", rng.integers(0, 256, (TILES, 64, 64, 3), np.uint8))


FOLDER = once("concatenated_in_a_loop", make)
NAMES = [str(FOLDER / f"slide-{i:03d}.npy") for i in range(SLIDES)]


def read_tile(name, tile):
    return np.load(name.numpy().decode(), mmap_mode="r")[int(tile)].astype(np.float32)


def load(name, tile):
    picture = tf.py_function(read_tile, [name, tile], tf.float32)
    picture.set_shape([64, 64, 3])
    return picture


def slide(name):
    tiles = tf.data.Dataset.from_tensor_slices(([name] * TILES, list(range(TILES))))
    return tiles.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(4).prefetch(tf.data.AUTOTUNE)


def pipeline():
    dataset = None
    for name in NAMES:
        dataset = slide(name) if dataset is None else dataset.concatenate(slide(name))
    return dataset


def read_tiles(names, tiles):
    rows = [np.load(n.decode(), mmap_mode="r")[int(t)].astype(np.float32) for n, t in zip(names, tiles, strict=True)]
    return np.stack(rows)


def fixed():
    """One dataset over all tiles, read by the batch: the same batches in the same order."""
    names = np.repeat(np.array(NAMES), TILES)
    tiles = np.tile(np.arange(TILES, dtype=np.int32), SLIDES)

    def load_batch(name, tile):
        batch = tf.numpy_function(read_tiles, [name, tile], tf.float32)
        batch.set_shape([None, 64, 64, 3])
        return batch

    indices = tf.data.Dataset.from_tensor_slices((names, tiles)).batch(4)
    return indices.map(load_batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
