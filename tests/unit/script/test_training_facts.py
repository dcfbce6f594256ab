"""What is seen of a script's datasets: their graphs, and those that nobody reads; on hand-made records."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.worker.script import hooks
from pipeprof.profiles.worker.script.consumers import Consumer, Place
from pipeprof.profiles.worker.script.hooks import JAX, TORCH_ON_GPU, asynchronous
from pipeprof.profiles.worker.script.observer import Fit
from pipeprof.profiles.worker.script.training_facts import Moment, _costs, _unread, epochs_started, graph_seen


def constant(name: str, value: bytes | int) -> Any:
    kind = "string_val" if isinstance(value, bytes) else "int64_val"
    tensor = SimpleNamespace(**{"string_val": [], "int64_val": [], kind: [value]})
    return SimpleNamespace(name=name, op="Const", input=[], attr={"value": SimpleNamespace(tensor=tensor)})


def node(op: str, *inputs: str) -> Any:
    return SimpleNamespace(name=op, op=op, input=list(inputs), attr={})


def graph(*nodes: Any, inside: tuple[Any, ...] = ()) -> Any:
    functions = [SimpleNamespace(node_def=list(inside))] if inside else []
    return SimpleNamespace(node=list(nodes), library=SimpleNamespace(function=functions))


CACHE = node("CacheDatasetV2", "source", "file:output:0", "cache")
SHUFFLE = node("ShuffleDatasetV3", "source", "size", "seed", "seed2", "generator")


@pytest.mark.parametrize(
    ("seen", "cached", "in_memory", "seeded"),
    [
        (graph(node("MapDataset")), False, False, False),
        (graph(constant("file", b""), CACHE), True, True, False),
        (graph(constant("file", b"/data/c"), CACHE), True, False, False),
        (graph(node("Placeholder"), CACHE), True, False, False),
        (graph(inside=(constant("file", b""), CACHE)), True, True, False),
        (graph(constant("seed", 0), constant("seed2", 0), SHUFFLE), False, False, False),
        (graph(constant("seed", 0), constant("seed2", 7), SHUFFLE), False, False, True),
    ],
)
def test_caches_and_seeds_of_a_graph(seen: Any, cached: bool, in_memory: bool, seeded: bool) -> None:
    assert graph_seen("text", seen) == ("text", cached, in_memory, seeded)


def made(op: str, *lines: int) -> Any:
    return SimpleNamespace(op=op, spots=tuple(SimpleNamespace(file="data.py", line=line) for line in lines))


FIRST, AGAIN, UNUSED = made("map", 3), made("map", 3), made("batch", 5)


@pytest.mark.parametrize(
    ("unread", "iterated", "lines"),
    [
        # What was iterated, and another one of its line, was read.
        ([FIRST, AGAIN, UNUSED], FIRST, [5]),
        # All are made by one call of a main function.
        ([made("map", 4, 20), made("map", 3, 21)], made("map", 3, 20), [4, 21]),
    ],
)
def test_datasets_that_nobody_reads(unread: list[Any], iterated: Any, lines: list[int]) -> None:
    watch: Any = SimpleNamespace(lines=SimpleNamespace(unread=lambda: unread, created=lambda dataset: dataset))
    assert [place.line for place in _unread(watch, [iterated])] == lines
    assert _unread(None, []) == []


@pytest.mark.parametrize(("seconds", "own_ms"), [(0.5, None), (10.0, 4.0)])
def test_a_short_training_says_nothing_about_its_python(seconds: float, own_ms: float | None) -> None:
    habits = SimpleNamespace(own_steps=False, saves=0, save_ns=0, saver=None, callbacks=[], functions=[])
    observer = SimpleNamespace(habits=habits)
    now = Moment(round(seconds * 1e9), own=0.4, steps=100)
    costs = _costs(Consumer(Place("train.py", 3), "loop"), observer, Moment(0, own=0.0, steps=0), now)
    assert costs["own_ms"] == own_ms


@pytest.mark.parametrize(
    ("role", "passes", "begun", "epochs"), [("training", 11, 10, 10), ("training", 3, 10, 3), ("loop", 11, 0, 11)]
)
def test_epochs_are_those_that_fit_has_begun(role: Any, passes: int, begun: int, epochs: int) -> None:
    """Under a strategy, Keras takes a batch of another pass after the last epoch."""
    main = Consumer(Place("train.py", 3), role)
    main.clock.begun, main.clock.continued = 1, passes - 1
    assert epochs_started(main, Fit(epochs=begun)) == epochs


def module(name: str, **held: Any) -> ModuleType:
    made = ModuleType(name)
    vars(made).update(held)
    return made


@pytest.mark.parametrize(
    ("kind", "modules", "found"),
    [
        # JAX counts if it has computed.
        ("loop", [module("jax"), module("jax._src.xla_bridge", _backends={})], None),
        ("loop", [module("jax"), module("jax._src.xla_bridge", _backends={"cpu": "a client"})], JAX),
        ("loop", [module("jax"), module("jax._src.xla_bridge")], JAX),
        *(
            (kind, [module("torch.cuda", is_initialized=lambda on=on: on)], TORCH_ON_GPU if on else None)
            for kind in ("loop", "fit")
            for on in (False, True)
        ),
    ],
)
def test_a_program_on_a_gpu_or_of_jax_does_not_wait_for_its_steps(
    kind: str, modules: list[ModuleType], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = [*modules, module("tensorflow", config=SimpleNamespace(list_logical_devices=lambda _: []))]
    monkeypatch.setattr(hooks, "sys", SimpleNamespace(modules={one.__name__: one for one in modules}))
    assert asynchronous(SimpleNamespace(kind=kind)) == found
