"""Pipelines of which it is known what is inside their stages: what `inside_cases.py` profiles.

``short_ops_N``: a map of N ops that are too short for a trace. Its true cost is what a plain loop takes less without
it; that of its calls, what a map of one op adds. ``python_…``: functions that compute or sleep for a given time, four
of them in turn (1, 5, 20 and 50 ms per batch), or two at once that wait for Python's lock. The truth of those that
compute is what they take in a plain loop in the same process; those that sleep note it themselves while the pipeline
runs, as a machine with nothing else to do wakes them later. `planted` writes the truth to the file that
BENCHMARK_TRUTH names, and returns the pipeline that BENCHMARK_CASE names.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
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
SLEEPS_TO_WRITE = 40
LATE_FROM = 3.0
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
    cost = {"stage_ms": whole - without, "calling_ms": one - without, "calls": LARGE, "whole_ms": whole}
    return made(number), {"body": cost}


def compute(seconds: float) -> None:
    """Use a core, holding Python's lock."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class Sleep:
    """Sleeps, and writes again and again how long they were."""

    def __init__(self) -> None:
        self._slept: dict[float, list[float]] = defaultdict(list)
        self._calls = 0

    def __call__(self, seconds: float) -> None:
        """Sleep at least that long."""
        began = time.perf_counter()
        time.sleep(seconds)
        self._slept[seconds].append(time.perf_counter() - began)
        self._calls += 1
        if not self._calls % SLEEPS_TO_WRITE:
            plain_loop.write_truth(self.truth())

    def truth(self) -> Truth:
        """What each length takes for a small batch."""
        return {f"of_{ms}_ms": {"own_ms": SMALL * 1e3 * _usual(self._slept[ms / SMALL / 1e3])} for ms in EACH_MS}


def _usual(slept: list[float]) -> float:
    """The mean without sleeps from which a stolen core came back late."""
    longest = LATE_FROM * statistics.median(slept or [0.0])
    return statistics.mean([one for one in slept if one <= longest] or [0.0])


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


def own_times(lengths: dict[str, float]) -> Truth:
    """What functions that compute take for a small batch in a plain loop."""
    found: dict[str, list[float]] = {name: [] for name in lengths}
    until, rounds = time.perf_counter() + CALL_SECONDS, 0
    with plain_loop.unobserved():
        while rounds < CALLS or time.perf_counter() < until:
            rounds += 1
            for name, ms in lengths.items():
                began = time.thread_time()
                give(compute, ms / SMALL / 1e3, None)
                found[name].append((time.thread_time() - began) * 1e3)
    return {name: {"own_ms": SMALL * statistics.mean(seen)} for name, seen in found.items()}


def in_turn(make: Callable[..., Any], size: int | None = SMALL, *, sleeps: bool = False) -> tuple[Any, Truth]:
    """One pipeline of all lengths; a zip asks one after the other."""
    names = {f"of_{ms}_ms": float(ms) for ms in EACH_MS}
    sleep = Sleep()
    spend = sleep if sleeps else compute
    dataset = DATASET.zip(tuple(make(spend, ms, name) for name, ms in names.items()))
    return dataset.batch(size) if size else dataset, sleep.truth() if sleeps else own_times(names)


def at_once() -> tuple[Any, Truth]:
    """A generator, and a function that runs on another thread meanwhile."""
    source = from_generator(compute, CONTENDED_MS["generator"], "generator").prefetch(8)
    dataset = mapped(tf.numpy_function, compute, CONTENDED_MS["parse"], "parse", source)
    return dataset.batch(SMALL).prefetch(2), own_times(CONTENDED_MS)


PIPELINES: dict[str, Callable[[], tuple[Any, Truth]]] = {
    "short_ops_5": partial(with_short_ops, 5),
    "short_ops_50": partial(with_short_ops, 50),
    "short_ops_500": partial(with_short_ops, 500),
    "python_generator_computes": partial(in_turn, from_generator),
    "python_generator_sleeps": partial(in_turn, from_generator, sleeps=True),
    "python_generator_of_batches": partial(in_turn, of_batches, None),
    "python_numpy_function_computes": partial(in_turn, partial(mapped, tf.numpy_function)),
    "python_numpy_function_sleeps": partial(in_turn, partial(mapped, tf.numpy_function), sleeps=True),
    "python_py_function_computes": partial(in_turn, partial(mapped, tf.py_function)),
    "python_py_function_sleeps": partial(in_turn, partial(mapped, tf.py_function), sleeps=True),
    "python_at_once": at_once,
}


def planted() -> Any:
    """The pipeline that the environment names; its truth is written on the way."""
    dataset, truth = PIPELINES[os.environ["BENCHMARK_CASE"]]()
    plain_loop.write_truth(truth)
    return dataset
