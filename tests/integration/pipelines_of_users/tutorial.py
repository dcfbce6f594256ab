"""Pipelines as they stand in tutorials and scripts: a class as the dataset, options read at import, steps of two."""

from __future__ import annotations

import argparse
import random
import sys

import tensorflow as tf
from absl import flags

parser = argparse.ArgumentParser()
parser.add_argument("--batch-size", type=int, default=5)
OPTIONS = parser.parse_args()
flags.DEFINE_integer("flowers_repeats", 3, "How often.")
FLAGS = flags.FLAGS


class Artificial(tf.data.Dataset):
    """As in TensorFlow's guide to fast pipelines."""

    def _generator(count):
        yield from range(count)

    def __new__(cls, count: int = 3):
        return tf.data.Dataset.from_generator(
            cls._generator, output_signature=tf.TensorSpec([], tf.int64), args=(count,)
        )


class Flowers:
    @staticmethod
    def train():
        return tf.data.Dataset.range(4).batch(2)

    @classmethod
    def eval(cls):
        return cls.train().take(1)


made_at_import = tf.data.Dataset.range(6).batch(3)


def from_options() -> tf.data.Dataset:
    print("command line:", sys.argv[1:], "random:", random.__name__, hasattr(random, "randint"))
    return tf.data.Dataset.range(100).batch(OPTIONS.batch_size).repeat(FLAGS.flowers_repeats)


def _pairs() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((tf.zeros([99, 3]), tf.ones([99]))).batch(3).repeat()


def step_of_three():
    return _pairs(), lambda images, labels, weights: (images, labels, weights)


def step_that_raises():
    def step(batch):
        msg = f"shapes do not fit: {len(batch)}"
        raise ValueError(msg)

    return _pairs(), step


def with_model():
    return _pairs(), tf.keras.Sequential([tf.keras.layers.Dense(1)])


def leaves() -> tf.data.Dataset:
    sys.exit("no data: run download.sh first")


def without_eager():
    tf.compat.v1.disable_eager_execution()
    return tf.compat.v1.data.Dataset.range(3)


def missing_file():
    return tf.data.TFRecordDataset("nowhere.tfrecord").batch(2)


def broken_image():
    dataset = tf.data.Dataset.from_tensor_slices([b"no image"])
    return dataset.map(lambda text: tf.io.decode_jpeg(text, channels=3)).batch(1)


def broken_in_a_function():
    def read(x):
        text = tf.data.Dataset.from_tensors(tf.strings.as_string(x))
        return text.map(tf.io.decode_image)

    return tf.data.Dataset.range(3).interleave(read)


def on_a_device():
    return tf.data.Dataset.range(9).batch(3).apply(tf.data.experimental.prefetch_to_device("/cpu:0"))
