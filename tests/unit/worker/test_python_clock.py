"""Calls of Python functions are timed one by one, through classes of TensorFlow's: no TensorFlow, no clock."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from threading import Thread
from types import ModuleType, SimpleNamespace

import pytest

from pipeprof.profiles.worker.trace import python_clock
from pipeprof.profiles.worker.trace.python_clock import TENSORFLOW, PythonClock


class Clock:
    """Time that passes only where something takes it."""

    now = 0

    @classmethod
    def take(cls, seconds: int) -> None:
        cls.now += seconds * 10**9

    @classmethod
    def read(cls) -> int:
        return cls.now


class EagerFunc:
    """A function of the user's, between conversions of 20 s."""

    def __init__(self, function: Callable[[int], int]) -> None:
        self._func = function

    def __call__(self, number: int) -> int:
        return self._call(number)

    def _call(self, number: int) -> int:
        Clock.take(20)
        return self._func(number)


class GeneratorState:
    """One generator, that ends."""

    def __init__(self, function: Callable[[], Iterator[int]]) -> None:
        self.iterator = function()

    def get_iterator(self, number: int) -> Iterator[int]:
        return {0: self.iterator}[number]


class FuncRegistry:
    def __init__(self) -> None:
        self.functions: dict[str, Callable[[int], int]] = {}

    def get(self, token: str, default: Callable[[int], int] | None = None) -> Callable[[int], int] | None:
        return self.functions.get(token, default)

    def __call__(self, token: str, device: str, number: int) -> int:
        function = self.get(token)
        if function is None:
            raise ValueError(token, device)
        Clock.take(10)
        return function(number)


class DatasetV2:
    _GeneratorState = GeneratorState


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FuncRegistry:
    """Functions that take 1, 2 and 3 s, the last one the step of a generator."""
    scripts, datasets = ModuleType("script_ops"), ModuleType("dataset_ops")
    vars(scripts).update(FuncRegistry=FuncRegistry, EagerFunc=EagerFunc)
    vars(datasets).update(DatasetV2=DatasetV2)
    monkeypatch.setitem(sys.modules, "tensorflow.python.ops.script_ops", scripts)
    monkeypatch.setitem(sys.modules, "tensorflow.python.data.ops.dataset_ops", datasets)
    monkeypatch.setattr(python_clock, "time", SimpleNamespace(perf_counter_ns=Clock.read, thread_time_ns=Clock.read))

    def taking(seconds: int) -> Callable[[int], int]:
        def give(number: int) -> int:
            Clock.take(seconds)
            return number + seconds

        return give

    def steps() -> Iterator[int]:
        for number in range(2):
            Clock.take(3)
            yield number

    state = GeneratorState(steps)

    def generator_py_func(number: int) -> int:
        found = next(state.get_iterator(number))
        Clock.take(30)
        return found

    found = FuncRegistry()
    found.functions = {"plain": taking(1), "eager": EagerFunc(taking(2)), "generator": generator_py_func}
    return found


def test_a_function_has_its_own_time_without_what_tensorflow_does_around_it(registry: FuncRegistry) -> None:
    before = [dict(vars(one)) for one in (FuncRegistry, EagerFunc, GeneratorState)]
    clock = PythonClock()
    clock.start()
    assert [registry("plain", "", 1), registry("plain", "", 2), registry("eager", "", 3)] == [2, 3, 5]
    assert [registry("generator", "", 0), registry("generator", "", 0)] == [0, 1]
    with pytest.raises(StopIteration):
        registry("generator", "", 0)
    with pytest.raises(ValueError, match="other"):
        registry("other", "cpu", 1)
    found = clock.stop()
    assert [dict(vars(one)) for one in (FuncRegistry, EagerFunc, GeneratorState)] == before
    assert {token: (one.calls, one.seconds, one.cpu_seconds) for token, one in found.items()} == {
        "plain": (2, 2.0, 2.0),
        "eager": (1, 2.0, 2.0),
        "generator": (3, 6.0, 6.0),
    }
    # Python 3.10 does not know where a function is defined.
    assert {token: str(one.function).rpartition(".")[2] for token, one in found.items()} == {
        "plain": "give",
        "eager": "give",
        "generator": "steps",
    }
    assert {one.file for one in found.values()} == {__file__}
    assert all(one.line for one in found.values())
    assert (registry("plain", "", 1), registry("eager", "", 3)) == (2, 5)
    assert clock.stop() == found


