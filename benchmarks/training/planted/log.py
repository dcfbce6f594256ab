"""Planted batches and steps that write when they ran: what the planted scripts share.

A batch sleeps in a ``numpy_function``, a step sleeps where the script runs it. Each writes a record to ``planted.log``
in the current folder as soon as it is over, so that nothing is lost when the process ends: what it was, when it began
and when it ended, in nanoseconds of ``time.perf_counter_ns``.
"""

import struct
import time

import numpy as np
import tensorflow as tf

BATCH_SECONDS, STEP_SECONDS = 0.020, 0.010
BATCH, STEP, OTHER = range(3)
RECORD = struct.Struct("<qqq")
_FILE = open("planted.log", "ab", buffering=0)  # noqa: PTH123, SIM115 - it ends with the process


def sleep(kind, seconds):
    """Sleep, and write when."""
    began = time.perf_counter_ns()
    time.sleep(seconds)
    _FILE.write(RECORD.pack(kind, began, time.perf_counter_ns()))


def batches(count, seconds=BATCH_SECONDS, kind=BATCH):
    """A dataset of so many batches of eight rows, each of which takes `seconds`; nothing prefetches."""

    def slow_batch(_number):
        sleep(kind, seconds)
        return np.ones((8, 4), np.float32)

    def load(number):
        return tf.ensure_shape(tf.numpy_function(slow_batch, [number], tf.float32), [8, 4])

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    # A map that a script adds would run ahead.
    options.experimental_optimization.map_parallelization = False
    return tf.data.Dataset.range(count).map(load).with_options(options)


def step():
    """A step of a loop in Python."""
    sleep(STEP, STEP_SECONDS)


def step_in_graph(batch):
    """The same as an op: it begins when its batch is there."""

    def slow_step(total):
        step()
        return total

    return tf.ensure_shape(tf.numpy_function(slow_step, [tf.reduce_sum(batch)], tf.float32), [])
