"""What a training script does in addition to fetching: calls, traces, saves, callbacks and sources."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from pipeprof.profiles.worker.script.consumers import Place
from pipeprof.profiles.worker.script.observer import Habits

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
