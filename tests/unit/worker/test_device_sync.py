"""A step is over when what it has put on a device is computed."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from pipeprof.pipelines.steps.called import CalledStep, finish

LIBRARIES = ("jax", "torch", "tensorflow")


class Library(ModuleType):
    """Stands for jax, torch and tensorflow at once; notes what it is asked to wait for."""

    def __init__(self, *, gpu: bool) -> None:
        super().__init__("library")
        self.waited: list[object] = []
        self.block_until_ready = self.waited.append
        self.cuda = self.config = self.test = self.experimental = self
        self.is_initialized = lambda: gpu
        self.synchronize = lambda: self.waited.append("cuda")
        self.list_logical_devices = lambda kind: [kind] if gpu else []
        self.sync_devices = lambda: self.waited.append("devices")


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch):
    for name in LIBRARIES:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize(("name", "waited"), [("jax", "loss"), ("torch", "cuda"), ("tensorflow", "devices")])
def test_a_library_that_computes_behind_is_waited_for(monkeypatch, name, waited):
    library = Library(gpu=True)
    monkeypatch.setitem(sys.modules, name, library)
    finish("loss")
    assert library.waited == [waited]


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_without_a_gpu_in_use_nothing_is_waited_for(monkeypatch, name):
    library = Library(gpu=False)
    monkeypatch.setitem(sys.modules, name, library)
    finish("loss")
    assert library.waited == []


def test_no_library_is_loaded_for_it():
    finish("loss")
    assert not set(LIBRARIES) & set(sys.modules)


def test_a_python_step_waits_for_what_it_returned(monkeypatch):
    library = Library(gpu=True)
    monkeypatch.setitem(sys.modules, "jax", library)
    CalledStep(lambda batch: batch + 1).submit(16)
    assert library.waited == [17]
