"""The pipelines of this benchmark, and the hook that lays bare blocks between pipeprof's own.

bench.py has ``pipeprof run pipelines.py:NAME`` measure them, so that everything is the real thing: the parent with its
sampler and its saving, the channel, the window and what it does at every look. Within the worker `hook` replaces the
step loop by one that runs it in blocks, and times the plainest loop over the same iterator in between.
The parent is stopped meanwhile, so that its share of the machine is on pipeprof's account alone.
"""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from pipeprof.profiles.run import loop, sample
from pipeprof.profiles.run.window import CHECK_NS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeprof.profiles.run.loop import Feed, Step
    from pipeprof.profiles.run.window import PhaseWindow

JOB: dict[str, Any] = json.loads(os.environ["PIPEPROF_BENCHMARK"])
FEATURES = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}


class Block:
    """A stretch of a window: ends after so many looks, and leaves everything else to the window."""

    def __init__(self, window: PhaseWindow, looks: int) -> None:
        self._window = window
        self._left = looks
        self.over = False

    @property
    def check_at(self) -> int:
        """When the window wants to look, which is also when the block may end."""
        return self._window.check_at

    def most(self) -> int | None:
        """How many steps the window may still take."""
        return self._window.most()

    def drained(self, base: int, times: list[int], batch: Any) -> bool:
        """Have the window look; returns whether the block is over."""
        return self._looked(over=self._window.drained(base, times, batch))

    def followed(self, readings: list[Any], restarts: list[int], batch: Any) -> bool:
        """Have the window look; returns whether the block is over."""
        return self._looked(over=self._window.followed(readings, restarts, batch))

    def _looked(self, *, over: bool) -> bool:
        self.over = over
        self._left -= 1
        return over or not self._left


@contextmanager
def nobody_watching() -> Iterator[None]:
    """Stop the harness while the body runs."""
    os.kill(os.getppid(), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(os.getppid(), signal.SIGCONT)


def bare(iterator: Iterator[Any], steps: int) -> float:
    """The plainest loop; seconds. `islice` ends it at next to no cost."""
    began = time.perf_counter()
    for _batch in islice(iterator, steps):
        pass
    return time.perf_counter() - began


def profiled(feed: Feed, window: PhaseWindow) -> dict[str, Any]:
    """One block of pipeprof's loop, the looks with all that they do within the time."""
    block, steps, looking = Block(window, JOB["looks"]), window.statistics.count, window.overhead_ns
    window.check_at = time.perf_counter_ns() + CHECK_NS
    began = time.perf_counter()
    loop.drain(feed, block)
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "steps": window.statistics.count - steps,
        "looking": (window.overhead_ns - looking) / 1e9,
        "over": block.over,
    }


def hook(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Have the worker alternate between the two loops once it gets to its steps; returns the dataset as it is."""
    calls = count()

    def drain(feed: Feed, window: PhaseWindow) -> None:
        warming = next(calls) == 0
        raw: list[list[float]] = []
        done = profiled(feed, window)
        while not done["over"] and (warming or len(raw) < JOB["pairs"]):
            steps = max(1, round(done["steps"] / done["seconds"] * JOB["looks"] * CHECK_NS / 1e9))
            if len(raw) % 2:
                done = profiled(feed, window)
            with nobody_watching():
                seconds = bare(feed.iterator, steps)
            if not len(raw) % 2:
                done = profiled(feed, window)
            raw.append([steps, seconds, done["steps"], done["seconds"], done["looking"]])
        Path(JOB["raw"]).write_text(json.dumps(raw), encoding="utf-8")

    def follow(feed: Feed, step: Step, window: PhaseWindow) -> None:
        raw: list[list[float]] = []
        over = False
        began, steps = time.perf_counter(), window.statistics.count
        while not over and len(raw) < JOB["pairs"]:
            block = Block(window, JOB["looks"])
            loop.follow(feed, step, block)
            now, done, over = time.perf_counter(), window.statistics.count, block.over
            raw.append([done - steps, now - began])
            began, steps = now, done
        Path(JOB["raw"]).write_text(json.dumps(raw), encoding="utf-8")

    sample.drain, sample.follow = drain, follow  # type: ignore[assignment]
    return dataset


def jpeg_folder() -> tf.data.Dataset:
    """Photos from a folder: read, decode, resize, 32 to a batch."""

    def decode(name: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(name), channels=3), [96, 96])

    files = tf.data.Dataset.list_files(f"{JOB['photos']}/*/*.jpg", shuffle=False).repeat()
    return hook(files.map(decode, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(tf.data.AUTOTUNE))


def tfrecord_shards() -> tf.data.Dataset:
    """Compressed shards, four at a time: parse, decode, resize, shuffle, 32 to a batch."""

    def decode(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_single_example(record, FEATURES)
        return tf.image.resize(tf.io.decode_jpeg(parsed["image"], channels=3), [96, 96]), parsed["label"]

    files = tf.data.Dataset.list_files(f"{JOB['shards']}/*.tfrecord", shuffle=False).repeat()
    records = files.interleave(
        lambda name: tf.data.TFRecordDataset(name, compression_type="GZIP"),
        cycle_length=4,
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    decoded = records.shuffle(500, seed=7).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return hook(decoded.batch(32).prefetch(tf.data.AUTOTUNE))


def numbers() -> tf.data.Dataset:
    """A dataset that has nothing to do."""
    return hook(tf.data.Dataset.range(10**12))


def constant() -> tf.data.Dataset:
    """The same tensor over and over."""
    return hook(tf.data.Dataset.from_tensors(tf.zeros([])).repeat())
