"""Hooks on a library that looks like TensorFlow and Keras; imports that are watched."""

import itertools
import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from pipeprof.profiles.protocol.wrapped import WRAPPED
from pipeprof.profiles.worker.script import observer as observer_of
from pipeprof.profiles.worker.script.consumers import Place
from pipeprof.profiles.worker.script.hooks import Hooks, Observer
from pipeprof.profiles.worker.script.import_guard import ImportWatch
from pipeprof.profiles.worker.script.observer import ScriptObserver


class Batches:
    def __init__(self) -> None:
        self.left = 2

    def __next__(self) -> int:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return self.left

    def __iter__(self):
        return self


class Dataset:
    element_spec = "x"

    def __iter__(self) -> Batches:
        return Batches()

    def reduce(self, start: int) -> int:
        return start


class Log(Observer):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def iterator_made(self, *_arguments):
        self.seen.append("made")

    def asked(self, *_arguments):
        self.seen.append("asked")
        return lambda _now: self.seen.append("got")

    def ended(self, *_arguments):
        self.seen.append("ended")

    def reduced(self, *_arguments):
        self.seen.append("reduced")


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("tensorflow")
    module.data = SimpleNamespace(Dataset=type("Own", (Dataset,), {}))
    module.executing_eagerly = lambda: True
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    return module


def test_a_loop_is_told_and_nothing_else_changes(library):
    log = Log()
    hooks = Hooks(log, itertools.count().__next__)
    hooks.install("tensorflow")
    assert list(library.data.Dataset()) == [1, 0]
    assert log.seen == ["made", "asked", "got", "asked", "got", "asked", "ended"]
    hooks.uninstall()
    assert list(library.data.Dataset()) == [1, 0]
    assert len(log.seen) == 7
    assert "__iter__" not in vars(library.data.Dataset)


class Noting(Log):
    """Is asked for the first batch only."""

    def asked(self, iterator):
        super().asked()
        iterator.pipeprof_note = self.seen.append
        self.iterator = iterator
        return self.seen.append

    def forget_notes(self):
        del self.iterator.pipeprof_note


def test_an_iterator_with_a_note_is_not_asked_for(library):
    log = Noting()
    hooks = Hooks(log, itertools.count().__next__)
    hooks.install("tensorflow")
    iterator = iter(library.data.Dataset())
    assert next(iterator) == 1
    assert log.seen == ["made", "asked", 1]
    assert next(iterator) == 0
    assert log.seen[3:] == [2, 3]
    hooks.uninstall()
    assert not hasattr(iterator, "pipeprof_note")


def test_an_observer_that_defines_nothing_does_nothing(library):
    hooks = Hooks(Observer(), itertools.count().__next__)
    hooks.install("tensorflow")
    assert library.data.Dataset().reduce(3) == 3
    hooks.uninstall()


class Distributed:
    """What a strategy makes of a dataset: its iterator has one of the library's for each device."""

    def __init__(self, dataset: object, devices: int) -> None:
        self.copies = [type(dataset)() for _ in range(devices)]

    def __iter__(self):
        return DistributedBatches([iter(copy) for copy in self.copies])


class DistributedBatches:
    def __init__(self, inner: list) -> None:
        self.inner = inner

    def get_next(self) -> list[int]:
        return [next(one) for one in self.inner]

    def __next__(self) -> list[int]:
        return self.get_next()

    def __iter__(self):
        return self


class Strategy:
    def __init__(self, devices: int) -> None:
        self.devices = devices

    def experimental_distribute_dataset(self, dataset: object, options: object = None) -> object:
        return Distributed(dataset, self.devices) if self.devices and options is None else dataset

    def distribute_datasets_from_function(self, dataset_fn, options: object = None) -> object:
        return self.experimental_distribute_dataset(dataset_fn("context"), options)


