"""Hooks on a library that looks like TensorFlow and Keras; imports that are watched."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.worker.script import observer as observer_of
from pipeprof.profiles.worker.script.consumers import Consumer, Place, Total
from pipeprof.profiles.worker.script.hooks import Hooks, Observer
from pipeprof.profiles.worker.script.import_guard import ImportWatch
from pipeprof.profiles.worker.script.observer import Handlers, ScriptObserver


class Batches:
    def __init__(self, left: int = 2) -> None:
        self.left = left

    def __next__(self) -> int:
        if not self.left:
            raise StopIteration
        self.left -= 1
        return self.left

    def __iter__(self) -> Batches:
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

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: self.seen.append(name)

    def asked(self, _iterator: Any) -> Callable[[int], object]:
        self.seen.append("asked")
        return lambda _now: self.seen.append("got")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = ModuleType("tensorflow")
    module.data = SimpleNamespace(Dataset=type("Own", (Dataset,), {}))
    module.executing_eagerly = lambda: True
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    return module


@contextmanager
def hooked(observer: Any, *libraries: str, clock: Callable[[], int] | None = None) -> Iterator[Hooks]:
    hooks = Hooks(observer, clock or itertools.count().__next__)
    for name in libraries or ("tensorflow",):
        hooks.install(name)
    try:
        yield hooks
    finally:
        hooks.uninstall()


def test_what_a_script_does_is_told_and_nothing_else_changes(library: Any) -> None:
    log = Log()
    for observer in (log, Observer()):
        with hooked(observer):
            assert list(library.data.Dataset()) == [1, 0]
            assert library.data.Dataset().reduce(3) == 3
    assert list(library.data.Dataset()) == [1, 0]
    assert log.seen == [
        "dataset_made",
        "iterator_made",
        *["asked", "got"] * 2,
        "asked",
        "ended",
        "dataset_made",
        "reduced",
    ]
    assert "__iter__" not in vars(library.data.Dataset)


class Distributed:
    """What a strategy makes of a dataset: its iterator has one of the library's for each device."""

    def __init__(self, dataset: object, devices: int) -> None:
        self.copies = [type(dataset)() for _ in range(devices)]

    def __iter__(self) -> DistributedBatches:
        return DistributedBatches([iter(copy) for copy in self.copies])


class DistributedBatches:
    def __init__(self, inner: list[Any]) -> None:
        self.inner = inner

    def get_next(self) -> list[int]:
        return [next(one) for one in self.inner]

    def __next__(self) -> list[int]:
        return self.get_next()

    def __iter__(self) -> DistributedBatches:
        return self


class Strategy:
    def __init__(self, devices: int) -> None:
        self.devices = devices

    def experimental_distribute_dataset(self, dataset: object, options: object = None) -> object:
        return Distributed(dataset, self.devices) if self.devices and options is None else dataset

    def distribute_datasets_from_function(self, dataset_fn: Any, options: object = None) -> object:
        return self.experimental_distribute_dataset(dataset_fn("context"), options)


@pytest.fixture
def distributed(library: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Any, str], Any]:
    """Returns what a strategy for so many devices makes of a dataset, given as it is or by a function."""
    for kind in (Distributed, DistributedBatches):
        monkeypatch.setattr(sys.modules[__name__], kind.__name__, type(kind.__name__, (kind,), {}))
    library.distribute = SimpleNamespace(Strategy=type("Own", (Strategy,), {}))

    def distribute(devices: int, dataset: Any, how: str) -> Any:
        strategy = library.distribute.Strategy(devices)
        if how == "function":
            return strategy.distribute_datasets_from_function(lambda _: dataset)
        return strategy.experimental_distribute_dataset(dataset=dataset)

    return distribute


@pytest.mark.parametrize("how", ["dataset", "function"])
@pytest.mark.parametrize("devices", [0, 1, 2])
def test_what_a_strategy_distributes_is_the_scripts_own_dataset(
    library: Any, distributed: Any, how: str, devices: int
) -> None:
    observer = ScriptObserver(Handlers(model=lambda iterator: (len(vars(iterator)), [])))
    with hooked(observer):
        dataset = library.data.Dataset()
        made = distributed(devices, dataset, how)
        iterator = iter(made)
        assert len(list(iterator)) == 2
    (consumer,) = observer.consumers
    (one,) = consumer.passes
    assert consumer.objects.latest() is dataset
    # Two that came, and the request for the end.
    assert (consumer.devices, len(one.times), bool(one.ended)) == (devices, 5, True)
    assert (one.look(type) is not None) == (devices < 2)
    assert len(list(made)) == 2
    assert len(observer.consumers[0].passes) == 1


