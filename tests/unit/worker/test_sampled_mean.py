"""Means of the sizes of batches: of all, or of a sample that is as good."""

from __future__ import annotations

from random import Random

import pytest
from unit.worker.fakes import FakeTime

from pipeprof.profiles.worker.steps import batch_size
from pipeprof.profiles.worker.steps.batch_size import SampledMeans

READ_NS = 3000


@pytest.fixture
def time(monkeypatch):
    fake = FakeTime()
    monkeypatch.setattr(batch_size, "time", fake)
    return fake


def reader(time: FakeTime, read_ns: int = READ_NS):
    def read(size: float | None) -> tuple[float | None, float | None]:
        time.ns += read_ns
        return size, None if size is None else 4 * size

    return read


def pass_through(means: SampledMeans, sizes: list[float | None], interval_ns: float) -> SampledMeans:
    """Hand over the batches that are due, and tell how fast they come after each thousand."""
    left = 1
    for number, size in enumerate(sizes, 1):
        left -= 1
        if not left:
            left = means.take(size)
        if number % 1000 == 0:
            means.tune(interval_ns)
    return means


def mean_of(means: SampledMeans) -> float | None:
    """The mean of the first value; the second one is four times it."""
    first, second = means.means()
    assert second == (pytest.approx(4 * first) if first is not None else None)
    return first


def buckets(batches: int) -> list[float | None]:
    """Sizes of 16 to 64, as of a dataset that makes larger batches of shorter sentences."""
    return Random(5).choices([16, 32, 48, 64], [4, 3, 2, 1], k=batches)


def test_every_batch_counts_where_reading_one_costs_next_to_nothing(time):
    sizes = buckets(1000)
    mean = pass_through(SampledMeans(reader(time)), sizes, 2_000_000)
    assert (mean.seen, mean.stride) == (1000, 1)
    assert mean_of(mean) == sum(sizes) / len(sizes)
    assert mean.spent_ns == 1000 * READ_NS


def test_of_a_fast_pipeline_a_sample_counts(time):
    sizes = buckets(200_000)
    mean = pass_through(SampledMeans(reader(time)), sizes, 50_000)
    assert mean.stride == 20
    assert mean.seen < 12_000
    assert mean_of(mean) == pytest.approx(sum(sizes) / len(sizes), rel=0.02)


def test_batches_that_are_all_the_same_are_read_more_rarely_once_a_mean_is_sure(time):
    mean = pass_through(SampledMeans(reader(time)), [32.0] * 2000, 500_000)
    assert (mean.stride, mean_of(mean)) == (12, 32)
    # One that is not is met sooner or later, and from then on as many are read as of any that vary.
    mean = pass_through(mean, [32.0, 4.0] * 1000, 500_000)
    assert (mean.stride, mean_of(mean)) == (2, None)


def test_readings_that_were_interrupted_do_not_count_for_all(time):
    mean = SampledMeans(reader(time, 30_000_000))
    mean.take(1.0)
    mean.read = reader(time)
    for size in range(100):
        mean.take(float(size))
    mean.tune(2_000_000)
    assert mean.stride == 2


def test_what_the_sums_take_counts_as_reading(time):
    class Slow(Random):
        def randint(self, low: int, high: int) -> int:
            time.ns += 1500
            return super().randint(low, high)

    mean = SampledMeans(reader(time, 300), stride=2, _random=Slow(1))
    assert pass_through(mean, [32.0, 33.0] * 50_000, 50_000).stride == 12
    assert mean.spent_ns == mean.seen * 1800


def test_a_sample_meets_the_last_batches_of_epochs_as_often_as_there_are(time):
    """Twenty batches in an epoch, and one in about twenty is read: neither always the last one nor never."""
    sizes = [64.0] * 19 + [4.0]
    mean = pass_through(SampledMeans(reader(time)), sizes * 5000, 50_000)
    assert mean_of(mean) == pytest.approx(61.0, rel=0.02)


@pytest.mark.parametrize(("sizes", "expected"), [([1.0, 1000.0], None), ([28.0, 36.0], pytest.approx(32.0, rel=0.01))])
def test_a_sample_that_does_not_tell_the_mean_gives_none(time, sizes, expected):
    assert mean_of(pass_through(SampledMeans(reader(time)), sizes * 20_000, 50_000)) == expected


def test_batches_of_one_size_are_told_from_a_small_sample(time):
    assert mean_of(pass_through(SampledMeans(reader(time, 30_000)), [32.0] * 10_000, 50_000)) == 32


def test_a_few_batches_of_a_sample_are_not_enough(time):
    assert mean_of(pass_through(SampledMeans(reader(time, 300_000)), [32.0] * 9_000, 50_000)) is None


def test_batches_without_a_size_have_no_mean(time):
    assert mean_of(pass_through(SampledMeans(reader(time)), [None] * 10, 2_000_000)) is None
    assert SampledMeans(reader(time)).means() == []


def test_the_choice_is_the_same_in_each_run(time):
    sizes = buckets(50_000)
    means = {mean_of(pass_through(SampledMeans(reader(time)), sizes, 50_000)) for _ in range(2)}
    assert len(means) == 1
