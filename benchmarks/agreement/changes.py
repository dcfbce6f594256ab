"""Six changes of one pipeline: three that are clear, three near the floor of 3 %."""

from __future__ import annotations

from pathlib import Path

SPEC = """\
version: 1
name: six
source: {range: {stop: 1000000000}}
stages:
  - map: {name: wait, python: "waits.py:four", num_parallel_calls: 1}
  - batch: {name: group, batch_size: 4}
options: {experimental_optimization: {map_parallelization: false, map_and_batch_fusion: false}}
"""
WAITS = '''\
"""Functions that wait, each for another time."""

import time

import tensorflow as tf


def _waiting(seconds):
    def wait(number):
        time.sleep(seconds)
        return number

    return lambda number: tf.ensure_shape(tf.numpy_function(wait, [number], tf.int64), [])


four = _waiting(0.004)
six = _waiting(0.006)
little_less = _waiting(0.0039)
less = _waiting(0.00382)
little_more = _waiting(0.0041)
'''
CHANGES = {
    "two calls": "stages.wait.num_parallel_calls=2",
    "four calls": "stages.wait.num_parallel_calls=4",
    "slower": "stages.wait.python=waits.py:six",
    "a little less": "stages.wait.python=waits.py:little_less",
    "less": "stages.wait.python=waits.py:less",
    "a little more": "stages.wait.python=waits.py:little_more",
}
"""By name: what ``--set`` takes."""
CLEAR = ("two calls", "four calls", "slower")


def write(folder: Path) -> Path:
    """Write the pipeline; return its spec."""
    (folder / "waits.py").write_text(WAITS)
    spec = folder / "six.yaml"
    spec.write_text(SPEC)
    return spec
