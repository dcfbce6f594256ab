"""What is measured on other datasets than the pipeline: a step's floor, the headroom, hidden errors; a batch's size.

The headroom comes from preloaded batches through the same step, as from an infinitely fast pipeline: a dataset of its
own repeats a few of the pipeline's batches, so that loop and step are unchanged and only the pipeline's work is gone.
With ``step: none`` the interval of that replay is the floor of the loop itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.consumer import StepContext
from pipeprof.pipelines.steps.simulated import durations, simulated_step
from pipeprof.pipelines.steps.step import RETURNED, start_step
from pipeprof.profiles.protocol.messages import BatchSize, Replayed, Swallowed
from pipeprof.profiles.worker.ended import first_line
from pipeprof.profiles.worker.steps.loop import Feed, follow, take_steps
from pipeprof.profiles.worker.steps.statistics import Floor, StepStatistics
from pipeprof.profiles.worker.steps.window import Looked, PhaseWindow

if TYPE_CHECKING:
    from pipeprof.pipelines.steps.consumer import BatchConsumer
    from pipeprof.profiles.protocol.channel import WorkerEnd
    from pipeprof.profiles.protocol.options import Options
    from pipeprof.profiles.worker.pipeline import Pipeline


FLOOR_STEP_MS = 100.0
"""Longest step of the baseline: a longer sleep does not delay the wake-up any more."""
REAL_STEP_MS = 5.0
"""Of the baseline, where the duration of the step is not known before it runs."""
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
HIDDEN_SECONDS = 1.0
LONGEST_START_SECONDS = 2.0
"""First element from which the pipeline is not started for it."""
ENOUGH_ERRORS = 20
"""Errors after which no more are read: where each element raises one, the iterator would never get on."""
_CHECK_NS = 50_000_000


def measure_floor(step: BatchConsumer | None, channel: WorkerEnd) -> Floor:
    """Measure the baseline latency of `next()`: a constant dataset under a simulated step; none without a step."""
    import tensorflow as tf

    feed = Feed(tf.data.Dataset.from_tensors(tf.zeros([])).repeat())
    feed.next()
    if step is None:
        return Floor()
    statistics = StepStatistics(device=True)
    follow(feed, step, PhaseWindow(None, statistics, feed, channel, steps_limit=FLOOR_STEPS, seconds=FLOOR_SECONDS))
    return Floor.of(statistics.fetches)


class JobStep:
    """The step that takes a job's batches: the one that was asked for, or that came with the dataset.

    Attributes:
        kind: See `start_step`; ``none`` where no device is simulated and nothing computes.
        floor: The baseline of its fetches; an empty one before it was measured.
    """

    def __init__(self, job: Options, pipeline: Pipeline, channel: WorkerEnd) -> None:
        self._job, self._pipeline, self._channel = job, pipeline, channel
        self.kind, self._arguments = job.step.kind, job.step.arguments
        self.floor = Floor()

    @property
    def has_device(self) -> bool:
        """Whether it takes time after a batch has come."""
        return self.kind != "none"

    def use_returned(self) -> None:
        """Take the one that came with the dataset."""
        self.kind, self._arguments = RETURNED, {}
        self.measure_floor()

    def measure_floor(self) -> None:
        """Measure the baseline; not where blocks are compared with blocks: both contain the floor of the loop."""
        if self._job.turns is not None:
            return
        step = None
        if self.has_device:
            times: dict[str, Any] = self._arguments
            step_ms = float(times.get("base_ms", times.get("p50_ms", REAL_STEP_MS)))
            step = simulated_step(durations(min(step_ms, FLOOR_STEP_MS)), self._context())
        self.floor = measure_floor(step, self._channel)

    def start(self) -> BatchConsumer | None:
        """Return what takes the batches; None without a device."""
        return start_step(self.kind, self._arguments, self._context()) if self.has_device else None

    def _context(self) -> StepContext:
        dataset, called = self._pipeline.dataset, self._pipeline.called
        return StepContext(
            element_spec=dataset.element_spec if dataset is not None else None,
            dispatch="sync" if self.kind == RETURNED else self._job.dispatch or "sync",
            seed=self._job.seed or 0,
            returned=called.step if called is not None else None,
            waiting=self._channel.send,
        )


def replay(feed: Feed, step: BatchConsumer | None, channel: WorkerEnd) -> Replayed | None:
    """Measure the mean interval of steps on preloaded batches.

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
    statistics = StepStatistics(device=step is not None)
    began = time.perf_counter()

    def finished(_looked: Looked) -> str | None:
        elapsed, count = time.perf_counter() - began, statistics.count
        enough = count >= AT_LEAST and elapsed >= (SECONDS / 2 if count >= MANY else SECONDS)
        return "enough" if enough or elapsed >= PATIENCE_SECONDS else None

    take_steps(ready, step, PhaseWindow(None, statistics, ready, channel, finished, check_ns=_CHECK_NS))
    cpu_ns, all_cpu_ns = time.thread_time_ns() - cpu_ns, time.process_time_ns() - all_cpu_ns
    if not statistics.count:
        return None
    return Replayed(
        replayed_ms=statistics.intervals.total_ns / statistics.count / 1e6,
        steps=statistics.count,
        batches=len(kept),
        loop_cpu_ms=cpu_ns / statistics.count / 1e6,
        cpu_ms=all_cpu_ns / statistics.count / 1e6,
    )


