"""The pipelines of this benchmark, and the hook that lays bare blocks between pipeprof's own.

bench.py has ``pipeprof run pipelines.py:NAME`` measure them, so that everything is the real thing: the parent with its
sampler and its saving, the channel, the window and what it does at every look. Within the worker `hook` replaces the
step loop by one that runs it in blocks, and times the plainest loop over the same iterator in between. The parent is
stopped meanwhile, so that its share of the machine is on pipeprof's account alone.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from sequential import are_all, counts, is_decided

from pipeprof.profiles.host.machine import system_times
from pipeprof.profiles.worker import sample
from pipeprof.profiles.worker.memory.memory_log import MemoryLog
from pipeprof.profiles.worker.memory.model_log import ModelLog
from pipeprof.profiles.worker.steps import loop
from pipeprof.profiles.worker.steps import window as windows
from pipeprof.profiles.worker.steps.simulated_device import HostClock, SimulatedDevice, StepDuration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeprof.profiles.host.machine import SystemTimes
    from pipeprof.profiles.worker.steps.loop import BatchConsumer, Feed
    from pipeprof.profiles.worker.steps.statistics import StepReading
    from pipeprof.profiles.worker.steps.window import PhaseWindow

JOB: dict[str, Any] = json.loads(os.environ["PIPEPROF_BENCHMARK"])
# As many as AUTOTUNE would choose; chosen by us so that it is the same in all blocks.
WORKERS = len(os.sched_getaffinity(0))


class Block:
    """A stretch of a window, from one look to another, with exactly `looks` of them.

    It ends where the next look is due. That look opens the window's next block: at the end of this one its time would
    not be made up for by what the pipeline prepares meanwhile, and the next block would get that for nothing.
    """

    def __init__(self, window: PhaseWindow, looks: int, due: Callable[[], bool] | None) -> None:
        self._window = window
        self._left = looks
        self.chunks: list[list[Any]] = []
        self.due = due
        self.over = due is not None and due()

    @property
    def check_at(self) -> int:
        """When the window wants to look, which is also when the block may end."""
        return self._window.check_at

    @property
    def sizes(self) -> loop.CountedSizes:
        """Where the window counts batches by size."""
        return self._window.sizes

    def most(self) -> int | None:
        """How many steps the window may still take."""
        return self._window.most()

    def drained(self, base: int, times: list[int]) -> bool:
        """Have the window look, or put it off; returns whether the block is over."""
        self.chunks.append(times)
        return self._due(lambda: self._window.drained(base, times))

    def followed(self, readings: list[StepReading], restarts: list[int]) -> bool:
        """The same with a device."""
        self.chunks.append(readings)
        return self._due(lambda: self._window.followed(readings, restarts))

    def _due(self, look: Callable[[], bool]) -> bool:
        self._left -= 1
        if self._left:
            self.over = look()
            return self.over
        self.due = look
        return True


class Attributing:
    """How long the looks took at what time and memory are attributed by: TensorFlow's model and its live bytes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def clocked(self, look: Callable[..., None]) -> Callable[..., None]:
        """The same look, with its time taken."""

        def look_and_count(*args: Any) -> None:
            began = time.perf_counter()
            look(*args)
            self.seconds += time.perf_counter() - began

        return look_and_count


ATTRIBUTING = Attributing()


