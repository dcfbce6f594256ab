"""Calls of Python functions are timed one by one, through the class that TensorFlow calls: no TensorFlow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from pipeprof.profiles.worker.trace.python_clock import PythonClock


class EagerFunc:
    def __call__(self, number: int) -> int:
        return number + 10


class FuncRegistry:
    def __init__(self) -> None:
        self.functions: dict[str, Callable[[int], int]] = {"plain": lambda number: number + 1, "eager": EagerFunc()}

    def get(self, token: str, default: Callable[[int], int] | None = None) -> Callable[[int], int] | None:
        return self.functions.get(token, default)

    def __call__(self, token: str, device: str, number: int) -> int:
        function = self.get(token)
        if function is None:
            raise ValueError(token, device)
        return function(number) if isinstance(function, EagerFunc) else int(function(number))


@pytest.fixture
def script_ops(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("script_ops")
    vars(module).update(FuncRegistry=FuncRegistry, EagerFunc=EagerFunc)
    monkeypatch.setitem(sys.modules, "tensorflow.python.ops.script_ops", module)
    return module


@pytest.mark.usefixtures("script_ops")
def test_every_call_is_timed_and_the_class_is_as_before() -> None:
    registry, before, clock = FuncRegistry(), dict(vars(FuncRegistry)), PythonClock()
    clock.start()
    assert [registry("plain", "", 1), registry("plain", "", 2), registry("eager", "", 3)] == [2, 3, 13]
    with pytest.raises(ValueError, match="other"):
        registry("other", "cpu", 1)
    found = clock.stop()
    assert dict(vars(FuncRegistry)) == before
    assert {token: one.calls for token, one in found.items()} == {"plain": 2, "eager": 1}
    assert all(one.seconds > 0.0 and one.cpu_seconds >= 0.0 for one in found.values())


def test_without_that_class_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow.python.ops.script_ops", ModuleType("script_ops"))
    clock = PythonClock()
    clock.start()
    assert clock.stop() == {}
