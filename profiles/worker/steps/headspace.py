"""Headroom measurement: preloaded batches through the same step, as from an infinitely fast pipeline.

A dataset of its own repeats a few of the pipeline's batches, so that loop and step are unchanged and only the
pipeline's work is gone. With ``step: none`` the interval of that replay is the floor of the loop itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.kind import BatchConsumer
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import Replayed, Warmed, Warned
from pipeprof.profiles.worker.steps.batch_size import bytes_of
from pipeprof.profiles.worker.steps.durations import Durations
from pipeprof.profiles.worker.steps.loop import Feed, HandedOver, NoSizes, take_steps
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
MOST_FILE_BYTES = 8_000_000_000
READ_SECONDS = 20.0
SETTLE_SECONDS = 0.5
NOT_READ = (
    "--cold: fetching is not separated from preparing, because the source files could not be read into half of the "
    f"free memory within {READ_SECONDS:g} s."
)
_CHECK_NS = 50_000_000
_PIECE = 1 << 20


class _Replay(HandedOver):
    """A window of the step loop: two seconds, one with a thousand steps; ten steps at least, four seconds at most."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.statistics = StepStatistics(Floor())
        self.sizes = NoSizes()
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


def with_files_in_memory(
    feed: Feed, step: BatchConsumer | None, stop: Callable[[], bool], files: Sequence[str], room: int | None
) -> Warmed | Warned:
    """Read all source files into the page cache, and measure steps on the same iterator again.

    Args:
        feed: The pipeline's feed, as it was measured with the files evicted.
        room: Bytes of memory that may be filled; None for any number.

    Returns:
        The message for the harness: a warning where the files are too large to be read for that, or too slow.
    """
    if not _read(files, room, stop):
        return Warned("cold", NOT_READ)
    began = time.perf_counter()
    while time.perf_counter() - began < SETTLE_SECONDS and not stop():
        # Elements in the buffers were still read from the disk.
        feed.next()
    before = procfs.io_read_bytes("self")
    statistics = _steps(feed, step, stop)
    after = procfs.io_read_bytes("self")
    if not statistics.count:
        return Warned("cold", NOT_READ)
    return Warmed(
        warm_ms=_mean_ms(statistics),
        steps=statistics.count,
        disk_bytes=after - before if before is not None and after is not None else None,
    )


def _read(files: Sequence[str], room: int | None, stop: Callable[[], bool]) -> bool:
    """Read files once; False where that takes too much memory or time."""
    began, left = time.perf_counter(), min(room // 2, MOST_FILE_BYTES) if room is not None else MOST_FILE_BYTES
    for file in files:
        try:
            with Path(file).open("rb", buffering=0) as opened:
                while piece := len(opened.read(_PIECE)):
                    left -= piece
                    if left < 0 or stop() or time.perf_counter() - began > READ_SECONDS:
                        return False
        except OSError:
            return False
    return bool(files)


def _steps(feed: Feed, step: BatchConsumer | None, stop: Callable[[], bool]) -> StepStatistics:
    window = _Replay(stop)
    take_steps(feed, step, window)
    return window.statistics


def _mean_ms(statistics: StepStatistics) -> float:
    return statistics.intervals.total_ns / statistics.count / 1e6
