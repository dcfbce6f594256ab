"""Sizes of real batches that differ: every one counts."""

from __future__ import annotations

from typing import Any

import pytest
import tensorflow as tf
from unit.worker.fakes import FakeChannel, FakeTime

from pipeprof.profiles.worker.steps import batch_size, loop
from pipeprof.profiles.worker.steps import window as windows
from pipeprof.profiles.worker.steps.batch_size import BatchSizes, bytes_of
from pipeprof.profiles.worker.steps.loop import Feed, drain
from pipeprof.profiles.worker.steps.statistics import StepStatistics
from pipeprof.profiles.worker.steps.window import PhaseWindow

pytestmark = pytest.mark.usefixtures("without_autograph")

BATCHES = 300


def sentences() -> tf.data.Dataset:
    """Sentences of 1 to 40 words in buckets: batches of 4 to 32; epochs end with whatever is left."""
    words = tf.data.Dataset.range(500).map(lambda number: tf.ones([1 + number * number % 40], tf.int32))
    return words.bucket_by_sequence_length(tf.size, bucket_boundaries=[10, 20], bucket_batch_sizes=[32, 12, 4])


def epochs(dataset: tf.data.Dataset) -> list[Any]:
    """The batches after the first one, epoch after epoch."""
    return list(dataset.repeat().skip(1).take(BATCHES))


@pytest.fixture(autouse=True)
def _steps_of_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps last a millisecond and a look comes every hundred, whatever the machine does."""

    class Steps(FakeTime):
        def perf_counter_ns(self) -> int:
            clock.pass_ms(1)
            return clock.ns

    clock = FakeTime()
    monkeypatch.setattr(loop, "time", Steps())
    monkeypatch.setattr(windows, "time", clock)
    monkeypatch.setattr(batch_size, "time", clock)


@pytest.mark.parametrize(
    ("dataset", "length_of"),
    [
        (sentences(), lambda batch: batch.shape[0]),
        (sentences().map(lambda batch: {"b": batch, "a": tf.constant(1)}), lambda batch: batch["b"].shape[0]),
        (
            sentences().map(lambda batch: ({"b": tf.zeros([2]), "a": (tf.size(batch), batch)}, tf.shape(batch))),
            lambda batch: batch[0]["a"][1].shape[0],
        ),
        (sentences().map(tf.RaggedTensor.from_tensor), lambda batch: batch.nrows()),
        (sentences().map(tf.sparse.from_dense), lambda batch: batch.dense_shape[0]),
    ],
)
def test_the_mean_of_batches_of_many_sizes_is_exact(dataset: tf.data.Dataset, length_of: Any) -> None:
    feed, sizes = Feed(dataset), BatchSizes()
    sizes.see_first(feed.next())
    statistics = StepStatistics()

    def finished(_looked: object) -> None:
        sizes.tune(statistics.count, statistics.seconds)

    window = PhaseWindow(
        "measure",
        statistics,
        feed,
        FakeChannel(),
        finished,
        device=False,
        steps_limit=BATCHES,
        sizes=sizes,  # type: ignore[arg-type]
    )
    drain(feed, window)
    batches = epochs(dataset)
    mean = sizes.mean()
    lengths = {int(length_of(batch)) for batch in batches}
    assert len(lengths) > 3
    assert mean.length == pytest.approx(sum(int(length_of(batch)) for batch in batches) / BATCHES)
    assert mean.bytes == pytest.approx(sum(bytes_of(batch) for batch in batches) / BATCHES)


def test_text_has_a_length_and_no_bytes() -> None:
    sizes = BatchSizes()
    sizes.see_first(tf.constant(["a", "b", "c"]))
    assert (sizes.mean().length, sizes.mean().bytes) == (3, None)
    sizes.take(tf.constant(["a"]))
    assert (sizes.mean().length, sizes.mean().bytes) == (1, None)


def test_before_a_window_the_first_batch_tells_the_sizes() -> None:
    sizes = BatchSizes()
    sizes.see_first(tf.zeros([8, 2]))
    assert (sizes.mean().length, sizes.mean().bytes) == (8, 64)