@pytest.mark.parametrize("how", ["dataset", "function"])
def test_a_strategy_gets_the_dataset_that_is_handed_out(library: Any, distributed: Any, how: str) -> None:
    class Shorter(library.data.Dataset):
        def __iter__(self) -> Iterator[int]:
            return iter([7])

    observer: Any = Observer()
    observer.given = lambda _dataset: Shorter()
    with hooked(observer):
        assert list(distributed(1, library.data.Dataset(), how)) == [[7]]


def test_what_others_wrap_meanwhile_stays_and_tells_nothing_more(library: Any) -> None:
    log, calls = Log(), []
    with hooked(log):
        ours = library.data.Dataset.__iter__
        library.data.Dataset.__iter__ = lambda dataset: (calls.append("theirs"), ours(dataset))[1]
        theirs = library.data.Dataset.__iter__
    assert library.data.Dataset.__iter__ is theirs
    assert list(library.data.Dataset()) == [1, 0]
    assert (calls, log.seen) == (["theirs"], [])
    assert "Hooks" not in Batches.__next__.__qualname__


def test_arguments_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    keras: Any = ModuleType("keras")
    system: Any = ModuleType("os")
    observer: Any = Observer()
    system._exit = lambda status: seen.append(f"exited {status}")
    calls = type("Own", (), {"on_epoch_begin": lambda _self, epoch: seen.append(epoch)})
    keras.callbacks = SimpleNamespace(CallbackList=calls)
    keras.Model = type("Own", (), {"fit": lambda _self, x: seen.append(x)})
    for module in (keras, system):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    observer.exiting = lambda number: seen.append(f"told {number}")
    observer.epoch_began = lambda: seen.append("an epoch")
    observer.fit_called = lambda _model, source: seen.append(f"fits {source}")
    observer.fit_returned = lambda: seen.append("over")
    with hooked(observer, "keras", "os"):
        system._exit(status=3)
        calls().on_epoch_begin(epoch=2)
        keras.Model().fit(x="data")
    assert seen == ["told 3", "exited 3", "an epoch", 2, "fits data", "data", "over"]


