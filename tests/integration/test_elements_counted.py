"""How many elements go in and come out, by TensorFlow's counters, against a plain count of the same loop."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.changed_datasets import BUILDING

from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.changes.replay import datasets_before
from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.observe.reading import read_graphs
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.stage_table import explain_stages
from pipeprof.profiles.worker.memory_log import ModelLog
from pipeprof.profiles.worker.steps.headspace import read_swallowed
from pipeprof.profiles.worker.steps.loop import Feed


class Counted:
    """A function of TensorFlow that counts its calls."""

    def __init__(self, made: Callable[[Any], Any], dtype: Any) -> None:
        self.calls = itertools.count()
        self._made, self._dtype = made, dtype

    def __call__(self, number: Any) -> Any:
        def call(value: Any) -> Any:
            next(self.calls)
            return self._made(value)

        return tf.numpy_function(call, [number], self._dtype)

    def number(self) -> int:
        return next(self.calls)


def looped(dataset: Any, batches: int, every: int) -> tuple[dict[str, Stage], list[Message]]:
    """The rows of a loop over so many batches, with the model read again and again."""
    log, feed = ModelLog(), Feed(dataset)
    feed.next()
    log.begin(feed)
    feed.on_restart = lambda: log.restart(feed, number)
    for number in range(1, batches + 1):
        feed.next()
        if number % every == 0:
            log.observe(feed, number)
    log.observe(feed, batches)
    graphs = read_graphs(dataset, in_memory=0)
    pair = StageGraphs.of(graphs.written, graphs.executed, by_address=False)
    segments = [(one.first, one.last) for one in log.segments()]
    rows, notes = explain_stages(pair, segments, batches=batches)
    return {row.id: row for row in rows}, notes


FRAMES = 200


def frames(trajectories: int, parse: Counted, *, endless: bool) -> Any:
    parsed = tf.data.Dataset.range(trajectories).map(parse, num_parallel_calls=4).prefetch(8)
    shaped = parsed.map(lambda one: tf.ensure_shape(one, [FRAMES, 4]), num_parallel_calls=4)
    flat = shaped.flat_map(tf.data.Dataset.from_tensor_slices).shuffle(1000)
    return (flat.repeat() if endless else flat).batch(10)


@pytest.mark.parametrize(("trajectories", "endless"), [(12, True), (12, False), (100_000, False)])
def test_a_flat_map_after_what_works_ahead(trajectories: int, endless: bool) -> None:
    parse = Counted(lambda _: np.zeros([FRAMES, 4], np.float32), tf.float32)
    rows, _ = looped(frames(trajectories, parse, endless=endless), 1000, 37)
    flat, parsed = rows["stages.3"], rows["stages.0"]
    assert flat.op == "flat_map"
    assert flat.inputs_each == pytest.approx(1 / FRAMES, rel=0.1)
    assert parsed.elements is not None
    # 1,000 batches of 10 frames; the shuffle and what works ahead take more.
    assert 10_000 / FRAMES * 0.8 <= parsed.elements <= parse.number() + 1


def test_what_ignore_errors_hides(recording: CallWatch) -> None:
    def load(number: Any) -> Any:
        if number % 25 == 7:
            raise ValueError("no picture")
        return np.int64(number)

    counted = Counted(load, tf.int64)
    dataset = tf.data.Dataset.range(100_000).map(counted, num_parallel_calls=2).ignore_errors().batch(8)
    rows, notes = looped(dataset, 100, 9)
    (note,) = [note for note in notes if note.code == "errors-ignored"]
    assert note.stages == ["stages.0", "stages.1"]
    assert rows["stages.1"].inputs_each == pytest.approx(1.0, rel=0.01)
    lost = int(note.message.split("at least ")[1].split(" ")[0])
    assert 0.8 * counted.number() / 25 <= lost <= counted.number() / 25 + 1
    (part,) = datasets_before(dataset, lambda row: row.swallows, recording.calls, BUILDING)
    seen = read_swallowed(part, lambda: False)
    assert seen is not None
    assert "no picture" in seen.example
    assert seen.elements == pytest.approx(25 * seen.errors, abs=25)
