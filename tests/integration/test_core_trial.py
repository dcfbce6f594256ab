"""A real pipeline that is started once more on fewer cores."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import tensorflow as tf

from pipeprof.profiles.document.shared import CoreScaling
from pipeprof.profiles.protocol.messages import FewerCores, StartsAgain, WorkerMessage
from pipeprof.profiles.worker.steps import core_trial, fewer_cores
from pipeprof.profiles.worker.steps.fewer_cores import Loop
from pipeprof.profiles.worker.steps.loop import Feed

pytestmark = pytest.mark.usefixtures("without_autograph")


def started(dataset: tf.data.Dataset, monkeypatch: pytest.MonkeyPatch) -> list[WorkerMessage]:
    """What is sent of a start on one core, however short the block is and whatever else runs."""
    one = frozenset({min(os.sched_getaffinity(0))})
    moved = CoreScaling.of(len(one), (14.0, 50), (10.0, 400))
    monkeypatch.setattr(core_trial, "half_of", lambda *_: one)
    monkeypatch.setattr(core_trial, "on_fewer_cores", lambda *_: moved)
    for name, value in (("SETTLE_SECONDS", 0.0), ("SECONDS", 0.0), ("AT_LEAST", 1), ("ENOUGH", 5)):
        monkeypatch.setattr(fewer_cores, name, value)
    for name in ("STEAL_FROM", "OTHERS_FROM"):
        monkeypatch.setattr(fewer_cores, name, float("inf"))
    sent: list[WorkerMessage] = []
    trial, feed = core_trial.CoreTrial(sent.append), Feed(dataset)
    feed.next()
    steps = Loop(feed, None, lambda: False)
    trial.move(steps, None, None)  # type: ignore[arg-type]
    trial.start(dataset, steps, first_seconds=0.1, room=None)
    return sent[1:]


def test_steps_of_another_iterator_are_measured_and_the_threads_have_all_cores_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = os.sched_getaffinity(0)
    dataset = tf.data.Dataset.range(1 << 40).map(lambda number: number + 1, num_parallel_calls=tf.data.AUTOTUNE)
    began, found = started(dataset.batch(8), monkeypatch)
    assert isinstance(began, StartsAgain)
    assert isinstance(found, FewerCores)
    assert found.scaling.tuned_steps is not None
    assert found.scaling.tuned_steps >= 5
    assert os.sched_getaffinity(0) == there


def test_a_pipeline_that_can_be_read_once_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    once = iter(range(1))

    def numbers() -> Iterator[int]:
        yield from once

    dataset = tf.data.Dataset.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int64))
    sent = started(dataset, monkeypatch)
    assert [type(message) for message in sent] == [StartsAgain]