@pytest.mark.parametrize("fails", [False, True])
def test_an_import_is_reported_once_when_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    fail = "import builtins\nif not hasattr(builtins, 'second'): raise ImportError\n" if fails else ""
    (tmp_path / "watched_library.py").write_text(f"{fail}import watched_other\nready = True\n")
    (tmp_path / "watched_other.py").write_text("import sys\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    seen: list[bool] = []
    watch = ImportWatch(("watched_library",), lambda name: seen.append(sys.modules[name].ready))
    watch.begin()
    try:
        if fails:
            with pytest.raises(ImportError):
                __import__("watched_library")
            monkeypatch.setattr("builtins.second", 1, raising=False)
        for _ in range(2):
            __import__("watched_library")
    finally:
        watch.end()
        sys.modules.pop("watched_library", None)
    assert seen == [True]
    assert watch not in sys.meta_path


class Script:
    """A script as its hooks tell of it; the time and the line are what a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.attended: list[Any] = []
        self.observer = ScriptObserver(Handlers(attend=self.attended.append))
        self.now, self.line = 1, 7
        self.kept: list[Any] = []
        self.observer._clock = lambda: self.now
        monkeypatch.setattr(observer_of, "users_place", lambda: Place("train.py", self.line))

    def iterate(self, dataset: Dataset, batches: int = 40, line: int = 7) -> Batches:
        """Take batches from a new iterator, which is kept."""
        self.line = line
        self.kept.append(iterator := Batches())
        self.observer.iterator_made(dataset, iterator, self.now)
        for _ in range(batches):
            self.observer.asked(iterator)(self.now)
        return iterator

    def step(self) -> None:
        self.observer.step_began()
        self.observer.step_returned()

    def epoch_of_fit(self, validation: Dataset, looks: int) -> None:
        """A step, so many looks at the data of the validation, and the validation."""
        self.observer.epoch_began()
        self.step()
        for _ in range(looks):
            self.iterate(validation, 1)
        self.observer.entered("validation")
        self.iterate(validation, 0)
        self.observer.left("validation")
        self.observer.epoch_ending()
        self.observer.epoch_ended()

    @property
    def only(self) -> Consumer:
        (consumer,) = self.observer.consumers
        return consumer


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    return Script(monkeypatch)


def test_datasets_are_told_apart_by_object_and_role(script: Script) -> None:
    observer, training = script.observer, Dataset()
    observer.fit_called(SimpleNamespace(steps_per_execution=4), training)
    script.iterate(training, 0)
    observer.train_began([])
    script.epoch_of_fit(Dataset(), looks=0)
    observer.fit_returned()
    assert [(one.role, one.executions) for one in observer.consumers] == [("training", 4), ("validation", 1)]
    assert (observer.fit.epochs, observer.fit.validations.count) == (1, 1)
    assert len(observer.consumers[0].passes[0].steps) == 2
    assert observer.consumers[0].passes[0].ended


def test_a_look_at_the_validations_data_within_an_epoch_is_not_of_the_training(script: Script) -> None:
    """With a strategy, Keras takes a batch of it before the validation begins."""
    observer, training, validation = script.observer, Dataset(), Dataset()
    observer.fit_called(None, training)
    script.iterate(training, 0)
    for _ in range(2):
        script.epoch_of_fit(validation, looks=1)
    assert [(one.role, one.iterators) for one in observer.consumers] == [("training", 1), ("validation", 4)]
    assert sum(len(one.steps) for one in observer.consumers[0].passes) == 4


def test_a_validation_takes_no_dataset_from_a_training_that_has_begun(script: Script) -> None:
    dataset = Dataset()
    script.observer.fit_called(SimpleNamespace(steps_per_execution=1), dataset)
    script.iterate(dataset, 1)
    script.observer.entered("validation")
    script.iterate(dataset, 1, line=8)
    assert (script.only.role, script.only.place.line) == ("training", 7)


def test_steps_of_fit_are_attended_to_while_there_is_attention_and_noted_always(script: Script) -> None:
    observer, dataset = script.observer, Dataset()
    observer.fit_called(SimpleNamespace(steps_per_execution=1), dataset)
    script.iterate(dataset, 0)
    observer.epoch_began()
    for attention in (False, True, True, False, False):
        observer.attention = attention
        script.step()
    (one,) = script.only.passes
    assert (script.attended, len(one.steps)) == ([one, one], 10)
    observer.epoch_ending()
    observer.step_returned()
    assert len(one.steps) == 10


@pytest.mark.parametrize("in_python", [False, True])
def test_epochs_with_the_iterator_of_the_one_before_are_one_pass_with_pauses(
    script: Script, *, in_python: bool
) -> None:
    """`fit` has `steps_per_epoch`; on JAX and torch it takes the batches in Python."""
    observer, times = script.observer, itertools.count(0, 1_000_000)
    observer._clock = times.__next__
    dataset, iterator = Dataset(), Batches()
    observer.fit_called(None, None)
    observer.iterator_made(dataset, iterator, next(times))
    for _ in range(3):
        observer.epoch_began()
        for _ in range(5):
            if in_python:
                observer.asked(iterator)(next(times))
            observer.step_began()
            observer.step_returned()
        observer.epoch_ending()
        for _ in range(1000):
            next(times)
        observer.epoch_ended()
        script.only.fold(next(times), lambda _: None)
    clock = script.only.clock
    assert (clock.batches, clock.begun, clock.continued, clock.firsts.count) == (15, 1, 2, 0)
    assert 2.0 <= clock.between_ns / 1e9 < 2.1
    assert script.only.seconds < 1.0


STEPS = ("on_train_batch_begin", "on_train_batch_end")


@pytest.fixture
def of_keras(library: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """A class of tf.functions, and Keras' list of callbacks."""

    class Function:
        python_function = None

        def __call__(self) -> int:
            return 7

        def experimental_get_tracing_count(self) -> int:
            return 1

    keras: Any = ModuleType("keras")
    kind = type("Kind", (), {})
    calls = type("Own", (), {name: lambda _calls, batch, logs=None: (batch, logs)[0] for name in STEPS})
    keras.callbacks = SimpleNamespace(CallbackList=calls)
    monkeypatch.setitem(sys.modules, "keras", keras)
    library.types = SimpleNamespace(experimental=SimpleNamespace(PolymorphicFunction=kind))
    return type("Own", (Function, kind), {}), calls


def test_methods_of_keras_and_functions_that_stay_wrapped_tell_nothing_more(of_keras: tuple[Any, Any]) -> None:
    (own, calls), observer = of_keras, ScriptObserver(Handlers())

    def is_told() -> None:
        assert [call(function), *(one(calls(), 5) for one in kept)] == [7, 5, 5]

    with hooked(observer, "tensorflow", "keras", clock=itertools.count(1).__next__):
        kept, call, function = [getattr(calls, name) for name in STEPS], own.__call__, own()
        observer.epoch_began()
        for _ in range(3):
            is_told()
        epoch: Any = observer._epoch
    is_told()
    assert (observer.habits.functions[0].calls, len(epoch.steps)) == (3, 6)


@pytest.mark.parametrize(("folded", "again"), [(True, False), (False, False), (False, True)])
def test_the_place_of_a_dataset_is_where_it_is_trained_on_not_where_it_was_looked_at(
    script: Script, *, folded: bool, again: bool
) -> None:
    dataset = Dataset()
    for line, batches in ((5, 1), (7, 40), (5, 1), (7, 40)):
        if again and line == 5:
            dataset = Dataset()
        script.iterate(dataset, batches, line)
        if folded:
            script.only.fold(1, lambda _: None)
    assert (script.only.place.line, script.only.objects.count) == (7, 2 if again else 1)


def test_a_dataset_was_built_again_from_the_first_one_made_for_it_to_its_iteration(script: Script) -> None:
    for epoch in range(4):
        dataset = Dataset()
        script.now += 5
        script.observer.dataset_made(dataset)
        script.now += 1000
        script.observer.dataset_made(dataset)
        if epoch == 1:
            # Of what comes between the building and the loop nobody knows.
            script.observer.saved()
        iterator = script.iterate(dataset)
        script.now += 500
        script.observer.ended(iterator)
        del dataset
    assert (script.only.objects.count, script.only.objects.built) == (4, Total(2000, 2))


def test_what_fit_does_before_it_iterates_is_no_building(script: Script) -> None:
    for _ in range(2):
        dataset = Dataset()
        script.now += 1
        script.observer.dataset_made(dataset)
        script.now += 1000
        script.observer.fit_called(None, dataset)
        script.now += 50_000
        script.iterate(dataset)
        script.observer.fit_returned()
        del dataset
    assert script.only.objects.built == Total(1000, 1)


@pytest.mark.parametrize("again", [True, False])
def test_a_cache_that_was_made_before_is_not_made_again(script: Script, *, again: bool) -> None:
    for epoch in range(2):
        if again or not epoch:
            script.observer.dataset_made(type("CacheDataset", (Dataset,), {})())
        dataset = Dataset()
        script.observer.dataset_made(dataset)
        script.observer.ended(script.iterate(dataset))
        del dataset
    assert (script.only.objects.count, script.only.objects.caches_again) == (2, again)


@pytest.mark.parametrize(("cardinality", "passes", "epochs"), [(-1, 1, 0), (-1, 3, 3), (-2, 1, 1), (60, 1, 1)])
def test_one_pass_over_a_dataset_without_an_end_is_no_epoch(
    script: Script, cardinality: int, passes: int, epochs: int
) -> None:
    dataset: Any = Dataset()
    dataset.cardinality = lambda: cardinality
    script.iterate(dataset, 0)
    script.only.clock.begun = passes
    assert script.only.epochs == epochs


def test_iterators_are_not_kept_alive(script: Script) -> None:
    dataset = Dataset()
    iterator = script.iterate(dataset, 0)
    known = script.only.passes[0]
    assert known.iterator() is iterator
    script.kept.clear()
    del iterator
    assert known.iterator() is None


def test_the_loader_that_keras_makes_of_a_dataset_is_no_source(script: Script) -> None:
    observer, loader = script.observer, type("DataLoader", (), {"dataset": Dataset()})()
    observer.fit_called(SimpleNamespace(steps_per_execution=1), Dataset())
    observer.loader_began(loader)
    observer.fit_returned()
    assert observer.habits.source is None
    observer.loader_began(loader)
    assert observer.habits.source is not None
