"""Pipelines whose stages have costs that are known: what `time_cases.py` profiles.

Every unit of work is a chain of TensorFlow ops of which one costs nearly everything, a Python function that counts, or
a sleep. An op costs the same CPU time when two threads run it at once; ``tf.strings.regex_replace`` did not, whose
threads share what they compiled: 3.4 ms alone, 9.9 ms with two.
`planted` measures each unit alone in the very process that is profiled, before the pipeline is made, writes the result
to the file that BENCHMARK_TRUTH names, and returns the pipeline that BENCHMARK_CASE names.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import plain_loop
import tensorflow as tf

ROUNDS = 7
ROUND_SECONDS = 0.04
BATCH = 4
EPOCH = 200
"""Elements of an epoch, where there is one."""
DATASET = tf.data.Dataset


def count(steps: int) -> int:
    """Compute in Python, holding its lock."""
    total = 0
    for step in range(steps):
        total += step & 3
    return total


def sort_op(size: int) -> Callable[[Any], Any]:
    """One large TopKV2."""
    values = np.random.default_rng(size).random(size, dtype=np.float32)

    def work(element: Any) -> Any:
        found = tf.sort(tf.constant(values) + tf.cast(element, tf.float32))
        return element + tf.cast(found[0] < -1.0, tf.int64)

    return work


def transcode_op(size: int) -> Callable[[Any], Any]:
    """One large UnicodeTranscode."""
    text = "aäb€22c333" * size

    def work(element: Any) -> Any:
        joined = tf.strings.join([text, tf.strings.as_string(element)])
        found = tf.strings.unicode_transcode(joined, "UTF-8", "UTF-16-BE")
        return element + tf.cast(tf.strings.length(found) < 0, tf.int64)

    return work


def png_op(size: int) -> Callable[[Any], Any]:
    """One large EncodePng."""
    pixels = np.random.default_rng(size).integers(0, 255, (size, size, 3), dtype=np.uint8)

    def work(element: Any) -> Any:
        found = tf.io.encode_png(tf.constant(pixels) + tf.cast(element % 2, tf.uint8), compression=3)
        return element + tf.cast(tf.strings.length(found) < 0, tf.int64)

    return work


def count_in_numpy_function(element: Any) -> Any:
    """Compute for an element."""
    count(80_000)
    return element


def count_in_py_function(element: Any) -> Any:
    """Compute for an element, longer."""
    count(100_000)
    return element


def wait_in_numpy_function(element: Any) -> Any:
    """Wait for an element."""
    time.sleep(0.004)
    return element


def python_op(call: Callable[..., Any], function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One PyFunc or EagerPyFunc, by TensorFlow's function that makes it."""

    def work(element: Any) -> Any:
        found = call(function, [element], tf.int64)
        found.set_shape([])
        return found

    return work


def counted() -> Iterator[int]:
    """A generator that computes for each element."""
    for number in itertools.count(1):
        count(90_000)
        yield number


def some_counted() -> Iterator[int]:
    """A generator that computes for each element, and ends."""
    for number in range(EPOCH):
        count(90_000)
        yield number


class Units:
    """Measures units of work alone, and notes which stage does how many of them for a batch."""

    def __init__(self) -> None:
        self._alone: dict[str, Callable[[], Any]] = {}
        self._stages: dict[str, dict[str, Any]] = {}
        self._waits: set[str] = set()

    def stage(self, name: str, work: Callable[[Any], Any], op: str, calls: float = BATCH) -> Callable[[Any], Any]:
        """The work of the stage `name`, whose costliest op is `op`."""
        element = tf.constant(3, tf.int64)
        function = tf.function(work)
        function(element)
        self._alone[name] = lambda: function(element)
        self._stages[name] = {"calls": calls, "op": op}
        return work

    def python(self, name: str, function: Callable[[], Any], op: str, called: str, *, waits: bool = False) -> None:
        """A stage that runs a Python function, called `called`; one that waits costs the time by the clock."""
        self._alone[name] = function
        self._stages[name] = {"calls": BATCH, "op": op, "python": called}
        if waits:
            self._waits.add(name)

    def write(self) -> None:
        """Measure all units in turn, several times, and write the medians in milliseconds."""
        with plain_loop.unobserved():
            self._measure()
        plain_loop.write_truth(self._stages)

    def _measure(self) -> None:
        empty = tf.function(lambda element: element + 1)
        element = tf.constant(3, tf.int64)
        empty(element)
        floor = statistics.median(_cost(lambda: empty(element), time.process_time) for _ in range(ROUNDS))
        costs: dict[str, list[float]] = {name: [] for name in self._alone}
        for _ in range(ROUNDS):
            for name, unit in self._alone.items():
                costs[name].append(_cost(unit, time.perf_counter if name in self._waits else time.process_time))
        for name, stage in self._stages.items():
            stage["unit_ms"] = statistics.median(costs[name]) - (0.0 if "python" in stage else floor)
            stage["rounds_ms"] = costs[name]


