"""A plain loop over one pipeline: ``python plain.py FUNCTION [--free NAME] [--seconds S]``; prints JSON.

``--free NAME`` gives what a user's function would cost if it cost nothing: where ``map``, ``flat_map`` or
``from_generator`` receives the function of that name, one of its first 64 results is repeated in its place: the one of
middle size, so that a filter lets it pass as it does most; of a ``flat_map`` as often as a call gives one on average.
The input of the stage is read as before. ``--one-core`` gives what a second core is worth. pipeprof
takes no part in it.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

if "--one-core" in sys.argv:
    # TensorFlow counts the cores when it runs its first op.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
import tensorflow as tf

WARMUP_SECONDS = 1.0
FIRST = 64
"""Results of a function from which one is taken."""


def middle_of(dataset: tf.data.Dataset) -> Any:
    """The element of middle size among the first ones."""

    def size(element: Any) -> int:
        return sum(int(tf.size(part)) for part in tf.nest.flatten(element, expand_composites=True))

    kept = sorted(dataset.take(FIRST), key=size)
    return kept[len(kept) // 2]


def make_free(name: str) -> None:
    """Replace the function of that name by one of its results wherever a dataset is given it."""
    dataset_map, flat_map, generator = tf.data.Dataset.map, tf.data.Dataset.flat_map, tf.data.Dataset.from_generator

    def mapped(self: tf.data.Dataset, map_func: Callable[..., Any], *arguments: Any, **options: Any) -> tf.data.Dataset:
        if getattr(map_func, "__name__", "") == name:
            result = middle_of(dataset_map(self, map_func))
            return dataset_map(self, lambda *_: result, *arguments, **options)
        return dataset_map(self, map_func, *arguments, **options)

    def flattened(self: tf.data.Dataset, map_func: Callable[..., Any], **options: Any) -> tf.data.Dataset:
        if getattr(map_func, "__name__", "") == name:
            made = sum(1 for _ in flat_map(self.take(FIRST), map_func))
            result = tf.data.Dataset.from_tensors(middle_of(flat_map(self, map_func))).repeat(round(made / FIRST) or 1)
            return flat_map(self, lambda *_: result, **options)
        return flat_map(self, map_func, **options)

    def generated(function: Callable[[], Iterator[Any]], *arguments: Any, **options: Any) -> tf.data.Dataset:
        if getattr(function, "__name__", "") == name:
            first = next(iter(generator(function, *arguments, **options)))
            return tf.data.Dataset.from_tensors(first).repeat()
        return generator(function, *arguments, **options)

    tf.data.Dataset.map, tf.data.Dataset.flat_map = mapped, flattened
    tf.data.Dataset.from_generator = staticmethod(generated)


def rows_of(batch: Any) -> int:
    """Rows of a batch: the first dimension of its first component."""
    return int(tf.nest.flatten(batch)[0].shape[0])


def endless(dataset: tf.data.Dataset) -> Iterator[Any]:
    """Batches of epoch after epoch."""
    return itertools.chain.from_iterable(iter(dataset) for _ in itertools.count())


def measure(dataset: tf.data.Dataset, seconds: float, step: float = 0.0) -> dict[str, float]:
    """Rates, cores used and rows per batch over so many seconds after a warm-up; a step sleeps so many seconds."""
    batches = endless(dataset)
    until = time.perf_counter() + WARMUP_SECONDS
    while time.perf_counter() < until:
        next(batches)
    count, rows = 0, 0
    began, cpu = time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) < began + seconds:
        rows += rows_of(next(batches))
        count += 1
        if step:
            time.sleep(step)
    now, used = time.perf_counter(), time.process_time() - cpu
    return {
        "batches_per_second": count / (now - began),
        "elements_per_second": rows / (now - began),
        "elements_per_batch": rows / count,
        "cores": used / (now - began),
    }


def with_options(dataset: tf.data.Dataset, texts: list[str]) -> tf.data.Dataset:
    """The same with options, each given as ``threading.private_threadpool_size=16``."""
    options = tf.data.Options()
    for text in texts:
        name, _, value = text.partition("=")
        group, _, attribute = name.rpartition(".")
        setattr(getattr(options, group) if group else options, attribute, int(value))
    return dataset.with_options(options)


def compare_epochs(dataset: tf.data.Dataset) -> dict[str, bool]:
    """Whether the second and the third epoch give the same batches in the same order."""
    list(dataset)
    second, third = ([tf.nest.flatten(batch)[0].numpy() for batch in dataset] for _ in range(2))
    return {"epochs_equal": all(np.array_equal(one, other) for one, other in zip(second, third, strict=True))}


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("function", help="MODULE:NAME")
    parser.add_argument("--free", help="name of a user's function that costs nothing")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--step", type=float, default=0.0, metavar="MS", help="sleep after each batch")
    parser.add_argument("--epochs", action="store_true", help="compare two epochs instead")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=NUMBER", help="set in tf.data.Options")
    parser.add_argument("--one-core", action="store_true", help="run on one of the cores alone")
    options = parser.parse_args()
    module, name = options.function.split(":")
    tf.get_logger().setLevel("ERROR")
    build = getattr(importlib.import_module(module), name)
    if options.free:
        make_free(options.free)
    dataset = with_options(build(), options.option)
    result = compare_epochs(dataset) if options.epochs else measure(dataset, options.seconds, options.step / 1e3)
    print(json.dumps(result), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
