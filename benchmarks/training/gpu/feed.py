"""Batches of pictures, each of which takes some milliseconds in a ``numpy_function``; nothing prefetches."""

import argparse
import time

import numpy as np
import tensorflow as tf


def batches(milliseconds, count=400, size=32, side=224):
    """A dataset of so many batches; 38.5 MB each."""
    picture = np.random.default_rng(0).random((size, side, side, 3), dtype=np.float32)

    def slow(_number):
        time.sleep(milliseconds / 1000)
        return picture

    def load(number):
        return tf.ensure_shape(tf.numpy_function(slow, [number], tf.float32), picture.shape)

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    options.experimental_optimization.map_parallelization = False
    return tf.data.Dataset.range(count).map(load).with_options(options)


def arguments():
    """What both loops are given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stall", type=float, default=20, help="milliseconds of each batch")
    parser.add_argument("--products", type=int, default=6, help="matrix products of each step, 1.4 ms each on an H200")
    parser.add_argument("--reads", action="store_true", help="each step waits for its loss")
    parser.add_argument("--truth", action="store_true", help="time it without pipeprof")
    return parser.parse_args()