def _cost(unit: Callable[[], Any], clock: Callable[[], float]) -> float:
    """Milliseconds of one call."""
    calls, until, began = 0, time.perf_counter() + ROUND_SECONDS, clock()
    while time.perf_counter() < until or calls < 3:
        unit()
        calls += 1
    return (clock() - began) * 1e3 / calls


def numbers() -> Any:
    """The source of all pipelines that have no costly one; shuffled numbers would only add what is not planted."""
    return DATASET.range(10**12)


def chain(units: Units) -> Any:
    """Three maps one after the other, each with another op."""
    return (
        numbers()
        .map(units.stage("first", sort_op(20_000), "TopKV2"), name="first")
        .map(units.stage("second", transcode_op(12_000), "UnicodeTranscode"), name="second")
        .map(units.stage("third", png_op(200), "EncodePng"), name="third")
        .batch(BATCH)
    )


def two_ops_in_one(units: Units) -> Any:
    """A map with a dear and a cheaper op, beside one with the cheaper op alone."""
    transcode, sort = transcode_op(24_000), sort_op(15_000)
    return (
        numbers()
        .map(units.stage("both", lambda element: sort(transcode(element)), "UnicodeTranscode"), name="both")
        .map(units.stage("one", sort_op(25_000), "TopKV2"), name="one")
        .batch(BATCH)
    )


def same_names(units: Units) -> Any:
    """The same ops by the same names in two maps."""
    return (
        numbers()
        .map(units.stage("small", sort_op(12_000), "TopKV2"), name="small")
        .map(units.stage("large", sort_op(45_000), "TopKV2"), name="large")
        .batch(BATCH)
    )


def python_and_op(units: Units) -> Any:
    """A numpy_function that computes, and an op."""
    units.python("python", lambda: count(80_000), "PyFunc", "count")
    return (
        numbers()
        .map(python_op(tf.numpy_function, count_in_numpy_function), name="python")
        .map(units.stage("op", sort_op(15_000), "TopKV2"), name="op")
        .batch(BATCH)
    )


def eager_python_and_op(units: Units) -> Any:
    """A py_function that computes, and an op that costs more."""
    units.python("python", lambda: count(100_000), "EagerPyFunc", "count")
    return (
        numbers()
        .map(units.stage("op", transcode_op(20_000), "UnicodeTranscode"), name="op")
        .map(python_op(tf.py_function, count_in_py_function), name="python")
        .batch(BATCH)
    )


def generator_and_op(units: Units) -> Any:
    """A generator that computes, and an op."""
    units.python("generator", lambda: count(90_000), "PyFunc", "count")
    source = DATASET.from_generator(counted, output_signature=tf.TensorSpec([], tf.int64), name="generator")
    return source.map(units.stage("op", png_op(128), "EncodePng"), name="op").batch(BATCH)


def waiting_and_op(units: Units) -> Any:
    """A map that waits, as for a slow file system, and an op that computes half as long."""
    units.python("waiting", lambda: time.sleep(0.004), "PyFunc", "wait_in_numpy_function", waits=True)
    return (
        numbers()
        .map(python_op(tf.numpy_function, wait_in_numpy_function), name="waiting")
        .map(units.stage("op", sort_op(14_000), "TopKV2"), name="op")
        .batch(BATCH)
    )


def interleaved(units: Units) -> Any:
    """A map inside an interleave, and one behind it."""
    inside = units.stage("inside", transcode_op(15_000), "UnicodeTranscode")

    def some(element: Any) -> Any:
        return DATASET.range(element, element + 50).map(inside, name="inside")

    return (
        numbers()
        .interleave(some, cycle_length=3, name="interleave")
        .map(units.stage("behind", sort_op(20_000), "TopKV2"), name="behind")
        .batch(BATCH)
    )


