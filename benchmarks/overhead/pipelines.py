"""The pipelines of this benchmark, and the hook that lays bare slices between pipeprof's own.

bench.py has ``pipeprof run pipelines.py:NAME`` measure them, so that everything is the real thing: the parent with its
sampler and its saving, the channel, the window and what it does at every look. Within the worker `hook` replaces the
step loop by one that runs it in slices, and times the plainest loop over the same iterator in between. The parent
neither samples nor saves meanwhile, so that its share of the machine is on pipeprof's account alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import tensorflow as tf
from sequential import are_all, counts, is_decided

from pipeprof.pipelines.steps.simulated import HostClock, SimulatedStep, durations
from pipeprof.profiles.host.limits import system_times
from pipeprof.profiles.worker import sample
from pipeprof.profiles.worker.memory_log import MemoryLog, ModelLog
from pipeprof.profiles.worker.steps import loop
from pipeprof.profiles.worker.steps.loop import Chunk, Window
from pipeprof.profiles.worker.steps.window import TELLS_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeprof.pipelines.steps.consumer import BatchConsumer
    from pipeprof.profiles.host.limits import SystemTimes
    from pipeprof.profiles.worker.steps.loop import Feed
    from pipeprof.profiles.worker.steps.window import PhaseWindow

JOB: dict[str, Any] = json.loads(os.environ["BENCHMARK_CASE"])
LOCK = os.open(JOB["lock"], os.O_RDWR)
# As many as AUTOTUNE would choose; chosen by us so that it is the same in all slices.
WORKERS = len(os.sched_getaffinity(0))
CLOCKED = 50
"""How often in a slice the bare loop looks at the clock."""


class Part(Window):
    """Of a window: what looks at its batches is the window."""

    def __init__(self, window: PhaseWindow) -> None:
        self._window = window
        self.chunk = Chunk()

    def see(self, batch: Any) -> None:
        """Look at the batch that the loop holds."""
        self._window.see(batch)

    def most(self) -> int | None:
        """How many steps the window may still take."""
        return self._window.most()


class Stretch(Part):
    """What pipeprof's loop does from one look to the next, cut into slices; the time between slices is left out.

    The look at its end opens the next stretch. As the end of this one, its time would not be made up for by what the
    pipeline prepares meanwhile, and the next slice would get that for nothing.
    """

    def __init__(self, window: PhaseWindow, slice_ns: int) -> None:
        super().__init__(window)
        self._slice_ns = slice_ns
        self._left_ns = 0
        self._slices: list[Chunk] = []
        self._ended = False
        self.check_at = 0

    @property
    def is_over(self) -> bool:
        """Whether the next look is due."""
        return self._left_ns <= 0

    def whole(self) -> Chunk:
        """The steps of the stretch as if its slices were one."""
        first = self._slices[0]
        merged = Chunk(first.base, first.begins, list(first.times))
        for piece in self._slices[1:]:
            shift = piece.base - merged.times[-1]
            merged.times.extend(each - shift for each in piece.times)
        return merged

    def begin(self, whole: Chunk | None) -> bool:
        """Have the window look at the stretch that is over, and begin another; returns whether the window is over."""
        if whole is not None:
            self._window.chunk = whole
            self._ended = self._window.look()
        else:
            self._window.check_next()
        self._slices = []
        self._left_ns = self._window.check_at - time.perf_counter_ns()
        return self._ended

    def begin_slice(self) -> None:
        """Have the loop end after a slice, or where the next look is due."""
        self.check_at = time.perf_counter_ns() + min(self._slice_ns, self._left_ns)

    def look(self) -> bool:
        """Keep a slice; returns that the loop is over for now."""
        self._slices.append(self.chunk)
        self._left_ns -= self.chunk.times[-1] - self.chunk.base
        return True

    @property
    def latest(self) -> int:
        """How many steps the latest slice had."""
        return len(self._slices[-1].times)


class Block(Part):
    """With a device: a stretch of a window, from one look to another.

    It ends where the next look is due, which opens the next block.
    """

    def __init__(self, window: PhaseWindow, due: Callable[[], bool] | None) -> None:
        super().__init__(window)
        self.due = due
        self.over = due is not None and due()
        self.check_at = window.check_at

    def look(self) -> bool:
        """Put the look off; returns that the block is over."""
        self._window.chunk, self.due = self.chunk, self._window.look
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
    """Have the harness put off its samples and its saving while the body runs (bench.py): it waits for a lock.

    Stopped by a signal, all its threads would wake after each slice, which they do not in a run.
    """
    fcntl.flock(LOCK, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(LOCK, fcntl.LOCK_UN)


class Drain:
    """The two loops without a device, in slices. Both return steps and seconds."""

    def __init__(self, feed: Feed, window: PhaseWindow) -> None:
        self._feed = feed
        self._stretch = Stretch(window, JOB["slice_ms"] * 1_000_000)
        self._steps = 1
        self.over = self._stretch.begin(None)
        self._ours()

    def bare(self) -> tuple[int, float]:
        """The plainest loop for as long as a slice; `islice` ends it at next to no cost.

        By the clock, as pipeprof's own: where a pipeline is fast at times and slow at others, so many steps take
        another mean rate than so many seconds.
        """
        steps, some, iterator = 0, max(1, self._steps // CLOCKED), self._feed.iterator
        began = time.perf_counter()
        until, now = began + JOB["slice_ms"] / 1e3, began
        while now < until:
            for _batch in islice(iterator, some):
                pass
            steps += some
            now = time.perf_counter()
        return steps, now - began

    def _ours(self) -> tuple[int, float]:
        """Pipeprof's loop, the looks with all that they do within the time."""
        whole = self._stretch.whole() if self._stretch.is_over else None
        began = time.perf_counter()
        if whole is not None:
            self.over = self._stretch.begin(whole)
            if self.over:
                return 0, 0.0
        self._stretch.begin_slice()
        loop.drain(self._feed, self._stretch)
        seconds = time.perf_counter() - began
        self._steps = self._stretch.latest
        return self._steps, seconds

    def pair(self, *, backwards: bool) -> list[float]:
        """Slices of both loops in turn, from one look to the next: what both did."""
        bare, ours = [0.0, 0.0], [0.0, 0.0]
        first = True
        while not self.over and (first or not self._stretch.is_over):
            first = False
            for whose in (ours, bare) if backwards else (bare, ours):
                if whose is ours:
                    steps, seconds = self._ours()
                else:
                    with nobody_watching():
                        steps, seconds = self.bare()
                whose[0] += steps
                whose[1] += seconds
            backwards = not backwards
        return [*bare, *ours]


