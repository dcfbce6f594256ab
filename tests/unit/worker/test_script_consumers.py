"""A script's iteration by hand-made times, in nanoseconds, and what it does in addition to fetching."""

from __future__ import annotations

import itertools
import threading
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.worker.script.consumers import Consumer, DatasetObjects, Pass, Place, StepClock, Total
from pipeprof.profiles.worker.script.observer import Habits
from pipeprof.profiles.worker.steps.statistics import StepReading


def a_pass(began: int = 0, made: int = 0, **facts: object) -> Pass:
    one = Pass(began, made, lambda: one)
    for name, value in facts.items():
        setattr(one, name, value)
    return one


def readings_of(rows) -> list[StepReading]:
    return [StepReading(*row) for row in rows.tolist()]


def loop(clock: StepClock, one: Pass, times: list[int]) -> list[StepReading]:
    clock.loop(one, times)
    return readings_of(clock.take())


def fit(clock: StepClock, one: Pass, steps: list[int], gap: int | None, executions: int = 1) -> list[StepReading]:
    clock.fit(one, steps, gap, executions)
    return readings_of(clock.take())


def folded_by(consumer: Consumer, now: int, model=lambda _iterator: None) -> list[StepReading]:
    return readings_of(consumer.fold(now, model))


def intervals(readings: list) -> list[int]:
    starts = [reading.start for reading in readings]
    return [after - before for before, after in pairwise(starts)]


class TestLoop:
    def test_fetch_and_rest_of_each_step(self):
        clock = StepClock()
        folded = loop(clock, a_pass(), [10, 30, 40, 60, 70, 90])
        assert [(one.asked, one.got, one.end) for one in folded] == [(10, 30, 40), (40, 60, 70)]
        assert clock.fetch_ns == 60
        assert clock.batches == 3

    @given(lengths=st.lists(st.integers(1, 50), min_size=60, max_size=150), piece=st.integers(1, 30))
    def test_many_batches_at_once_give_what_they_give_one_after_the_other(self, lengths, piece):
        """As arrays from a number of batches on; two passes, with a pause between them."""
        times = list(itertools.accumulate(lengths))
        first, second = times[:51], [time + 1000 for time in times[51:]]
        found = []
        for size in (1, piece, len(times)):
            clock, folded = StepClock(), []
            for taken, at in ((first, 0), (second, 1000 + times[51])):
                one = a_pass(began=at, made=at, ended=taken[-1])
                for start in range(0, len(taken), size):
                    folded += loop(clock, one, taken[start : start + size])
                clock.end(one)
            found.append((folded, clock.fetch_ns, clock.batches, clock.between_ns))
        assert found[0] == found[1] == found[2]

    def test_time_between_epochs_is_no_step(self):
        clock = StepClock()
        first = a_pass(ended=65)
        readings = [*loop(clock, first, [10, 30, 40, 60, 62])]
        clock.end(first)
        # A validation of 1,000 ns, then an iterator that takes 5.
        readings += loop(clock, a_pass(began=1065, made=1070), [1071, 1091, 1100, 1120, 1130, 1150])
        assert clock.between_ns == 1000
        assert clock.begun == 2
        # The last step of the first epoch ended when the end was asked for; 3 ns to find it, 5 for the iterator.
        assert intervals(readings) == [30, 2 + 3 + 5 + 20, 29]
        assert [one.got for one in readings if one.begins] == [90]

    def test_an_iterator_for_each_step(self):
        clock, readings = StepClock(), []
        for number in range(4):
            at = 100 * number
            readings += loop(clock, a_pass(began=at, made=at + 30), [at + 31, at + 60])
        assert intervals(readings) == [100, 100]
        assert readings[1].got - readings[1].asked == 60
        # From the iterator to its batch, without the first one.
        assert clock.firsts == Total(180, 3)


