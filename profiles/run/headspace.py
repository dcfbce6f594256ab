"""What an infinitely fast pipeline would be worth: batches that lie ready, through the same step.

A few batches of the pipeline are kept and handed out again and again by a dataset of their own, so that the loop and
the step stay what they were and only the work of the pipeline is gone. With ``step: none`` the interval of that replay
is the floor of the loop itself.
"""

from __future__ import annotations

import time
from functools import reduce
from typing import TYPE_CHECKING, Any

from pipeprof.profiles.run.loop import Feed, Step, drain, follow
from pipeprof.profiles.run.sizes import bytes_of
from pipeprof.profiles.run.steps import Floor, Reading, StepStatistics

if TYPE_CHECKING:
    from collections.abc import Callable

BATCHES = 4
MOST_BYTES = 256_000_000
SECONDS = 2.0
AT_LEAST = 10
PATIENCE_SECONDS = 4.0
_CHECK_NS = 50_000_000


class _Replay:
    """A window of the step loop that lasts two seconds and at least ten steps, but no longer than four seconds."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.statistics = StepStatistics(Floor())
        self._stop = stop
        self._began = time.perf_counter_ns()
        self.check_at = self._began + _CHECK_NS

    def most(self) -> int | None:
        return None

    def drained(self, base: int, times: list[int], _batch: object) -> bool:
        self.statistics.fold_drain(base, times)
        return self._over()

    def followed(self, readings: list[Reading], _restarts: list[int], _batch: object) -> bool:
        self.statistics.fold_device(readings)
        return self._over()

    def _over(self) -> bool:
        now = time.perf_counter_ns()
        self.check_at = now + _CHECK_NS
        elapsed = (now - self._began) / 1e9
        enough = elapsed >= SECONDS and self.statistics.count >= AT_LEAST
        return enough or elapsed >= PATIENCE_SECONDS or self._stop()


def replay(feed: Feed, step: Step | None, stop: Callable[[], bool]) -> dict[str, Any] | None:
    """Measure the mean interval of steps on batches that lie ready.

    Args:
        feed: The pipeline's feed; a few batches are taken from it.
        step: The step; `None` for none.
        stop: Whether the user wants an end.

    Returns:
        Mean interval in milliseconds, number of steps and of batches kept, CPU time of the loop's own thread per step;
        `None` if there was no time for a step.
    """
    import tensorflow as tf

    kept = [feed.next()]
    while len(kept) < BATCHES and bytes_of(kept[0]) * (len(kept) + 1) <= MOST_BYTES:
        kept.append(feed.next())
    datasets = [tf.data.Dataset.from_tensors(batch) for batch in kept]
    try:
        dataset = reduce(lambda one, other: one.concatenate(other), datasets)
    except (TypeError, ValueError):
        # Batches of different rank do not concatenate; one of them will do.
        dataset, kept = datasets[0], kept[:1]
    ready = Feed(dataset.repeat())
    for _ in kept:
        ready.next()
    window = _Replay(stop)
    cpu_ns = time.thread_time_ns()
    if step is None:
        drain(ready, window)
    else:
        follow(ready, step, window)
    cpu_ns = time.thread_time_ns() - cpu_ns
    statistics = window.statistics
    if not statistics.count:
        return None
    return {
        "replayed_ms": statistics.intervals.total_ns / statistics.count / 1e6,
        "steps": statistics.count,
        "batches": len(kept),
        "loop_cpu_ms": cpu_ns / statistics.count / 1e6,
    }
