"""Batches of pictures, each of which takes some milliseconds in a ``numpy_function``; nothing prefetches."""

import argparse
import json
import statistics
import threading
import time
from contextlib import contextmanager

import numpy as np
import tensorflow as tf


def picture(size=32, side=224):
    """A batch of 19.3 MB."""
    return np.random.default_rng(0).random((size, side, side, 3), dtype=np.float32)


def batches(milliseconds, count=400):
    """A dataset of so many batches."""
    one = picture()

    def slow(_number):
        time.sleep(milliseconds / 1000)
        return one

    def load(number):
        return tf.ensure_shape(tf.numpy_function(slow, [number], tf.float32), one.shape)

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    options.experimental_optimization.map_parallelization = False
    return tf.data.Dataset.range(count).map(load).with_options(options)


def spin(seconds):
    """Run Python for so long."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def arguments():
    """What both loops are given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--stall", type=float, default=20, help="milliseconds of each batch")
    parser.add_argument("--products", type=int, default=6, help="matrix products of each step, 1.4 ms each on an H200")
    parser.add_argument("--reads", action="store_true", help="each step waits for its loss")
    parser.add_argument("--truth", metavar="TRACE", help="time it without pipeprof; a trace of JAX goes to this folder")
    return parser.parse_args()


@contextmanager
def nvml():
    """Read the GPU's utilisation ten times a second; yields a function that returns the mean, in percent."""
    import pynvml

    pynvml.nvmlInit()
    handle, values, over = pynvml.nvmlDeviceGetHandleByIndex(0), [], threading.Event()

    def read():
        while not over.wait(0.1):
            values.append(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        # The first second is a mean with what was before.
        yield lambda: round(statistics.fmean(values[10:]), 1) if len(values) > 20 else None
    finally:
        over.set()
        thread.join()


def say(**figures):
    """Print what was measured, as one line of JSON."""
    print("measured", json.dumps(figures))
