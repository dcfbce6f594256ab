"""The truth of benchmarks/gaps on this machine: the plainest loop that feeds a device the planted pipeline.

Usage: ``BENCHMARK_CASE=<the case as JSON> python benchmarks/gaps/plain.py STEPS STEP_MS``. No code of pipeprof runs
here. The device is a rule: a step begins when its batch has come and the step before has ended, ``start = max(now,
free)``, and ends a fixed time later. The host asks for the next batch once all steps but those in flight have ended;
until then it sleeps.

Per step, in milliseconds: `gap`, the device idle before it; `wait`, that part of the gap in which the loop was inside
`next()`, less what `next()` takes of batches that lie ready. That floor is measured here as well, on a constant dataset
under the same step: within its 95th percentile a wait is none, and its median is taken off a longer one.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import tensorflow as tf

from pipelines import PLAN, planted

FLOOR_STEPS = 100
WARMUP_SECONDS = 2.0


@dataclass(frozen=True)
class Step:
    """One step's clock readings in seconds: `next()` called and returned, the device begun and ended."""

    asked: float
    got: float
    start: float
    end: float


def fed(dataset: Iterable[object], count: int, seconds: float, in_flight: int) -> list[Step]:
    """The clock readings of `count` steps of `seconds` each."""
    taken: list[Step] = []
    ahead: deque[float] = deque()
    batches = iter(dataset)
    free = time.perf_counter()
    while len(taken) < count:
        if len(ahead) > in_flight:
            ended = ahead.popleft()
            while (left := ended - time.perf_counter()) > 0:
                time.sleep(left)
        asked = time.perf_counter()
        next(batches)
        got = time.perf_counter()
        start = max(got, free)
        free = start + seconds
        ahead.append(free)
        taken.append(Step(asked, got, start, free))
    return taken


def main() -> int:
    """Print the readings of the case as JSON."""
    count, seconds = int(sys.argv[1]), float(sys.argv[2]) / 1e3
    in_flight = 0 if PLAN["dispatch"] == "sync" else int(PLAN["dispatch"])
    constant = tf.data.Dataset.from_tensors(tf.constant(0, tf.int64)).repeat()
    ready = [one.got - one.asked for one in fed(constant, FLOOR_STEPS, seconds, in_flight)]
    median, high = statistics.median(ready), statistics.quantiles(ready, n=20)[-1]

    warmup = round(WARMUP_SECONDS / seconds)
    steps = fed(planted(), warmup + 1 + count, seconds, in_flight)[warmup:]
    gaps, waits = [], []
    for before, step in pairwise(steps):
        gaps.append(step.start - before.end)
        blocked = max(0.0, min(step.got, step.start) - max(step.asked, before.end))
        waits.append(blocked - median if blocked > high else 0.0)
    taken = steps[-1].start - steps[0].start
    found = {
        "seconds": taken,
        "floor_ms": [1e3 * median, 1e3 * high],
        "wait_share": sum(waits) / taken,
        "idle_share": sum(gaps) / taken,
        "wait_ms": [round(1e3 * one, 3) for one in waits],
        "gap_ms": [round(1e3 * one, 3) for one in gaps],
        "gap_start_s": [round(one.end - steps[0].start, 5) for one in steps[:-1]],
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