def test_calls_inside_a_call_belong_to_both(registry: FuncRegistry) -> None:
    def outer(number: int) -> int:
        Clock.take(5)
        return registry("plain", "", number)

    registry.functions["outer"] = outer
    clock = PythonClock()
    clock.start()
    registry("outer", "", 1)
    found = clock.stop()
    assert {token: one.calls for token, one in found.items()} == {"outer": 1, "plain": 1}
    assert found["outer"].seconds == 16.0


def test_time_off_the_cores_is_contended_in_calls_that_begin_or_end_beside_another(
    registry: FuncRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_clock.time, "thread_time_ns", lambda: 0)

    def outer(number: int) -> int:
        beside = Thread(target=registry, args=("plain", "", number))
        beside.start()
        beside.join()
        return number

    registry.functions["outer"] = outer
    clock = PythonClock()
    clock.start()
    registry("outer", "", 1)
    registry("plain", "", 1)
    found = clock.stop()
    assert {token: (one.calls, one.seconds, one.contended_seconds) for token, one in found.items()} == {
        "plain": (2, 2.0, 1.0),
        "outer": (1, 11.0, 0.0),
    }


class Resize:
    def __call__(self, number: int) -> int:
        return number

    def of_this(self, number: int) -> int:
        return number


def wrapped_by_tensorflow(function: Callable[[int], int]) -> Callable[[int], int]:
    """A function that TensorFlow makes around another."""
    namespace: dict[str, Callable[[Callable[[int], int]], Callable[[int], int]]] = {}
    code = "def without_autograph(func):\n def wrapper(number):\n  return func(number)\n return wrapper\n"
    exec(compile(code, f"/site-packages{TENSORFLOW}autograph/impl/api.py", "exec"), namespace)
    return namespace["without_autograph"](function)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (Resize(), "__call__"),
        (Resize().of_this, "of_this"),
        (partial(Resize.of_this, Resize()), "of_this"),
        (wrapped_by_tensorflow(partial(Resize.of_this, Resize())), "of_this"),
        (abs, "abs"),
    ],
)
def test_what_is_called_is_named_inside_what_is_wrapped_around_it(
    registry: FuncRegistry, function: Callable[[int], int], name: str
) -> None:
    registry.functions["named"] = function
    clock = PythonClock()
    clock.start()
    assert registry("named", "", 4) == 4
    found = clock.stop()["named"]
    assert str(found.function).rpartition(".")[2] == name
    assert found.file == (None if function is abs else __file__)


def test_what_was_made_while_calls_are_timed_stays(registry: FuncRegistry) -> None:
    clock = PythonClock()
    clock.start()
    registry.functions["late"] = EagerFunc(lambda number: number * 2)
    assert registry("late", "", 4) == 8
    clock.stop()
    assert registry("late", "", 5) == 10


def test_without_those_classes_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow.python.ops.script_ops", ModuleType("script_ops"))
    clock = PythonClock()
    clock.start()
    assert clock.stop() == {}


class SlottedFunc(EagerFunc):
    """The same, with the function outside of the object's own dictionary."""

    __slots__ = ()
    _call = EagerFunc._call
    _func = property(lambda _: lambda number: number + 2, lambda _self, _function: None)  # type: ignore[assignment]


def test_a_class_of_another_version_is_left_alone(registry: FuncRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = sys.modules["tensorflow.python.ops.script_ops"]
    monkeypatch.setattr(scripts, "EagerFunc", SlottedFunc)
    registry.functions["eager"] = SlottedFunc(lambda number: number)
    before = dict(vars(SlottedFunc))
    clock = PythonClock()
    clock.start()
    assert dict(vars(SlottedFunc)) == before
    assert registry("eager", "", 3) == 5
    clock.stop()