def distributed(strategy: Strategy, dataset: object, how: str) -> object:
    if how == "function":
        return strategy.distribute_datasets_from_function(lambda _: dataset)
    return strategy.experimental_distribute_dataset(dataset=dataset)


@pytest.mark.parametrize("how", ["dataset", "function"])
@pytest.mark.parametrize("devices", [0, 1, 2])
def test_what_a_strategy_distributes_is_the_scripts_own_dataset(library, monkeypatch, how: str, devices: int) -> None:
    for kind in (Distributed, DistributedBatches):
        monkeypatch.setattr(sys.modules[__name__], kind.__name__, type(kind.__name__, (kind,), {}))
    library.distribute = SimpleNamespace(Strategy=type("Own", (Strategy,), {}))
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda iterator: (len(vars(iterator)), []))
    hooks = Hooks(observer, itertools.count().__next__)
    hooks.install("tensorflow")
    dataset, strategy = library.data.Dataset(), library.distribute.Strategy(devices)
    made = distributed(strategy, dataset, how)
    iterator = iter(made)
    assert len(list(iterator)) == 2
    hooks.uninstall()
    (consumer,) = observer.consumers
    (one,) = consumer.passes
    assert consumer.dataset() is dataset
    # Two that came, and the request for the end.
    assert (consumer.devices, len(one.times), bool(one.ended)) == (devices, 5, True)
    assert (one.look(type) is not None) == (devices < 2)
    assert len(list(made)) == 2
    assert len(observer.consumers[0].passes) == 1


def test_a_strategy_gets_the_dataset_that_is_handed_out(library, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "Distributed", type("Distributed", (Distributed,), {}))
    library.distribute = SimpleNamespace(Strategy=type("Own", (Strategy,), {}))

    class Shorter(library.data.Dataset):
        def __iter__(self):
            return iter([7])

    observer = Observer()
    observer.given = lambda _dataset: Shorter()
    hooks = Hooks(observer, itertools.count().__next__)
    hooks.install("tensorflow")
    try:
        assert list(distributed(library.distribute.Strategy(1), library.data.Dataset(), "dataset")) == [[7]]
        assert list(distributed(library.distribute.Strategy(1), library.data.Dataset(), "function")) == [[7]]
    finally:
        hooks.uninstall()


def test_a_reduce_is_told(library):
    log = Log()
    hooks = Hooks(log, itertools.count().__next__)
    hooks.install("tensorflow")
    assert library.data.Dataset().reduce(3) == 3
    hooks.uninstall()
    assert log.seen == ["reduced"]


def test_what_others_wrap_meanwhile_stays_and_tells_nothing_more(library):
    log = Log()
    hooks = Hooks(log, itertools.count().__next__)
    hooks.install("tensorflow")
    ours, calls = library.data.Dataset.__iter__, []
    library.data.Dataset.__iter__ = lambda dataset: (calls.append("theirs"), ours(dataset))[1]
    theirs = library.data.Dataset.__iter__
    hooks.uninstall()
    assert library.data.Dataset.__iter__ is theirs
    assert list(library.data.Dataset()) == [1, 0]
    assert (calls, log.seen) == (["theirs"], [])
    assert "Hooks" not in Batches.__next__.__qualname__


class CallbackList:
    def __init__(self) -> None:
        self.epochs: list[int] = []

    def on_epoch_begin(self, epoch: int) -> None:
        self.epochs.append(epoch)


def test_arguments_may_be_named(monkeypatch):
    seen = []
    keras, os = ModuleType("keras"), ModuleType("os")
    os._exit = lambda status: seen.append(f"exited {status}")
    keras.callbacks = SimpleNamespace(CallbackList=type("Own", (CallbackList,), {}))
    for module in (keras, os):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    observer = Observer()
    observer.exiting = lambda number: seen.append(f"told {number}")
    observer.epoch_began = lambda: seen.append("an epoch")
    hooks = Hooks(observer, itertools.count().__next__)
    hooks.install("keras")
    hooks.install("os")
    os._exit(status=3)
    callbacks = keras.callbacks.CallbackList()
    callbacks.on_epoch_begin(epoch=2)
    hooks.uninstall()
    assert (seen, callbacks.epochs) == (["told 3", "exited 3", "an epoch"], [2])