def flattened(units: Units) -> Any:
    """A map inside a flat_map, and a dearer one behind it."""
    inside = units.stage("inside", png_op(200), "EncodePng")

    def some(element: Any) -> Any:
        return DATASET.range(element, element + 40).map(inside, name="inside")

    return (
        numbers()
        .flat_map(some, name="flat_map")
        .map(units.stage("behind", sort_op(50_000), "TopKV2"), name="behind")
        .batch(BATCH)
    )


def fused(units: Units) -> Any:
    """A map that TensorFlow fuses with its batch, behind one that it does not."""
    return (
        numbers()
        .map(units.stage("before", transcode_op(16_000), "UnicodeTranscode"), name="before")
        .map(units.stage("fused", sort_op(40_000), "TopKV2"), num_parallel_calls=2, name="fused")
        .batch(BATCH, num_parallel_calls=2, name="batch")
    )


def zipped(units: Units) -> Any:
    """A map on either side of a zip, and one behind it."""
    left = numbers().map(units.stage("left", sort_op(30_000), "TopKV2"), name="left")
    right = numbers().map(units.stage("right", transcode_op(15_000), "UnicodeTranscode"), name="right")
    behind = units.stage("behind", png_op(160), "EncodePng")
    return DATASET.zip((left, right)).map(lambda one, other: behind(one + other), name="behind").batch(BATCH)


def per_batch(units: Units) -> Any:
    """Elements of two pipelines in turn, and an op for a whole batch."""
    one = numbers().map(units.stage("one", sort_op(30_000), "TopKV2", BATCH / 2), name="one")
    other = numbers().map(units.stage("other", transcode_op(20_000), "UnicodeTranscode", BATCH / 2), name="other")
    chosen = DATASET.choose_from_datasets([one, other], DATASET.range(2).repeat())
    whole = png_op(320)
    units.stage("whole", whole, "EncodePng", 1)
    return chosen.batch(BATCH).map(lambda batch: batch + (whole(batch[0]) - batch[0]), name="whole")


def refilled(units: Units) -> Any:
    """Two maps below a shuffle that holds the whole dataset, and one behind it, started again and again."""
    return (
        DATASET.range(EPOCH)
        .map(units.stage("first", sort_op(20_000), "TopKV2"), name="first")
        .map(units.stage("second", transcode_op(12_000), "UnicodeTranscode"), name="second")
        .shuffle(EPOCH)
        .map(units.stage("behind", png_op(128), "EncodePng"), name="behind")
        .batch(BATCH)
    )


def refilled_by_generator(units: Units) -> Any:
    """A generator that ends, below a shuffle that holds all of it, and an op behind."""
    units.python("generator", lambda: count(90_000), "PyFunc", "count")
    source = DATASET.from_generator(some_counted, output_signature=tf.TensorSpec([], tf.int64), name="generator")
    op = units.stage("op", png_op(160), "EncodePng")
    return source.shuffle(EPOCH).map(op, name="op").batch(BATCH)


def refilled_cache(units: Units) -> Any:
    """A cache that is never read to its end: what is below it runs in every epoch."""
    return (
        DATASET.range(10 * EPOCH)
        .map(units.stage("below", transcode_op(12_000), "UnicodeTranscode"), name="below")
        .cache()
        .take(EPOCH)
        .shuffle(EPOCH)
        .map(units.stage("behind", sort_op(15_000), "TopKV2"), name="behind")
        .batch(BATCH)
    )


def filled_cache(units: Units) -> Any:
    """A cache that is full: the map below it costs nothing any more, one between it and a shuffle does."""
    return (
        DATASET.range(EPOCH)
        .map(png_op(200), name="below")
        .cache()
        .map(units.stage("between", sort_op(30_000), "TopKV2"), name="between")
        .shuffle(EPOCH)
        .map(units.stage("behind", transcode_op(12_000), "UnicodeTranscode"), name="behind")
        .batch(BATCH)
    )


def planted() -> Any:
    """The pipeline that the environment names; its truth is written on the way."""
    units = Units()
    dataset = globals()[os.environ["BENCHMARK_CASE"]](units)
    units.write()
    return dataset