class TestFit:
    def test_interval_is_exact_and_fetch_a_mean(self):
        clock = StepClock()
        one = a_pass(ended=200)
        folded = fit(clock, one, [0, 28, 30, 58, 60, 88, 90, 120], gap=10)
        assert intervals(folded) == [30, 30, 30]
        assert [reading.got - reading.asked for reading in folded[:3]] == [20, 20, 20]
        # The first call, which traces, does not count.
        assert clock.calls == Total(28 + 28 + 30, 3)
        assert clock.apart == Total(6, 3)
        # A step that found no batch is none.
        folded = fit(StepClock(), a_pass(ended=200), [0, 28, 30, 58, 60], gap=10)
        assert [reading.end for reading in folded][1:] == [60]

    def test_epochs_and_the_time_between_them(self):
        clock = StepClock()
        readings = fit(clock, a_pass(ended=70), [0, 28, 30, 58], gap=10)
        folded = fit(clock, a_pass(began=1070, made=1075), [1080, 1120, 1122, 1150, 1152], gap=10)
        assert [one.begins for one in folded] == [1, 0]
        assert clock.between_ns == 1000
        assert intervals([*readings, *folded]) == [30, 46, 30]

    def test_several_steps_in_a_call(self):
        clock = StepClock()
        folded = fit(clock, a_pass(), [0, 190, 200, 390, 400], gap=15, executions=10)
        assert len(folded) == 20
        assert set(intervals(folded)) == {20}
        assert clock.batches == 20

    def test_gaps_of_the_warm_up_are_none_of_the_measurement(self):
        consumer, gaps = Consumer(Place("train.py", 3), "training"), []
        one = a_pass()
        consumer.passes.append(one)

        def fold(step: int, gap: int) -> list:
            begin = fold.end
            for _ in range(10):
                one.steps.extend([begin, begin + step - 1_000])
                gaps.append(gap)
                begin += step
            fold.end = begin
            return folded_by(consumer, 0, lambda _: (len(gaps), gaps[:-1][-100:]))

        fold.end = 0
        # While it compiles steps take 90 us and 80 between two fetches; then 30, with 10 between.
        fold(90_000, 80)
        readings = [*fold(30_000, 10), *fold(30_000, 10)]
        fetches = [reading.got - reading.asked for reading in readings]
        # The first of them is the warm-up's last one, with a fetch of ten.
        assert sum(fetches) == pytest.approx(19 * 20_000 + 10_000)
        assert fetches[-1] == 20_000


class TestConsumer:
    def test_a_loop_is_seen_although_keras_calls_it(self):
        consumer = Consumer(Place("train.py", 3), "training")
        one = a_pass(times=[10, 30, 40, 60], steps=[31, 39])
        consumer.passes.append(one)
        folded = folded_by(consumer, 100)
        assert consumer.kind == "loop"
        assert len(folded) == 1

    @pytest.mark.parametrize("cut", range(9))
    def test_two_iterators_in_turn(self, cut: int):
        # Each batch is fetched for 6 and after two of them come 2 of a step; a look may come in the middle of a fetch.
        consumer = Consumer(Place("train.py", 3), "loop")
        first, second = a_pass(began=0, made=1), a_pass(began=1, made=2)
        consumer.passes += [first, second]
        times_of_two = [10, 16, 16, 22, 24, 30, 30, 36, 38]
        happened = [
            (one.times, time) for one, time in zip([first, first, second, second] * 3, times_of_two, strict=False)
        ]
        readings = []
        for number, (times, time) in enumerate(happened):
            if number == cut:
                readings += folded_by(consumer, time)
            times.append(time)
        readings += folded_by(consumer, 40)
        asked = [(one.asked, one.got, one.end) for one in readings]
        assert asked == [(10, 16, 16), (16, 22, 24), (24, 30, 30), (30, 36, 38)]
        assert consumer.clock.fetch_ns == 24
        assert consumer.clock.firsts.ns == 6

    @pytest.mark.parametrize(("second", "together"), [(50, 1), (45, 2), (10, 2)])
    def test_iterators_that_follow_each_other_between_two_looks_are_not_in_turn(self, second: int, together: int):
        # Each is left in the middle, as of `for _ in range(steps): next(iterator)`.
        consumer = Consumer(Place("train.py", 3), "loop")
        consumer.passes += [a_pass(times=[at, at + 10, at + 30, at + 40]) for at in (10, second)]
        folded_by(consumer, 200)
        assert consumer.together == together

    @pytest.mark.parametrize(
        ("first", "second", "waits"),
        [
            pytest.param(
                {"times": [10, 16, 24], "ended": 25},
                {"times": [16, 22, 25, 31, 33, 39]},
                [(10, 16, 16), (16, 22, 24), (25, 31, 33)],
                id="one ends beside one that goes on",
            ),
            pytest.param(
                {"times": [10, 16, 20]},
                {"began": 50, "made": 51, "times": [52, 58, 60]},
                [(10, 16, 20), (52, 58, 60)],
                id="a request that failed is not answered by another",
            ),
        ],
    )
    def test_two_iterators(self, first: dict, second: dict, waits: list):
        consumer = Consumer(Place("train.py", 3), "loop")
        consumer.passes += [a_pass(**first), a_pass(**second)]
        assert [(one.asked, one.got, one.end) for one in folded_by(consumer, 70)] == waits

    def test_a_graph_is_polled(self):
        consumer = Consumer(Place("train.py", 3), "loop")
        one = a_pass()
        consumer.passes.append(one)
        model = {"elements": 5, "gaps": [2]}
        looks = [folded_by(consumer, 0, lambda _: (model["elements"], model["gaps"]))]
        model.update(elements=15, gaps=[2] * 15)
        looks.append(folded_by(consumer, 100, lambda _: (model["elements"], model["gaps"])))
        assert [len(look) for look in looks] == [0, 10]
        assert consumer.kind == "graph"

    @pytest.mark.parametrize(
        ("gone", "iterators", "kept", "again"),
        [
            (True, 2, 1, True),
            (False, 2, 1, False),
            # Training and validation in one line, and datasets of each epoch that a list keeps.
            (False, 1, 2, False),
            (False, 1, 3, True),
            (False, 2, 3, False),
        ],
    )
    def test_a_dataset_that_is_built_again(self, gone: bool, iterators: int, kept: int, again: bool):
        consumer = Consumer(Place("train.py", 3), "loop", objects=DatasetObjects(lambda: None if gone else consumer))
        consumer.iterators, consumer.steps = iterators, 100
        assert consumer.is_built_again(kept) is again


