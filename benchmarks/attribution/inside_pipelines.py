"""Pipelines of which it is known what is inside their stages: what `inside_cases.py` profiles.

``short_ops_N``: a map of N ops that are too short for a trace. Its true cost is what a plain loop takes less without
it; that of its calls, what a map of one op adds. ``python_…``: functions that compute or sleep for a given time, four
of them in turn (1, 5, 20 and 50 ms per batch), or two at once that wait for Python's lock. Their truth is what they
take in a plain loop in the same process. `planted` writes the truth to the file that PIPEPROF_BENCHMARK_TRUTH names,
and returns the pipeline that PIPEPROF_BENCHMARK names.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import plain_loop
import tensorflow as tf

DATASET = tf.data.Dataset
SMALL, LARGE = 4, 64
"""Elements of a batch."""
ROUNDS, ROUND_SECONDS, WARM_SECONDS = 5, 0.4, 0.5
CALLS, CALL_SECONDS = 9, 1.0
"""At least as many calls, and as long, for the truth of Python functions."""
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


def with_short_ops(number: int) -> tuple[Any, Truth]:
    """A map of short ops before a batch, and what it costs."""

    def made(ops: int | None) -> Any:
        numbers = DATASET.range(10**12)
        return (numbers if ops is None else numbers.map(short_ops(ops), name="body")).batch(LARGE)

    loops = plain_loop.in_turn(*map(made, (None, 1, number)), rounds=ROUNDS, seconds=ROUND_SECONDS, warm=WARM_SECONDS)
    without, one, whole = map(statistics.median, loops)
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


def generate_batches(spend: Callable[[float], None], seconds: float) -> Iterator[np.ndarray[Any, Any]]:
    """A generator that takes its time for each row, and gives a batch of them."""
    while True:
        for _ in range(SMALL):
            spend(seconds)
        yield np.zeros((SMALL, 1000), np.float32)


def of_batches(spend: Callable[[float], None], ms: float, name: str) -> Any:
    """A source of batches that takes that long for each."""
    made = partial(generate_batches, spend, ms / SMALL / 1e3)
    return DATASET.from_generator(made, output_signature=tf.TensorSpec([SMALL, 1000], tf.float32), name=name)


def mapped(call: Callable[..., Any], spend: Callable[[float], None], ms: float, name: str, source: Any = None) -> Any:
    """A map of a function that takes that long for a small batch."""
    function = partial(give, spend, ms / SMALL / 1e3)

    def work(element: Any) -> Any:
        found = call(function, [element], tf.int64)
        found.set_shape([])
        return found

    return (DATASET.range(10**12) if source is None else source).map(work, name=name)


def own_times(spend: Callable[[float], None], lengths: dict[str, float]) -> Truth:
    """What functions take for a small batch in a plain loop: CPU time where they compute, else by the clock.

    A sleep is longer than what it is asked for, and how much depends on the one before: all lengths take turns.
    """
    clock = time.thread_time if spend is compute else time.perf_counter
    found: dict[str, list[float]] = {name: [] for name in lengths}
    until, rounds = time.perf_counter() + CALL_SECONDS, 0
    with plain_loop.unobserved():
        while rounds < CALLS or time.perf_counter() < until:
            rounds += 1
            for name, ms in lengths.items():
                began = clock()
                give(spend, ms / SMALL / 1e3, None)
                found[name].append((clock() - began) * 1e3)
    return {name: {"own_ms": SMALL * statistics.mean(seen)} for name, seen in found.items()}


def in_turn(make: Callable[..., Any], spend: Callable[[float], None], size: int | None = SMALL) -> tuple[Any, Truth]:
    """One pipeline of all lengths; a zip asks one after the other."""
    names = {f"of_{ms}_ms": float(ms) for ms in EACH_MS}
    dataset = DATASET.zip(tuple(make(spend, ms, name) for name, ms in names.items()))
    return dataset.batch(size) if size else dataset, own_times(spend, names)


def at_once() -> tuple[Any, Truth]:
    """A generator, and a function that runs on another thread meanwhile."""
    source = from_generator(compute, CONTENDED_MS["generator"], "generator").prefetch(8)
    dataset = mapped(tf.numpy_function, compute, CONTENDED_MS["parse"], "parse", source)
    return dataset.batch(SMALL).prefetch(2), own_times(compute, CONTENDED_MS)


PIPELINES: dict[str, Callable[[], tuple[Any, Truth]]] = {
    "short_ops_5": partial(with_short_ops, 5),
    "short_ops_50": partial(with_short_ops, 50),
    "short_ops_500": partial(with_short_ops, 500),
    "python_generator_computes": partial(in_turn, from_generator, compute),
    "python_generator_sleeps": partial(in_turn, from_generator, time.sleep),
    "python_generator_of_batches": partial(in_turn, of_batches, compute, None),
    "python_numpy_function_computes": partial(in_turn, partial(mapped, tf.numpy_function), compute),
    "python_numpy_function_sleeps": partial(in_turn, partial(mapped, tf.numpy_function), time.sleep),
    "python_py_function_computes": partial(in_turn, partial(mapped, tf.py_function), compute),
    "python_py_function_sleeps": partial(in_turn, partial(mapped, tf.py_function), time.sleep),
    "python_at_once": at_once,
}


def planted() -> Any:
    """The pipeline that the environment names; its truth is written on the way."""
    dataset, truth = PIPELINES[os.environ["PIPEPROF_BENCHMARK"]]()
    plain_loop.write_truth(truth)
    return dataset
