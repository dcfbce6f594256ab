"""The truth of a pipeline: what plain loops over it take, without the hook with which pipeprof sees it being made."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def unobserved() -> Iterator[None]:
    """Switch the hook off: it makes Python slower."""
    hook = sys.getprofile()
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(hook)


IDLE_SECONDS, IDLE_CPU_SECONDS = 0.05, 0.002
"""A process that takes less CPU time than this in a look has filled its buffers."""
MOST_LOOKS = 100


class Loop:
    """A plain loop over a dataset without an end, in rounds, after seconds in which TensorFlow begins to tune calls.

    A round begins and ends with full buffers. What a prefetch gathers after its last batch counts, as what it begins
    with was counted before; else each loop would live off what it gathered in the rounds of the others, at their cost.
    """

    def __init__(self, dataset: Any, warm: float) -> None:
        self._batches = iter(dataset)
        self.rounds: list[float] = []
        next(self._batches)
        self.turn(warm)
        self.rounds.clear()

    def turn(self, seconds: float) -> None:
        """Note the CPU milliseconds of the process for a batch in another round."""
        taken, until, began = 0, time.perf_counter() + seconds, time.process_time()
        while time.perf_counter() < until:
            next(self._batches)
            taken += 1
        fill_buffers()
        self.rounds.append((time.process_time() - began) * 1e3 / taken)


def fill_buffers() -> None:
    """Wait until nothing in this process computes any more."""
    for _ in range(MOST_LOOKS):
        before = time.process_time()
        time.sleep(IDLE_SECONDS)
        if time.process_time() - before < IDLE_CPU_SECONDS:
            return


def in_turn(*datasets: Any, rounds: int, seconds: float, warm: float) -> list[list[float]]:
    """CPU milliseconds for a batch of each dataset without an end, of all rounds of so many seconds.

    The loops take turns: a machine that gets slower slows down all of them.
    """
    with unobserved():
        loops = [Loop(dataset, warm) for dataset in datasets]
        for _ in range(rounds):
            for loop in loops:
                loop.turn(seconds)
    return [loop.rounds for loop in loops]


def write_truth(truth: Any) -> None:
    """Write it where BENCHMARK_TRUTH says, whole whenever the process ends."""
    path = Path(os.environ["BENCHMARK_TRUTH"])
    part = path.with_suffix(".part")
    part.write_text(json.dumps(truth), encoding="utf-8")
    part.replace(path)