class Follow:
    """The two loops with a device. Both return the number of steps from the first to the last, and the seconds."""

    def __init__(self, feed: Feed, step: BatchConsumer, window: PhaseWindow) -> None:
        self._feed = feed
        self._step = step
        self._window = window
        self._due: Callable[[], bool] | None = None
        self._steps = 0
        self.over = False
        self._ours()

    def bare(self) -> tuple[int, float]:
        """The plainest loop that feeds the same device."""
        device = SimulatedStep(HostClock(), durations(JOB["step_ms"]), JOB["dispatch"])
        starts = []
        for batch in islice(self._feed.iterator, self._steps + 1):
            starts.append(device.submit(batch)[0])
            device.wait()
        return self._steps, (starts[-1] - starts[0]) / 1e9

    def _ours(self) -> tuple[int, float]:
        """Pipeprof's loop."""
        self._window.check_next()
        block = Block(self._window, self._due)
        self.over = block.over
        if self.over:
            return 0, 0.0
        loop.follow(self._feed, self._step, block)
        readings = block.chunk.readings
        self._due, self._steps = block.due, len(readings) - 1
        return self._steps, (readings[-1].start - readings[0].start) / 1e9

    def pair(self, *, backwards: bool) -> list[float]:
        """A block of each: what both did."""
        ours = self._ours() if backwards else (0, 0.0)
        with nobody_watching():
            bare = self.bare()
        if not backwards:
            ours = self._ours()
        return [*bare, *ours]


def alternate(loops: Drain | Follow, window: PhaseWindow, *, pairs: int | None) -> None:
    """Run the two loops in turn, AB BA AB …, until the window is over or enough is known, after `pairs` at most."""
    raw: list[list[float]] = []
    left_out: list[list[float]] = []
    while not loops.over and (pairs is None or not _is_over(raw, left_out, pairs)):
        looking, attributing, before = window.overhead_ns, ATTRIBUTING.seconds, system_times()
        row = loops.pair(backwards=bool((len(raw) + len(left_out)) % 2))
        if loops.over:
            break
        row += [(window.overhead_ns - looking) / 1e9, ATTRIBUTING.seconds - attributing]
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

    def take_steps(feed: Feed, step: BatchConsumer | None, window: PhaseWindow) -> None:
        alternate(Drain(feed, window) if step is None else Follow(feed, step, window), window, pairs=next(pairs))

    # `patch` refuses a name that there is not, which an assignment would only add.
    patch.object(sample, "take_steps", take_steps).start()
    # Half of the wall time is the bare loop's: what is due once a second is due once in two.
    patch(f"{sample.__name__}.TELLS_NS", tuple(2 * each for each in TELLS_NS)).start()
    patch.object(ModelLog, "observe", ATTRIBUTING.clocked(ModelLog.observe)).start()
    patch.object(MemoryLog, "look", ATTRIBUTING.clocked(MemoryLog.look)).start()
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
