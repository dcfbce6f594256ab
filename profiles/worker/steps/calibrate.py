"""Fixed costs of an element on this machine, from a few tiny pipelines: two seconds in all."""

from __future__ import annotations

import os
from collections.abc import Callable
from statistics import median
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.protocol.messages import MeasuredCosts

SECONDS = 2.1
"""Time for all pipelines together, the making of their iterators included."""
_BLOCKS = 3
_ROWS = 1000
_MANY = 8
"""Times as many calls as cores."""
_EPOCH_ROWS = 8
_PIPELINES = 7


def measure_costs(stop: Callable[[], bool]) -> MeasuredCosts | None:
    """Measure the fixed costs of elements; ``None`` where it had to stop before it was done."""
    import tensorflow as tf

    numbers = tf.data.Dataset.range(1 << 60)
    cached = tf.data.Dataset.range(_ROWS).cache().repeat()
    called = numbers.map(_next, num_parallel_calls=None)
    cores = max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    pipelines = {
        "row": _as_written(numbers.batch(_ROWS)),
        "call": _as_written(called.batch(_ROWS)),
        "hand_over": _as_written(numbers.prefetch(8).batch(_ROWS)),
        "cached": _as_written(cached.batch(_ROWS)),
        # As TensorFlow runs most pipelines: a map and a batch in one.
        "few": _fixed(numbers.map(_next, num_parallel_calls=cores).batch(_ROWS)),
        "many": _fixed(numbers.map(_next, num_parallel_calls=_MANY * cores).batch(_ROWS)),
    }
    found: dict[str, tuple[float, float]] = {}
    for name, dataset in pipelines.items():
        batch = _batch_us(dataset, SECONDS / _PIPELINES, stop)
        if batch is None:
            return None
        found[name] = batch
    epoch = _epoch_us(tf.data.Dataset.range(_EPOCH_ROWS).batch(_EPOCH_ROWS).prefetch(2), SECONDS / _PIPELINES, stop)
    if epoch is None:
        return None
    each = {name: (us / _ROWS, cpu_us / _ROWS) for name, (us, cpu_us) in found.items()}
    row = each["row"][0]
    return MeasuredCosts(
        row_us=row,
        call_us=max(0.0, each["call"][0] - row),
        hand_over_us=max(0.0, each["hand_over"][0] - row),
        # Both count: a number that is made, and one that is kept.
        cached_us=max(0.0, each["cached"][0] - row / 2),
        few_calls_us=each["few"][1],
        many_calls_us=each["many"][1],
        epoch_us=epoch,
    )


def _next(number: Any) -> Any:
    """A function that computes next to nothing."""
    return number + 1


def _as_written(dataset: Any) -> Any:
    """The dataset without TensorFlow's rewrites, which would make one of several stages."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(options)


def _fixed(dataset: Any) -> Any:
    """The dataset as TensorFlow rewrites it, with the numbers that were written."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _epoch_us(dataset: Any, seconds: float, stop: Callable[[], bool]) -> float | None:
    """The median time of an epoch of one batch, without the deletion of its iterator, as steps are counted."""
    until = time.perf_counter() + seconds
    epochs: list[float] = []
    while time.perf_counter() < until or not epochs:
        if stop():
            return None
        began = time.perf_counter()
        iterator = iter(dataset)
        for _ in iterator:
            pass
        epochs.append(1e6 * (time.perf_counter() - began))
        del iterator
    return median(epochs)


def _batch_us(dataset: Any, seconds: float, stop: Callable[[], bool]) -> tuple[float, float] | None:
    """The median time of a batch over a few blocks, and the median CPU time of the process for it."""
    until = time.perf_counter() + seconds
    iterator = iter(dataset)
    next(iterator)
    blocks: list[tuple[float, float]] = []
    length = max(0.01, until - time.perf_counter()) / _BLOCKS
    for _ in range(_BLOCKS):
        began, cpu_began, count = time.perf_counter(), time.process_time(), 0
        while (passed := time.perf_counter() - began) < length or not count:
            if stop():
                return None
            next(iterator)
            count += 1
        blocks.append((1e6 * passed / count, 1e6 * (time.process_time() - cpu_began) / count))
    return median(wall for wall, _ in blocks), median(cpu for _, cpu in blocks)
