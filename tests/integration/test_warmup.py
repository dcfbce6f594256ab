"""The warm-up over a real dataset that ends: settled by whole epochs, on a clock that only the data move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from unit.worker.fakes import FakeChannel, FakeTime

from pipeprof.profiles.worker.memory_log import ModelLog
from pipeprof.profiles.worker.steps import loop
from pipeprof.profiles.worker.steps import window as windows
from pipeprof.profiles.worker.steps.loop import Feed, drain
from pipeprof.profiles.worker.steps.statistics import StepStatistics
from pipeprof.profiles.worker.steps.window import Looked, PhaseWindow, WarmUp

CHEAP, COSTLY = 52, 13
BATCHES = CHEAP + COSTLY
CHEAP_MS, COSTLY_MS = 10.0, 40.0


@pytest.mark.parametrize("longer", [1.0, 1.5])
def test_a_dataset_that_ends_settles_by_epochs(monkeypatch: pytest.MonkeyPatch, longer: float) -> None:
    """Batches of the second half of an epoch take four times as long as the others, so no part of it settles.

    Args:
        longer: Factor from one epoch to the next; with one the warm-up goes on.
    """
    import tensorflow as tf

    clock = FakeTime()
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(windows, "time", clock)
    epochs: list[int] = []

    def rows() -> Iterator[int]:
        factor = longer ** len(epochs)
        epochs.append(0)
        for number in range(BATCHES):
            clock.pass_ms(factor * (CHEAP_MS if number < CHEAP else COSTLY_MS))
            yield number

    dataset = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec([], tf.int64))
    options = tf.data.Options()
    options.autotune.enabled = False  # nothing runs ahead of the loop
    dataset = dataset.with_options(options)
    rule, models, feed = WarmUp(), ModelLog(), Feed(dataset)
    starts: set[Any] = set()

    def finished(looked: Looked) -> str | None:
        starts.add(looked.epoch_start)
        return rule.offer(looked, models.parameters(feed))

    window = PhaseWindow("warmup", StepStatistics(device=False), feed, FakeChannel(clock), finished)  # type: ignore[arg-type]
    drain(feed, window)
    assert window.reason is not None
    assert window.reason.endswith("whole epochs took as long as each other") == (longer == 1.0)
    assert window.reason.startswith("settled" if longer == 1.0 else "not settled")
    known = sorted(start for start in starts if start is not None)
    assert [start.steps for start in known] == [BATCHES * start.restarts for start in known]
    assert len(known) >= 3
