"""Pipelines of which it is known what is inside their stages: what `inside_cases.py` profiles.

``short_ops_N``: a map of N ops that are too short for a trace. Its true cost is what a plain loop takes less without
it; that of its calls, what a map of one op adds. ``python_…``: functions that compute or sleep for a given time, four
of them in turn (1, 5, 20 and 50 ms per batch), or two at once that wait for Python's lock. `planted` writes the truth
to the file that PIPEPROF_BENCHMARK_TRUTH names, and returns the pipeline that PIPEPROF_BENCHMARK names.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

DATASET = tf.data.Dataset
SMALL, LARGE = 4, 64
"""Elements of a batch."""
ROUNDS, ROUND_SECONDS = 3, 0.6
EACH_MS = (1, 5, 20, 50)
CONTENDED_MS = {"generator": 5.3, "parse": 2.06}
Truth = dict[str, dict[str, float]]


def short_ops(number: int) -> Callable[[Any], Any]:
    """As many ops, each of a fraction of a microsecond, that cannot be folded into one."""

    def work(element: Any) -> Any:
        for index in range(number):
            element = element * 3 if index % 2 else element + 1
        return element

    return work


def loop_ms(dataset: Any) -> float:
    """CPU milliseconds of the process for a batch in a plain loop."""
    found = []
    for _ in range(ROUNDS):
        batches = iter(dataset)
        for _ in range(30):
            next(batches)
        taken, until, began = 0, time.perf_counter() + ROUND_SECONDS, time.process_time()
        while time.perf_counter() < until:
            next(batches)
            taken += 1
        found.append((time.process_time() - began) * 1e3 / taken)
    return statistics.median(found)


def with_short_ops(number: int) -> tuple[Any, Truth]:
    """A map of short ops before a batch, and what it costs."""

    def made(ops: int | None) -> Any:
        numbers = DATASET.range(10**12)
        return (numbers if ops is None else numbers.map(short_ops(ops), name="body")).batch(LARGE)

    hook = sys.getprofile()
    sys.setprofile(None)
    try:
        without, one, whole = (loop_ms(made(ops)) for ops in (None, 1, number))
    finally:
        sys.setprofile(hook)
    return made(number), {"body": {"stage_ms": whole - without, "calling_ms": one - without, "calls": LARGE}}


def compute(seconds: float) -> None:
    """Use a core, holding Python's lock."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def generate(spend: Callable[[float], None], seconds: float) -> Iterator[int]:
    """A generator that takes its time for each element."""
    number = 0
    while True:
        spend(seconds)
        number += 1
        yield number


def give(spend: Callable[[float], None], seconds: float, element: Any) -> Any:
    """A function that takes its time for an element."""
    spend(seconds)
    return element


def from_generator(spend: Callable[[float], None], ms: float, name: str) -> Any:
    """A source that takes that long for a small batch."""
    made = partial(generate, spend, ms / SMALL / 1e3)
    return DATASET.from_generator(made, output_signature=tf.TensorSpec([], tf.int64), name=name)


def mapped(call: Callable[..., Any], spend: Callable[[float], None], ms: float, name: str, source: Any = None) -> Any:
    """A map of a function that takes that long for a small batch."""
    function = partial(give, spend, ms / SMALL / 1e3)

    def work(element: Any) -> Any:
        found = call(function, [element], tf.int64)
        found.set_shape([])
        return found

    return (DATASET.range(10**12) if source is None else source).map(work, name=name)


def in_turn(make: Callable[..., Any]) -> tuple[Any, Truth]:
    """One pipeline of all lengths; a zip asks one after the other."""
    names = {f"of_{ms}_ms": ms for ms in EACH_MS}
    sides = tuple(make(ms=ms, name=name) for name, ms in names.items())
    return DATASET.zip(sides).batch(SMALL), {name: {"own_ms": ms} for name, ms in names.items()}


def at_once() -> tuple[Any, Truth]:
    """A generator, and a function that runs on another thread meanwhile."""
    source = from_generator(compute, CONTENDED_MS["generator"], "generator").prefetch(8)
    dataset = mapped(tf.numpy_function, compute, CONTENDED_MS["parse"], "parse", source)
    return dataset.batch(SMALL).prefetch(2), {name: {"own_ms": ms} for name, ms in CONTENDED_MS.items()}


PIPELINES: dict[str, Callable[[], tuple[Any, Truth]]] = {
    "short_ops_5": partial(with_short_ops, 5),
    "short_ops_50": partial(with_short_ops, 50),
    "short_ops_500": partial(with_short_ops, 500),
    "python_generator_computes": partial(in_turn, partial(from_generator, compute)),
    "python_generator_sleeps": partial(in_turn, partial(from_generator, time.sleep)),
    "python_numpy_function_computes": partial(in_turn, partial(mapped, tf.numpy_function, compute)),
    "python_numpy_function_sleeps": partial(in_turn, partial(mapped, tf.numpy_function, time.sleep)),
    "python_py_function_computes": partial(in_turn, partial(mapped, tf.py_function, compute)),
    "python_py_function_sleeps": partial(in_turn, partial(mapped, tf.py_function, time.sleep)),
    "python_at_once": at_once,
}


def planted() -> Any:
    """The pipeline that the environment names; its truth is written on the way."""
    dataset, truth = PIPELINES[os.environ["PIPEPROF_BENCHMARK"]]()
    Path(os.environ["PIPEPROF_BENCHMARK_TRUTH"]).write_text(json.dumps(truth), encoding="utf-8")
    return dataset
