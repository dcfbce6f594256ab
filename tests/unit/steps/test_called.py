"""The user's own step: what it is called with, what it costs, and what it is waited for."""

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps import called
from pipeprof.pipelines.steps.called import CalledStep, finish, fitted
from pipeprof.pipelines.steps.consumer import StepContext, StepFacts

MS = 1_000_000
PAIR = ("x", "y")
LIBRARIES = ("jax", "torch", "tensorflow")


class Named(NamedTuple):
    image: str
    label: str


def pair(x: Any, y: Any) -> Any:
    return [x, y]


def weighted(x: Any, y: Any, w: Any = None) -> Any:
    return [x, y, w]


@pytest.mark.parametrize(
    ("step", "batch", "got"),
    [
        (lambda batch: [batch], "a", ["a"]), (lambda batch: [batch], PAIR, [PAIR]), (max, PAIR, "y"),
        (lambda batch, training=True: [batch, training], PAIR, [PAIR, True]),
        (pair, PAIR, ["x", "y"]), (pair, Named("x", "y"), ["x", "y"]), (pair, {"y": "l", "x": "i"}, ["i", "l"]),
        (weighted, PAIR, ["x", "y", None]), (weighted, ("x", "y", "w"), ["x", "y", "w"]),
        (lambda *parts: list(parts), PAIR, [PAIR]), (lambda *, x: [x], {"x": 1}, [1]),
        (lambda x, y=None: [x, y], "a", ["a", None]),
        (lambda image, **rest: [image, rest], {"image": "i", "label": "l"}, [{"image": "i", "label": "l"}, {}]),
    ],
)  # fmt: skip
def test_a_step_gets_the_batch_or_its_parts(step, batch, got):
    # What the batch looks like is what its spec looks like.
    assert fitted(step, batch, "the step")(batch) == got


@pytest.mark.parametrize(
    ("step", "batch"),
    [
        (lambda: 1, PAIR), (pair, "a"), (pair, {"x": 1, "z": 2}), (pair, {"x": 1, "y": 2, "z": 3}), (pair, {1: 2}),
        (lambda *, x: [x], PAIR), (lambda x, y, z: [x, y, z], PAIR),
    ],
)  # fmt: skip
def test_a_step_that_cannot_take_a_batch_is_told_before_it_runs(step, batch):
    with pytest.raises(UsageError, match=r"^the step takes .*, but a batch is "):
        fitted(step, batch, "the step")


def keras(*names: str) -> Any:
    """An object whose classes are those of Keras by name."""
    kind: Any = object
    for name in names:
        kind = type(name, (kind,), {"__module__": f"keras.src.{name.lower()}", "__call__": lambda _, batch: [batch]})
    return kind()


def test_a_layer_beside_the_dataset_is_no_step():
    for layer, batch in ((keras("Layer", "TextVectorization"), "a"), (keras("Layer", "Model", "Sequential"), PAIR)):
        with pytest.raises(UsageError, match=r"is a Keras (layer|model)"):
            fitted(layer, batch, "it")
    assert fitted(keras("Layer", "Model", "Sequential"), "a", "it")("a") == ["a"]


@pytest.mark.parametrize("made", [3, SimpleNamespace(compiled=False)])
def test_models_that_cannot_be_trained_are_refused(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(Model=SimpleNamespace))
    with pytest.raises(UsageError, match=r"a\.py:model returned int|of a\.py:model is not compiled"):
        called._keras(lambda: made, "a.py:model", StepContext())


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


@pytest.mark.parametrize("gpu", [True, False])
@pytest.mark.parametrize(("name", "waited"), [("jax", "loss"), ("torch", "cuda"), ("tensorflow", "devices")])
def test_a_loaded_library_that_computes_behind_is_waited_for(name, waited, gpu, monkeypatch):
    for other in LIBRARIES:
        monkeypatch.delitem(sys.modules, other, raising=False)
    finish("loss")
    assert not set(LIBRARIES) & set(sys.modules)
    library = Library(gpu=gpu)
    monkeypatch.setitem(sys.modules, name, library)
    CalledStep(lambda _batch: "loss").submit(16)
    assert library.waited == ([waited] if gpu or name == "jax" else [])


def test_handing_a_batch_over_is_no_part_of_the_step(monkeypatch):
    clock = SimpleNamespace(ns=0, perf_counter_ns=lambda: clock.ns)
    monkeypatch.setattr(called, "time", clock)

    def taking(ms: float, name: str) -> Callable[[Any], Any]:
        def part(batch: Any) -> Any:
            clock.ns += round(ms * MS)
            return [*batch, name]

        return part

    seen: list[object] = []
    facts = StepFacts(computes="a sum", on="gpu")
    handed = {"to_numpy": taking(2.0, "numpy"), "copy": taking(1.0, "copy")}
    step = CalledStep(taking(5.0, "step"), seen.append, **handed, facts=facts)
    assert step.submit(["batch"]) == (3 * MS, 8 * MS)
    assert seen == [["batch", "numpy", "copy", "step"]]
    assert step.told() == StepFacts("a sum", "gpu", numpy_ms=2.0, copy_ms=1.0)
    # Without a batch since then there is no mean.
    assert step.told() == facts
    plain = CalledStep(taking(5.0, "step"), seen.append)
    assert plain.submit(["batch"]) == (8 * MS, 13 * MS)
    assert plain.told() == StepFacts()