MS = 1_000_000


class Traced:
    """A tf.function of a Python function of this file."""

    def __init__(self) -> None:
        self.python_function = step
        self.traces = 0

    def experimental_get_tracing_count(self) -> int:
        return self.traces


def step() -> None:
    """The function that is traced."""


@pytest.fixture
def clock() -> SimpleNamespace:
    return SimpleNamespace(now=0)


@pytest.fixture
def habits(clock: SimpleNamespace) -> Habits:
    return Habits(lambda: Place("train.py", 7), lambda: clock.now)


def test_the_first_trace_is_every_functions_own(habits: Habits) -> None:
    function = Traced()
    for traces, ms in ((1, 900), (1, 2), (2, 300), (3, 200), (3, 8)):
        function.traces = traces
        habits.function_returned(function, ms * MS)
    (use,) = habits.functions
    assert (use.name, use.calls, use.traces) == ("step", 5, 3)
    assert use.trace_seconds == pytest.approx(0.5)
    assert use.seconds == pytest.approx(1.41)


def test_functions_made_anew_in_each_step_are_one_that_is_traced_again(habits: Habits) -> None:
    for _ in range(4):
        function = Traced()
        function.traces = 1
        habits.function_returned(function, 100 * MS)
    (use,) = habits.functions
    assert (use.calls, use.traces, use.objects) == (4, 4, 4)
    assert use.trace_seconds == pytest.approx(0.3)


def test_calls_of_other_threads_do_not_count(habits: Habits) -> None:
    thread = threading.Thread(target=habits.function_returned, args=(Traced(), MS))
    thread.start()
    thread.join()
    assert habits.functions == []


def test_a_save_inside_another_is_a_part_of_it(habits: Habits, clock: SimpleNamespace) -> None:
    for method in ("tensorflow.train.CheckpointManager.save", "tensorflow.train.Checkpoint.write"):
        habits.saving(method)
        clock.now += 10 * MS
    habits.saving("tensorflow.io.gfile.rename")
    for _ in range(3):
        clock.now += 10 * MS
        habits.saved()
    assert (habits.saves, habits.save_ns) == (1, 50 * MS)
    assert habits.saver is not None
    assert (habits.saver.name, habits.saver.line) == ("tensorflow.train.CheckpointManager.save", 7)


class Callback:
    """As that of Keras, whose methods do nothing."""

    def on_batch_end(self) -> None: ...

    def on_train_batch_end(self) -> None: ...


def test_callbacks_that_keras_waits_for(habits: Habits) -> None:
    method = {"on_train_batch_end": lambda _: None}
    waiting = type("Waiting", (Callback,), method)
    safe = type("Safe", (Callback,), {**method, "async_safe": True})
    epochs = type("Epochs", (Callback,), {"on_epoch_end": lambda _: None})
    # What one was given counts as its method.
    lambdas = type("LambdaCallback", (Callback,), {})
    given = lambdas()
    given.on_train_batch_end = lambda: None
    habits.began_training([waiting(), safe(), epochs(), waiting(), lambdas(), given])
    assert [(one.name, one.file) for one in habits.callbacks] == [("Waiting", __file__), ("LambdaCallback", __file__)]
    assert habits.callbacks[1].line == given.on_train_batch_end.__code__.co_firstlineno


def test_sources_are_known_by_their_classes(habits: Habits) -> None:
    rows = type("Rows", (type("PyDataset", (), {}),), {"__getitem__": lambda _, index: index})()
    loader = type("DataLoader", (), {"dataset": rows})()
    habits.takes_from(SimpleNamespace())
    assert habits.source is None
    for source in (rows, loader):
        habits.takes_from(source)
        assert habits.source is not None
        assert habits.source.name == "Rows"
