"""Pipelines that are late by plan.

Every so many-th element is late: a map function holds it back until a deadline counted from the moment it was asked
for. The others follow it from a range and pass no function, so that nothing else takes time: a mere branch around the
late ones' function took 0.1 to 0.2 ms for each of the others, on a core that had just slept through a step. TensorFlow
is told to leave the pipeline as written: a map made parallel or an injected prefetch would hide stalls of any length.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import numpy as np
import tensorflow as tf

PLAN: dict[str, Any] = json.loads(os.environ["BENCHMARK_CASE"])
SPIN_SECONDS = 0.002


def hold_back(number: Any) -> Any:
    """Return `number` so many seconds after the call, to some microseconds."""
    deadline = time.perf_counter() + PLAN["late_ms"] / 1e3
    time.sleep(max(0.0, PLAN["late_ms"] / 1e3 - SPIN_SECONDS))
    while time.perf_counter() < deadline:
        # Lets go of Python's lock, which the step loop needs to follow its device.
        time.sleep(0)
    return number


def planted() -> tf.data.Dataset:
    """Every so many-th element late, with as many batches prefetched as the plan says."""
    every = PLAN["every"]

    def late(number: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.numpy_function(hold_back, [number], np.int64, stateful=True), [])

    def followed(number: tf.Tensor) -> tf.data.Dataset:
        return tf.data.Dataset.range(number * every, (number + 1) * every)

    numbers = tf.data.Dataset.range(10**12)
    dataset = numbers.map(late).flat_map(followed) if PLAN["late_ms"] else numbers
    if PLAN["prefetch"]:
        dataset = dataset.prefetch(PLAN["prefetch"])
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.inject_prefetch = False
    return dataset.with_options(options)
