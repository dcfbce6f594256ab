"""The step loop over made-up datasets, with a clock that only moves when a batch is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise

import pytest
from unit.worker.fakes import MS, FakeDataset, FakeTime

from pipeprof.pipelines.steps import called
from pipeprof.pipelines.steps.called import CalledStep
from pipeprof.pipelines.steps.simulated import SimulatedStep, durations
from pipeprof.profiles.worker.steps import loop
from pipeprof.profiles.worker.steps.loop import EmptyDatasetError, Feed, drain, follow
from pipeprof.profiles.worker.steps.statistics import StepReading


@pytest.fixture
def time(monkeypatch):
    fake = FakeTime()
    monkeypatch.setattr(loop, "time", fake)
    monkeypatch.setattr(called, "time", fake)
    return fake


class Chunks(loop.Window):
    """A window that keeps every chunk: checks every `every_ms`, ends after `steps` or `looks`."""

    def __init__(self, time: FakeTime, *, every_ms: float, looks: int | None = None, steps: int | None = None) -> None:
        self._time = time
        self._every = round(every_ms * MS)
        self._looks, self._steps = looks, steps
        self.chunks: list[loop.Chunk] = []
        self.seen: list[int] = []
        self.cost_ms = 0.0
        self.check_at = time.ns + self._every

    def see(self, batch: int) -> None:
        self.seen.append(batch)

    @property
    def count(self) -> int:
        return sum(len(chunk.times) + len(chunk.readings) for chunk in self.chunks)

    def most(self) -> int | None:
        return None if self._steps is None else max(1, self._steps - self.count)

    def look(self) -> bool:
        self.chunks.append(self.chunk)
        self._time.pass_ms(self.cost_ms)
        self.check_at = self._time.ns + self._every
        return (self._looks is not None and len(self.chunks) >= self._looks) or (
            self._steps is not None and self.count >= self._steps
        )

    @property
    def readings(self) -> list[list[StepReading]]:
        return [list(chunk.readings) for chunk in self.chunks]

    def intervals_ms(self) -> list[list[float]]:
        return [[(row[5] - row[2]) / MS for row in chunk.take().tolist()] for chunk in self.chunks]


def simulated(time: FakeTime, ms: float = 5.0) -> SimulatedStep:
    return SimulatedStep(time, durations(ms), "sync")


def test_a_feed_tells_of_an_end_and_begins_the_next_epoch_when_the_ended_iterator_is_gone(time):
    dataset = FakeDataset(time, [2])
    seen = []

    @contextmanager
    def deleting() -> Iterator[None]:
        yield
        seen.append(("deleted", list(feed.iterator), dataset.epochs))

    feed = Feed(dataset, deleting)
    feed.on_restart = lambda: seen.append(("told", feed.ended, dataset.epochs))
    assert [feed.next() for _ in range(5)] == [1, 2, 3, 4, 5]
    assert seen == [("told", 1, 1), ("deleted", [], 1), ("told", 2, 2), ("deleted", [], 2)]
    assert feed.ended == 2


class Failing:
    """A dataset whose element after so many raises."""

    def __init__(self, time: FakeTime, size: int) -> None:
        self._time, self._size = time, size

    def __iter__(self) -> Iterator[int]:
        for number in range(self._size):
            self._time.pass_ms(2)
            yield number
        raise KeyError(self._size)


def test_the_steps_before_an_error_are_measured(time):
    window = Chunks(time, every_ms=1000)
    with pytest.raises(KeyError):
        drain(Feed(Failing(time, 5)), window)
    assert window.intervals_ms() == [[2] * 5]
    followed = Chunks(time, every_ms=1000)
    with pytest.raises(KeyError):
        follow(Feed(Failing(time, 3)), simulated(time, 1.0), followed)
    assert [len(readings) for readings in followed.readings] == [3]
    # An error of the window does not hide it.
    window.look = None
    with pytest.raises(KeyError):
        drain(Feed(Failing(time, 5)), window)


@pytest.mark.parametrize(
    ("size", "ms", "every_ms", "cost_ms", "until", "intervals"),
    [
        (1000, 3, 10, 0, {"looks": 3}, [[3] * 4] * 3),
        # What a look costs is in no interval; the end of an epoch counts with the first batch of the next.
        (1000, 5, 10, 7, {"looks": 3}, [[5, 5]] * 3),
        (3, 2, 1000, 0, {"steps": 5}, [[2, 2, 2], [42, 2]]),
        (2, 2, 1000, 7, {"steps": 4}, [[2, 2], [42, 2]]),
        # Also when a look came just before it.
        (2, 10, 5, 3, {"steps": 4}, [[10], [10], [], [50], [10]]),
    ],
)
def test_draining_counts_what_a_batch_waited_for(time, size, ms, every_ms, cost_ms, until, intervals):
    window = Chunks(time, every_ms=every_ms, **until)
    window.cost_ms = cost_ms
    drain(Feed(FakeDataset(time, [size], ms=ms, end_ms=40)), window)
    assert window.intervals_ms() == intervals
    if "looks" in until:
        assert window.seen == list(accumulate(map(len, intervals)))


@pytest.mark.parametrize("sizes", [[0], [3, 0]])
def test_an_epoch_without_a_batch_is_an_error(time, sizes):
    window = Chunks(time, every_ms=10, looks=100)
    with pytest.raises(EmptyDatasetError, match="ended without giving a single element"):
        drain(Feed(FakeDataset(time, sizes)), window)
    with pytest.raises(EmptyDatasetError):
        follow(Feed(FakeDataset(time, sizes)), simulated(time), window)


@pytest.mark.parametrize("size", [1, 3])
def test_a_window_may_begin_where_an_epoch_has_ended(time, size):
    feed = Feed(FakeDataset(time, [size]))
    drain(feed, Chunks(time, every_ms=1000, steps=size))
    window = Chunks(time, every_ms=1000, steps=3)
    drain(feed, window)
    assert window.count == 3
    assert feed.ended == 3 // size


def test_following_reads_the_clock_around_every_part_of_a_step(time):
    window = Chunks(time, every_ms=1000, steps=3)
    began = time.ns
    follow(Feed(FakeDataset(time, [100], ms=2)), simulated(time, 5), window)
    readings = [[(at - began) / MS for at in reading[:6]] for reading in window.readings[0]]
    assert readings == [[0, 0, 0, 2, 2, 7], [7, 7, 7, 9, 9, 14], [14, 14, 14, 16, 16, 21]]


def test_marks_of_epochs_belong_to_their_chunk(time):
    window = Chunks(time, every_ms=1, looks=5)
    follow(Feed(FakeDataset(time, [3], ms=5)), simulated(time), window)
    assert [[reading.begins for reading in chunk] for chunk in window.readings] == [[n == 3] for n in range(5)]
    assert window.seen == [1, 2, 3, 4, 5]


def test_a_python_step_is_busy_while_the_function_runs(time):
    batches = []

    def step(batch: int) -> None:
        batches.append(batch)
        time.pass_ms(4)

    one = CalledStep(step)
    start, end = one.submit(17)
    assert (end - start, batches) == (4 * MS, [17])
    assert one.wait() == (time.ns, time.ns)


class SlowToDelete:
    """An iterator of four batches, 1 ms each, whose deletion takes 1.5 s, as TensorFlow's may."""

    def __init__(self, time: FakeTime) -> None:
        self._time, self._left = time, 4

    def __iter__(self) -> SlowToDelete:
        return self

    def __next__(self) -> int:
        if not self._left:
            raise StopIteration
        self._left -= 1
        self._time.pass_ms(1)
        return self._left

    def __del__(self) -> None:
        self._time.pass_ms(1500)


