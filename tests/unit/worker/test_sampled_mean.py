"""Means of the sizes of batches: of all, or of a sample that is as good."""

from __future__ import annotations

from random import Random

import pytest
from unit.worker.fakes import FakeTime

from pipeprof.profiles.worker.steps import sampled_mean
from pipeprof.profiles.worker.steps.sampled_mean import SampledMean

READ_NS = 3000


@pytest.fixture
def time(monkeypatch):
    fake = FakeTime()
    monkeypatch.setattr(sampled_mean, "time", fake)
    return fake


def reader(time: FakeTime, read_ns: int = READ_NS):
    def read(size: float | None) -> float | None:
        time.ns += read_ns
        return size

    return read


def pass_through(mean: SampledMean, sizes: list[float | None], interval_ns: float) -> SampledMean:
    """Hand over the batches that are due, and tell how fast they come after each thousand."""
    for number, size in enumerate(sizes, 1):
        mean.left -= 1
        if not mean.left:
            mean.take(size)
        if number % 1000 == 0:
            mean.tune(interval_ns)
    return mean


def buckets(batches: int) -> list[float | None]:
    """Sizes of 16 to 64, as of a dataset that makes larger batches of shorter sentences."""
    return Random(5).choices([16, 32, 48, 64], [4, 3, 2, 1], k=batches)


def test_every_batch_counts_where_reading_one_costs_next_to_nothing(time):
    sizes = buckets(1000)
    mean = pass_through(SampledMean(reader(time)), sizes, 2_000_000)
    assert (mean.seen, mean.stride) == (1000, 1)
    assert mean.mean() == sum(sizes) / len(sizes)
    assert mean.spent_ns == 1000 * READ_NS


def test_of_a_fast_pipeline_a_sample_counts(time):
    sizes = buckets(200_000)
    mean = pass_through(SampledMean(reader(time)), sizes, 50_000)
    assert mean.stride == 20
    assert mean.seen < 12_000
    assert mean.mean() == pytest.approx(sum(sizes) / len(sizes), rel=0.02)


def test_what_the_sums_take_counts_as_reading(time):
    class Slow(Random):
        def randint(self, low: int, high: int) -> int:
            time.ns += 1500
            return super().randint(low, high)

    mean = SampledMean(reader(time, 300), stride=2, _random=Slow(1))
    assert pass_through(mean, [32.0] * 100_000, 50_000).stride == 12
    assert mean.spent_ns == mean.seen * 1800


def test_a_sample_meets_the_last_batches_of_epochs_as_often_as_there_are(time):
    """Twenty batches in an epoch, and one in about twenty is read: neither always the last one nor never."""
    sizes = [64.0] * 19 + [4.0]
    mean = pass_through(SampledMean(reader(time)), sizes * 5000, 50_000)
    assert mean.mean() == pytest.approx(61.0, rel=0.02)


@pytest.mark.parametrize(("sizes", "expected"), [([1.0, 1000.0], None), ([28.0, 36.0], pytest.approx(32.0, rel=0.01))])
def test_a_sample_that_does_not_tell_the_mean_gives_none(time, sizes, expected):
    assert pass_through(SampledMean(reader(time)), sizes * 20_000, 50_000).mean() == expected


def test_batches_of_one_size_are_told_from_a_small_sample(time):
    assert pass_through(SampledMean(reader(time, 30_000)), [32.0] * 10_000, 50_000).mean() == 32


def test_a_few_batches_of_a_sample_are_not_enough(time):
    assert pass_through(SampledMean(reader(time, 300_000)), [32.0] * 9_000, 50_000).mean() is None


def test_batches_without_a_size_have_no_mean(time):
    assert pass_through(SampledMean(reader(time)), [None] * 10, 2_000_000).mean() is None
    assert SampledMean(reader(time)).mean() is None


def test_the_choice_is_the_same_in_each_run(time):
    sizes = buckets(50_000)
    means = {pass_through(SampledMean(reader(time)), sizes, 50_000).mean() for _ in range(2)}
    assert len(means) == 1
