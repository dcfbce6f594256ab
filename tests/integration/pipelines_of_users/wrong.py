"""Functions that return something else than one dataset."""

from __future__ import annotations

import types

import keras
import numpy as np
import tensorflow as tf


class Batches(keras.utils.PyDataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> np.ndarray:
        return np.zeros(index)


def loader():
    # What a torch DataLoader looks like from outside.
    made = type("DataLoader", (), {"__module__": "torch.utils.data.dataloader"})
    return made()


def generator():
    yield 1


async def coroutine():
    return tf.data.Dataset.range(3)


def keras_dataset():
    return Batches()


def nothing():
    tf.data.Dataset.range(3)


def array():
    return np.zeros(3)


def tensor():
    return tf.zeros(3)


def iterator():
    return iter(tf.data.Dataset.range(3))


def numpy_iterator():
    return tf.data.Dataset.range(3).as_numpy_iterator()


def two_datasets():
    return tf.data.Dataset.range(3), tf.data.Dataset.range(3)


def dict_of_datasets():
    return {"train": tf.data.Dataset.range(3), "test": tf.data.Dataset.range(3)}


def with_info():
    return tf.data.Dataset.range(3), types.SimpleNamespace(name="info")


def function():
    return lambda: tf.data.Dataset.range(3)


def distributed():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    return strategy.experimental_distribute_dataset(tf.data.Dataset.range(3).batch(1))


def number():
    return 3