@pytest.fixture
def slow_feed(time) -> Feed:
    return Feed(type("Dataset", (), {"__iter__": lambda _: SlowToDelete(time)})())


@pytest.mark.parametrize(("counts", "first_ms"), [(False, 1), (True, 1501)])
def test_the_time_of_deleting_an_ended_iterator_counts_where_a_training_loop_waits_for_it(
    time, slow_feed, counts, first_ms
):
    slow_feed.counts_deletions = counts
    window = Chunks(time, every_ms=10**6, steps=10)
    drain(slow_feed, window)
    intervals = [interval for chunk in window.intervals_ms() for interval in chunk]
    assert intervals == [1, 1, 1, 1, first_ms, 1, 1, 1, first_ms, 1]
    assert slow_feed.deletions == [1.5, 1.5]
    assert slow_feed.paused_ns == (0 if counts else 3000 * MS)


@pytest.mark.parametrize(("counts", "waits_ms"), [(False, {1}), (True, {1, 1501})])
def test_the_device_waits_for_it_or_stands_still_with_it(time, slow_feed, counts, waits_ms):
    slow_feed.counts_deletions = counts
    window = Chunks(time, every_ms=10**6, steps=10)
    follow(slow_feed, SimulatedStep(time, durations(5.0), 1), window)
    readings = [reading for chunk in window.readings for reading in chunk]
    assert {round((reading.got - reading.asked) / MS) for reading in readings} == waits_ms
    if not counts:
        assert [after.start - before.start for before, after in pairwise(readings)] == [5 * MS] * 9