def test_each_wrapped_method_has_a_reason():
    assert all(row.why for row in WRAPPED)
    assert len({str(row) for row in WRAPPED}) == len(WRAPPED)


def test_an_import_is_reported_when_it_is_complete(tmp_path, monkeypatch):
    (tmp_path / "watched_library.py").write_text("import watched_other\nready = True\n")
    (tmp_path / "watched_other.py").write_text("import sys\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = []
    watch = ImportWatch(("watched_library",), lambda name: seen.append(sys.modules[name].ready))
    watch.begin()
    try:
        __import__("watched_library")
        __import__("watched_library")
    finally:
        watch.end()
        sys.modules.pop("watched_library", None)
    assert seen == [True]
    assert watch not in sys.meta_path


def test_an_import_that_fails_first_is_reported_when_it_succeeds(tmp_path, monkeypatch):
    (tmp_path / "watched_twice.py").write_text(
        "import builtins\nif not hasattr(builtins, 'second'): raise ImportError\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = []
    watch = ImportWatch(("watched_twice",), seen.append)
    watch.begin()
    try:
        with pytest.raises(ImportError):
            __import__("watched_twice")
        monkeypatch.setattr("builtins.second", 1, raising=False)
        __import__("watched_twice")
    finally:
        watch.end()
        sys.modules.pop("watched_twice", None)
    assert seen == ["watched_twice"]


def test_datasets_are_told_apart_by_object_and_role():
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    training, validation = Dataset(), Dataset()
    model = SimpleNamespace(steps_per_execution=4)
    held = [Batches(), Batches()]
    observer.fit_called(model, training)
    observer.iterator_made(training, held[0], 0)
    observer.train_began(model, [])
    observer.epoch_began()
    for note in observer.steps:
        note(0)
    observer.entered("validation")
    observer.iterator_made(validation, held[1], 0)
    observer.left("validation")
    observer.epoch_ending()
    observer.epoch_ended()
    observer.fit_returned()
    assert [(one.role, one.executions) for one in observer.consumers] == [("training", 4), ("validation", 1)]
    assert (observer.epochs, observer.validations) == (1, 1)
    assert len(observer.consumers[0].passes[0].steps) == 2
    assert observer.consumers[0].passes[0].ended


def test_a_look_at_the_validations_data_within_an_epoch_is_not_of_the_training():
    """With a strategy, Keras takes a batch of it before the validation begins."""
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    training, validation, held = Dataset(), Dataset(), [Batches() for _ in range(5)]
    observer.fit_called(None, training)
    observer.iterator_made(training, held[0], 0)
    for number in (1, 3):
        observer.epoch_began()
        for note in observer.steps:
            note(0)
        observer.iterator_made(validation, held[number], 0)
        observer.asked(held[number])(0)
        observer.entered("validation")
        observer.iterator_made(validation, held[number + 1], 0)
        observer.left("validation")
        observer.epoch_ending()
        observer.epoch_ended()
    assert [(one.role, one.iterators) for one in observer.consumers] == [("training", 1), ("validation", 4)]
    assert sum(len(one.steps) for one in observer.consumers[0].passes) == 4


def test_steps_of_fit_are_attended_to_while_there_is_attention_and_noted_always():
    attended = []
    observer = ScriptObserver(lambda _: None, attended.append, lambda: None, lambda _: None)
    dataset, iterator, model = Dataset(), Batches(), SimpleNamespace(steps_per_execution=1)
    observer.fit_called(model, dataset)
    observer.iterator_made(dataset, iterator, 0)
    observer.epoch_began()
    for attention in (False, True, True, False, False):
        observer.attention = attention
        for note in observer.steps:
            note(0)
    (one,) = observer.consumers[0].passes
    assert (attended, len(one.steps)) == ([one, one], 10)
    observer.epoch_ending()
    observer.steps[1](0)
    assert len(one.steps) == 10


def test_an_iterator_is_asked_for_again_once_there_is_attention_or_its_epoch_is_over():
    attended = []
    observer = ScriptObserver(lambda _: None, attended.append, lambda: None, lambda _: None)
    dataset, iterator = Dataset(), Batches()
    observer.iterator_made(dataset, iterator, 0)
    observer.asked(iterator)
    assert iterator.pipeprof_note == observer.consumers[0].passes[0].times.append
    observer.attention = True
    assert not hasattr(iterator, "pipeprof_note")
    observer.asked(iterator)
    assert (len(attended), hasattr(iterator, "pipeprof_note")) == (1, False)
    observer.attention = False
    observer.fit_called(None, dataset)
    further = Batches()
    observer.iterator_made(dataset, further, 0)
    observer.epoch_began()
    observer.steps[0](0)
    observer.asked(further)
    assert hasattr(further, "pipeprof_note")
    observer.epoch_ending()
    assert not hasattr(further, "pipeprof_note")


STEPS = ("on_train_batch_begin", "on_train_batch_end")


@pytest.mark.parametrize("in_python", [False, True])
def test_epochs_with_the_iterator_of_the_one_before_are_one_pass_with_pauses(*, in_python: bool) -> None:
    """`fit` has `steps_per_epoch`; on JAX and torch it takes the batches in Python."""
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    dataset, times = Dataset(), itertools.count(0, 1_000_000)
    observer._clock = times.__next__
    observer.fit_called(None, None)
    iterator = Batches()
    observer.iterator_made(dataset, iterator, next(times))
    (consumer,) = observer.consumers
    for _ in range(3):
        observer.epoch_began()
        for _ in range(5):
            if in_python:
                observer.asked(iterator)(next(times))
            observer.steps[0](next(times))
            observer.steps[1](next(times))
        observer.epoch_ending()
        for _ in range(1000):
            next(times)
        observer.epoch_ended()
        consumer.fold(next(times), lambda _: None)
    clock = consumer.clock
    assert (clock.batches, clock.begun, clock.continued, clock.firsts) == (15, 1, 2, 0)
    assert 2.0 <= clock.between_ns / 1e9 < 2.1
    assert consumer.seconds < 1.0


def of_keras(library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> tuple[type, type]:
    """Return a class of tf.functions, and Keras' list of callbacks."""

    class Function:
        python_function = None

        def __call__(self) -> int:
            return 7

        def experimental_get_tracing_count(self) -> int:
            return 1

    keras, kind = ModuleType("keras"), type("Kind", (), {})
    calls = type("Own", (), {name: lambda _calls, batch, logs=None: (batch, logs)[0] for name in STEPS})
    keras.callbacks = SimpleNamespace(CallbackList=calls)
    monkeypatch.setitem(sys.modules, "keras", keras)
    library.types = SimpleNamespace(experimental=SimpleNamespace(PolymorphicFunction=kind))
    return type("Own", (Function, kind), {}), calls


def test_methods_of_keras_and_functions_that_stay_wrapped_tell_nothing_more(library, monkeypatch):
    own, calls = of_keras(library, monkeypatch)
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    hooks = Hooks(observer, itertools.count(1).__next__)
    hooks.install("tensorflow")
    hooks.install("keras")
    kept, call, function = [getattr(calls, name) for name in STEPS], own.__call__, own()
    observer.epoch_began()
    for _ in range(3):
        assert [call(function), *(one(calls(), 5) for one in kept)] == [7, 5, 5]
    epoch = observer._epoch
    assert (observer.habits.functions[0].calls, len(epoch.steps)) == (3, 6)
    hooks.uninstall()
    assert [call(function), *(one(calls(), 5) for one in kept)] == [7, 5, 5]
    assert (observer.habits.functions[0].calls, len(epoch.steps)) == (3, 6)


def test_a_step_calls_as_little_of_pipeprof_as_it_can(library, monkeypatch):
    own, calls = of_keras(library, monkeypatch)
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    hooks = Hooks(observer, itertools.count(1, 2).__next__)
    hooks.install("tensorflow")
    hooks.install("keras")
    function, callbacks, batches = own(), calls(), iter(library.data.Dataset())
    batches.left = 10
    observer.epoch_began()

    def fit_step() -> None:
        callbacks.on_train_batch_begin(0)
        function()
        callbacks.on_train_batch_end(0, {})

    def calls_of(step) -> list[str]:
        # What comes first looks up what later ones call.
        step()
        found: list[str] = []

        def note(frame, event, argument) -> None:
            code = frame.f_code
            if event == "call" and f"{os.sep}pipeprof{os.sep}" in code.co_filename:
                found.append(code.co_name)
            elif event == "c_call" and getattr(argument, "__self__", None).__class__.__name__ == "lock":
                found.append("lock")

        sys.setprofile(note)
        try:
            step()
        finally:
            sys.setprofile(None)
        return found

    assert calls_of(fit_step) == ["on_train_batch", "call", "returned", "on_train_batch"]
    assert calls_of(lambda: next(batches)) == ["next_batch"]
    hooks.uninstall()
    assert calls_of(fit_step) == calls_of(lambda: next(batches)) == []


def iterated(observer: ScriptObserver, dataset: Dataset, line: int, batches: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(observer_of, "users_place", lambda: Place("train.py", line))
    iterator = Batches()
    observer.iterator_made(dataset, iterator, 0)
    for _ in range(batches):
        observer.asked(iterator)(1)
    return iterator


@pytest.mark.parametrize("folded", [True, False])
def test_the_place_of_a_dataset_is_where_it_is_trained_on_not_where_it_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, *, folded: bool
) -> None:
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    dataset, kept = Dataset(), []
    for line, batches in ((5, 1), (7, 40), (9, 1), (7, 40)):
        kept.append(iterated(observer, dataset, line, batches, monkeypatch))
        if folded:
            observer.consumers[0].fold(1, lambda _: None)
    (consumer,) = observer.consumers
    assert (consumer.place.line, consumer.iterators) == (7, 4)


def test_a_look_at_each_dataset_that_is_built_again_is_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    for _ in range(3):
        dataset = Dataset()
        kept = [iterated(observer, dataset, line, batches, monkeypatch) for line, batches in ((5, 1), (7, 40))]
        del dataset
    (consumer,) = observer.consumers
    assert (consumer.place.line, consumer.datasets, len(kept)) == (7, 3, 2)


def test_a_dataset_was_built_again_from_the_first_one_made_for_it_to_its_iteration(monkeypatch) -> None:
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    now = [0]
    observer._clock = lambda: now[0]
    monkeypatch.setattr(observer_of, "users_place", lambda: Place("train.py", 7))
    kept = []
    for epoch in range(4):
        dataset, iterator = Dataset(), Batches()
        now[0] += 5
        observer.dataset_made(dataset)
        now[0] += 1000
        observer.dataset_made(dataset)
        if epoch == 1:
            # Of what comes between the building and the loop nobody knows.
            observer.saved()
        observer.iterator_made(dataset, iterator, now[0])
        for _ in range(40):
            observer.asked(iterator)(now[0])
        kept.append(iterator)
        now[0] += 500
        observer.ended(iterator)
        del dataset
    (consumer,) = observer.consumers
    assert (consumer.datasets, consumer.builds, consumer.built_ns) == (4, 2, 2000)


@pytest.mark.parametrize("again", [True, False])
def test_a_cache_that_was_made_before_is_not_made_again(monkeypatch, *, again: bool) -> None:
    class CacheDataset(Dataset):
        pass

    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    monkeypatch.setattr(observer_of, "users_place", lambda: Place("train.py", 7))
    kept = []
    for epoch in range(2):
        if again or not epoch:
            observer.dataset_made(CacheDataset())
        dataset = Dataset()
        observer.dataset_made(dataset)
        kept.append(Batches())
        observer.iterator_made(dataset, kept[-1], 0)
        for _ in range(40):
            observer.asked(kept[-1])(1)
        observer.ended(kept[-1])
        del dataset
    (consumer,) = observer.consumers
    assert (consumer.datasets, consumer.caches_again) == (2, again)


def test_what_fit_does_before_it_iterates_is_no_building() -> None:
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    now, kept = [0], []
    observer._clock = lambda: now[0]
    for _ in range(2):
        dataset = Dataset()
        now[0] += 1
        observer.dataset_made(dataset)
        now[0] += 1000
        observer.fit_called(None, dataset)
        now[0] += 50_000
        kept.append(Batches())
        observer.iterator_made(dataset, kept[-1], now[0])
        for _ in range(40):
            observer.asked(kept[-1])(now[0])
        observer.fit_returned()
        del dataset
    (consumer,) = observer.consumers
    assert (consumer.builds, consumer.built_ns) == (1, 1000)


def test_a_validation_takes_no_dataset_from_a_training_that_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    dataset, model = Dataset(), SimpleNamespace(steps_per_execution=1)
    observer.fit_called(model, dataset)
    kept = [iterated(observer, dataset, 7, 1, monkeypatch)]
    observer.entered("validation")
    kept.append(iterated(observer, dataset, 8, 1, monkeypatch))
    assert [(one.role, one.place.line) for one in observer.consumers] == [("training", 7)]


@pytest.mark.parametrize(("cardinality", "passes", "epochs"), [(-1, 1, 0), (-1, 3, 3), (-2, 1, 1), (60, 1, 1)])
def test_one_pass_over_a_dataset_without_an_end_is_no_epoch(cardinality: int, passes: int, epochs: int) -> None:
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    dataset = Dataset()
    dataset.cardinality = lambda: cardinality
    observer.iterator_made(dataset, Batches(), 0)
    (consumer,) = observer.consumers
    consumer.clock.begun = passes
    assert consumer.epochs == epochs


def test_iterators_are_not_kept_alive():
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    dataset, iterator = Dataset(), Batches()
    observer.iterator_made(dataset, iterator, 0)
    known = observer.consumers[0].passes[0]
    assert known.iterator() is iterator
    del iterator
    assert known.iterator() is None


def test_jax_tells_what_it_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    listeners, told = [], []
    jax = ModuleType("jax")
    jax.monitoring = SimpleNamespace(register_event_duration_secs_listener=listeners.append)
    monkeypatch.setitem(sys.modules, "jax", jax)
    observer = Observer()
    observer.compiled = lambda function, seconds: told.append((function, seconds))
    hooks = Hooks(observer, lambda: 0)
    hooks.install("jax")
    (listener,) = listeners
    listener("/jax/core/compile/jaxpr_trace_duration", 0.5, fun_name="step")
    listener("/jax/core/compile/backend_compile_duration", 0.2, fun_name="jit(step)")
    hooks.uninstall()
    listener("/jax/core/compile/backend_compile_duration", 0.2, fun_name="jit(step)")
    assert told == [("jit(step)", 0.2)]


def test_the_loader_that_keras_makes_of_a_dataset_is_no_source():
    observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, lambda _: None)
    model, loader = SimpleNamespace(steps_per_execution=1), type("DataLoader", (), {"dataset": Dataset()})()
    observer.fit_called(model, Dataset())
    observer.loader_began(loader)
    observer.fit_returned()
    assert observer.habits.source is None
    observer.loader_began(loader)
    assert observer.habits.source_kind == "DataLoader"
