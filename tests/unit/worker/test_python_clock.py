"""Calls of Python functions are timed one by one, through the class that TensorFlow calls: no TensorFlow."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from pipeprof.profiles.worker.trace.python_clock import PythonClock


class FuncRegistry:
    def __call__(self, token: str, device: str, number: int) -> int:
        if number < 0:
            raise ValueError(f"{token} on {device}")
        return number + 1


def test_every_call_is_timed_and_the_class_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("script_ops")
    module.FuncRegistry = FuncRegistry  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorflow.python.ops.script_ops", module)
    registry, before, clock = FuncRegistry(), FuncRegistry.__call__, PythonClock()
    clock.start()
    assert [registry("pyfunc_1", "", 1), registry("pyfunc_1", "", 2), registry(b"pyfunc_2", "", 3)] == [2, 3, 4]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cpu"):
        registry("pyfunc_2", "cpu", -1)
    found = clock.stop()
    assert FuncRegistry.__call__ is before
    assert {token: one.calls for token, one in found.items()} == {"pyfunc_1": 2, "pyfunc_2": 2}
    assert all(one.seconds > 0.0 and one.cpu_seconds >= 0.0 for one in found.values())


def test_without_that_class_nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow.python.ops.script_ops", ModuleType("script_ops"))
    clock = PythonClock()
    clock.start()
    assert clock.stop() == {}