def bytes_of(batch: Any) -> int:
    """Return the bytes of all tensors of fixed width in `batch`; strings and other variants count as nothing."""
    import tensorflow as tf

    parts = tf.nest.flatten(batch, expand_composites=True)
    return sum(part.dtype.size * part.shape.num_elements() for part in parts if _has_width(part))


def length_of(batch: Any) -> int | None:
    """Return the first dimension of the first component that has one; `None` if none has."""
    import tensorflow as tf

    lengths = (_first_dimension(part) for part in tf.nest.flatten(batch))
    return next((length for length in lengths if length is not None), None)


def _has_bytes(batch: Any) -> bool:
    """Whether the bytes are known: those of text, of datasets and of other objects are not."""
    import tensorflow as tf

    parts = (part for part in tf.nest.flatten(batch) if part is not None)
    return all(getattr(part, "dtype", tf.string) != tf.string for part in parts)


def _has_width(component: Any) -> bool:
    import tensorflow as tf

    return isinstance(component, tf.Tensor) and component.dtype not in (tf.string, tf.variant, tf.resource)


def _first_dimension(component: Any) -> int | None:
    import tensorflow as tf

    if isinstance(component, tf.RaggedTensor):
        return int(component.nrows())
    if isinstance(component, tf.SparseTensor):
        return int(component.dense_shape[0])
    shape = getattr(component, "shape", None)
    return int(shape[0]) if shape is not None and shape.rank else None


_ALIKE = 0.75
"""Of the looks, that see one length where the others are the last ones of an epoch."""


class BatchSizes:
    """Mean size of the first batch and of those that the loop holds when it looks at its window."""

    def __init__(self) -> None:
        self.seen = 0
        self._lengths: list[int] = []
        self._bytes: list[int] = []

    def see(self, batch: Any) -> None:
        """Read the sizes of a batch."""
        length = length_of(batch)
        if length is not None:
            self._lengths.append(length)
        if _has_bytes(batch):
            self._bytes.append(bytes_of(batch))
        self.seen += 1

    def mean(self) -> BatchSize:
        """Return the means so far; no length where it varies: a look meets long batches more often than there are."""
        often = max(map(self._lengths.count, set(self._lengths)), default=0)
        varies = often < _ALIKE * len(self._lengths)
        length = None if varies else _mean(self._lengths)
        return BatchSize(bytes=_mean(self._bytes), length=length)


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None


def read_swallowed(source: Any, stop: Callable[[], bool]) -> Swallowed | None:
    """Return an error of those that an ``ignore_errors`` hides; None where none is seen within a second.

    TensorFlow keeps neither the errors nor their number. An iterator of the dataset before raises them, and goes on.

    Args:
        source: The dataset before an ``ignore_errors``.
    """
    import tensorflow as tf

    until = time.perf_counter() + HIDDEN_SECONDS
    iterator, elements, errors, message = iter(source), 0, 0, ""
    while errors < ENOUGH_ERRORS and time.perf_counter() < until and not stop():
        try:
            next(iterator)
        except StopIteration:
            break
        except tf.errors.OpError as error:
            errors, message = errors + 1, message or first_line(error)
        elements += 1
    return Swallowed(message, errors, elements) if errors else None
