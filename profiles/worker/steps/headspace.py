"""Headroom measurement: preloaded batches through the same step, as from an infinitely fast pipeline.

A dataset of its own repeats a few of the pipeline's batches, so that loop and step are unchanged and only the
pipeline's work is gone. With ``step: none`` the interval of that replay is the floor of the loop itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.consumer import BatchConsumer
from pipeprof.profiles.protocol.messages import Replayed
from pipeprof.profiles.worker.steps.batch_size import bytes_of
from pipeprof.profiles.worker.steps.durations import Durations
from pipeprof.profiles.worker.steps.loop import Feed, HandedOver, take_steps
from pipeprof.profiles.worker.steps.statistics import Floor, StepReading, StepStatistics

FLOOR_STEPS = 30
FLOOR_SECONDS = 0.6
BATCHES = 4
KEEPING_SECONDS = 2.0
"""Time limit for taking more than one of them."""
MOST_BYTES = 256_000_000
SECONDS = 2.0
AT_LEAST = 10
MANY = 1000
"""Steps after which half of the time is enough."""
PATIENCE_SECONDS = 4.0
_CHECK_NS = 50_000_000


class _Replay(HandedOver):
    """A window of the step loop: two seconds, one with a thousand steps; ten steps at least, four seconds at most."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.statistics = StepStatistics(Floor())
        self._stop = stop
        self._began = time.perf_counter_ns()
        self.check_at = self._began + _CHECK_NS

    def most(self) -> int | None:
        return None

    def drained(self, base: int, times: list[int]) -> bool:
        self.statistics.fold_drain(base, times)
        return self._is_over()

    def followed(self, readings: Sequence[StepReading], _restarts: list[int]) -> bool:
        self.statistics.fold_device(readings)
        return self._is_over()

    def _is_over(self) -> bool:
        now = time.perf_counter_ns()
        self.check_at = now + _CHECK_NS
        elapsed = (now - self._began) / 1e9
        count = self.statistics.count
        enough = elapsed >= (SECONDS / 2 if count >= MANY else SECONDS) and count >= AT_LEAST
        return enough or elapsed >= PATIENCE_SECONDS or self._stop()


def measure_floor(step: BatchConsumer | None) -> Floor:
    """Measure the baseline latency of `next()`: a constant dataset under a simulated step; none without a step."""
    import tensorflow as tf

    feed = Feed(tf.data.Dataset.from_tensors(tf.zeros([])).repeat())
    feed.next()
    if step is None:
        return Floor()
    fetches = Durations()
    began = time.perf_counter()
    for n in range(FLOOR_STEPS):
        step.wait()
        asked = time.perf_counter_ns()
        batch = feed.next()
        got = time.perf_counter_ns()
        fetches.add([got - asked])
        step.submit(batch)
        if time.perf_counter() - began > FLOOR_SECONDS and n >= 4:
            break
    return Floor.of(fetches)


def replay(feed: Feed, step: BatchConsumer | None, stop: Callable[[], bool]) -> Replayed | None:
    """Measure the mean interval of steps on preloaded batches.

    Args:
        feed: The pipeline's feed; a few batches are taken from it.

    Returns:
        None if there was no time for a step.
    """
    import tensorflow as tf

    began, kept = time.perf_counter(), [feed.next()]
    while (
        len(kept) < BATCHES
        and bytes_of(kept[0]) * (len(kept) + 1) <= MOST_BYTES
        and time.perf_counter() - began < KEEPING_SECONDS
    ):
        kept.append(feed.next())
    datasets = [tf.data.Dataset.from_tensors(batch) for batch in kept]
    try:
        dataset = reduce(lambda one, other: one.concatenate(other), datasets)
    except (TypeError, ValueError):
        # Batches of different rank do not concatenate; use one of them.
        dataset, kept = datasets[0], kept[:1]
    ready = Feed(dataset.repeat())
    for _ in kept:
        ready.next()
    cpu_ns, all_cpu_ns = time.thread_time_ns(), time.process_time_ns()
    statistics = _steps(ready, step, stop)
    cpu_ns, all_cpu_ns = time.thread_time_ns() - cpu_ns, time.process_time_ns() - all_cpu_ns
    if not statistics.count:
        return None
    return Replayed(
        replayed_ms=_mean_ms(statistics),
        steps=statistics.count,
        batches=len(kept),
        loop_cpu_ms=cpu_ns / statistics.count / 1e6,
        cpu_ms=all_cpu_ns / statistics.count / 1e6,
    )


def _steps(feed: Feed, step: BatchConsumer | None, stop: Callable[[], bool]) -> StepStatistics:
    window = _Replay(stop)
    take_steps(feed, step, window)
    return window.statistics


def _mean_ms(statistics: StepStatistics) -> float:
    return statistics.intervals.total_ns / statistics.count / 1e6
