"""Pipelines that are late by plan.

Element `n` is late if the plan says so: a map function then holds it back until a deadline counted from the moment it
was asked for. All other elements pass by the branch without Python, so that nothing else takes time. TensorFlow is
told to leave the pipeline as written: a map made parallel or an injected prefetch would hide stalls of any length.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import numpy as np
import tensorflow as tf

PLAN: dict[str, Any] = json.loads(os.environ["PIPEPROF_BENCHMARK"])
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

    def element(number: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            number % PLAN["every"] == PLAN["every"] - 1,
            lambda: tf.ensure_shape(tf.numpy_function(hold_back, [number], np.int64, stateful=True), []),
            lambda: number,
        )

    numbers = tf.data.Dataset.range(10**12)
    dataset = numbers.map(element) if PLAN["late_ms"] else numbers
    if PLAN["prefetch"]:
        dataset = dataset.prefetch(PLAN["prefetch"])
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.inject_prefetch = False
    return dataset.with_options(options)
