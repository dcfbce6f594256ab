"""What an element costs on this machine, whatever it is: a few tiny pipelines, a second and a half in all."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from pipeprof.profiles.protocol.costs import MeasuredCosts
from pipeprof.profiles.worker.clocks import time

SECONDS = 1.5
"""Of measuring, all pipelines together, the making of their iterators included."""
_BLOCKS = 3
_ROWS = 1000


def measure_costs(stop: Callable[[], bool]) -> MeasuredCosts | None:
    """Measure the fixed costs of elements; ``None`` where it had to stop before it was done.

    Args:
        stop: Whether to end early.
    """
    import tensorflow as tf

    numbers = tf.data.Dataset.range(1 << 60)
    cached = tf.data.Dataset.range(_ROWS).cache().repeat()
    called = numbers.map(lambda number: number + 1, num_parallel_calls=None)
    pipelines = {
        "row": numbers.batch(_ROWS),
        "call": called.batch(_ROWS),
        "hand_over": numbers.prefetch(8).batch(_ROWS),
        "cached": cached.batch(_ROWS),
    }
    found: dict[str, float] = {}
    for name, dataset in pipelines.items():
        us = _batch_us(_as_written(dataset), SECONDS / len(pipelines), stop)
        if us is None:
            return None
        found[name] = us
    each = {name: us / _ROWS for name, us in found.items()}
    row = each["row"]
    return MeasuredCosts(
        row_us=row,
        call_us=max(0.0, each["call"] - row),
        hand_over_us=max(0.0, each["hand_over"] - row),
        # Both count: a number that is made, and one that is kept.
        cached_us=max(0.0, each["cached"] - row / 2),
    )


def _as_written(dataset: Any) -> Any:
    """The dataset without TensorFlow's rewrites, which would make one of several stages."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(options)


def _batch_us(dataset: Any, seconds: float, stop: Callable[[], bool]) -> float | None:
    """The median time of a batch over a few blocks."""
    until = time.perf_counter() + seconds
    iterator = iter(dataset)
    next(iterator)
    blocks: list[float] = []
    length = max(0.01, until - time.perf_counter()) / _BLOCKS
    for _ in range(_BLOCKS):
        began, count = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < length or not count:
            if stop():
                return None
            next(iterator)
            count += 1
        blocks.append(1e6 * passed / max(1, count))
    return median(blocks)