@contextmanager
def nobody_watching() -> Iterator[None]:
    """Stop the harness while the body runs."""
    os.kill(os.getppid(), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(os.getppid(), signal.SIGCONT)


class Drain:
    """The two loops without a device. Both return steps and seconds."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def bare(self, steps: int) -> tuple[int, float]:
        """The plainest loop; `islice` ends it at next to no cost."""
        began = time.perf_counter()
        for _batch in islice(self._feed.iterator, steps):
            pass
        return steps, time.perf_counter() - began

    def profiled(self, window: PhaseWindow, due: Callable[[], bool] | None) -> tuple[Block, int, float]:
        """Pipeprof's loop, the looks with all that they do within the time."""
        window.check_next()
        began = time.perf_counter()
        block = Block(window, JOB["looks"], due)
        if not block.over:
            loop.drain(self._feed, block)
        return block, sum(map(len, block.chunks)), time.perf_counter() - began


class Follow:
    """The two loops with a device. Both return the number of steps from the first to the last, and the seconds."""

    def __init__(self, feed: Feed, step: BatchConsumer) -> None:
        self._feed = feed
        self._step = step

    def bare(self, steps: int) -> tuple[int, float]:
        """The plainest loop that feeds the same device."""
        device = SimulatedDevice(HostClock(), StepDuration(JOB["step_ms"]), JOB["dispatch"])
        starts = []
        for _batch in islice(self._feed.iterator, steps + 1):
            starts.append(device.submit()[0])
            device.wait()
        return steps, (starts[-1] - starts[0]) / 1e9

    def profiled(self, window: PhaseWindow, due: Callable[[], bool] | None) -> tuple[Block, int, float]:
        """Pipeprof's loop."""
        window.check_next()
        block = Block(window, JOB["looks"], due)
        if block.over:
            return block, 0, 0.0
        loop.follow(self._feed, self._step, block)
        readings = list(chain(*block.chunks))
        return block, len(readings) - 1, (readings[-1].start - readings[0].start) / 1e9


def alternate(loops: Drain | Follow, window: PhaseWindow, *, pairs: int | None) -> None:
    """Run the two loops in turn, AB BA AB …, until the window is over or enough is known, after `pairs` at most."""
    raw: list[list[float]] = []
    left_out: list[list[float]] = []
    block, steps, _ = loops.profiled(window, None)
    while not block.over and (pairs is None or not _is_over(raw, left_out, pairs)):
        wanted, looking, attributing = steps, window.overhead_ns, ATTRIBUTING.seconds
        before, backwards = system_times(), (len(raw) + len(left_out)) % 2
        if backwards:
            block, steps, seconds = loops.profiled(window, block.due)
        with nobody_watching():
            bare = loops.bare(wanted)
        if not backwards:
            block, steps, seconds = loops.profiled(window, block.due)
        looking = (window.overhead_ns - looking) / 1e9
        row = [*bare, steps, seconds, looking, ATTRIBUTING.seconds - attributing]
        (raw if counts(_stolen_since(before)) else left_out).append(row)
    Path(JOB["raw"]).write_text(json.dumps([raw, left_out]), encoding="utf-8")


def _is_over(raw: list[list[float]], left_out: list[list[float]], pairs: int) -> bool:
    return are_all(len(raw), len(left_out), pairs) or is_decided(raw, JOB["limit"], pairs)


def _stolen_since(before: SystemTimes | None) -> float | None:
    """The share of the cores that the hypervisor took since then; None where it does not say."""
    now = system_times()
    if before is None or now is None or now.total <= before.total:
        return None
    return (now.steal - before.steal) / (now.total - before.total)


def hook(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Have the worker alternate between the two loops once it gets to its steps; returns the dataset as it is."""
    # The first call is the warm-up, which ends by itself.
    pairs = chain([None], repeat(JOB["pairs"]))

    def drain(feed: Feed, window: PhaseWindow) -> None:
        alternate(Drain(feed), window, pairs=next(pairs))

    def follow(feed: Feed, step: BatchConsumer, window: PhaseWindow) -> None:
        alternate(Follow(feed, step), window, pairs=next(pairs))

    sample.drain, sample.follow = drain, follow  # type: ignore[assignment]
    ModelLog.observe = ATTRIBUTING.clocked(ModelLog.observe)  # type: ignore[method-assign]
    MemoryLog.look = ATTRIBUTING.clocked(MemoryLog.look)  # type: ignore[method-assign]
    # Half of the wall time is the bare loop's: what is due once a second is due once in two.
    windows.BEAT_NS *= 2
    windows.PARTIAL_NS *= 2
    return dataset


def jpeg_folder() -> tf.data.Dataset:
    """Photos from a folder: read, decode, resize, 32 to a batch."""

    def decode(name: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(name), channels=3), [96, 96])

    files = tf.data.Dataset.list_files(f"{JOB['photos']}/*/*.jpg", shuffle=False).repeat()
    return hook(files.map(decode, num_parallel_calls=WORKERS).batch(32).prefetch(2))


def array() -> tf.data.Dataset:
    """Pictures from an array in memory: shuffle, flip at random, resize, 32 to a batch."""
    pictures = np.random.default_rng(1).integers(0, 256, (2000, 112, 112, 3), np.uint8)

    def change(picture: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.image.random_flip_left_right(picture), [96, 96]) / 255.0

    dataset = tf.data.Dataset.from_tensor_slices(pictures).repeat().shuffle(500, seed=7)
    return hook(dataset.map(change, num_parallel_calls=WORKERS).batch(32).prefetch(2))


def numbers() -> tf.data.Dataset:
    """A dataset that has nothing to do."""
    return hook(tf.data.Dataset.range(10**12))


def constant() -> tf.data.Dataset:
    """The same tensor over and over."""
    return hook(tf.data.Dataset.from_tensors(tf.zeros([])).repeat())
