"""Real steps: how they are written, what they need, and what handing batches over to them costs."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps import called
from pipeprof.pipelines.steps.kind import StepFacts
from pipeprof.pipelines.steps.kinds.keras import _need_compiled
from pipeprof.pipelines.steps.registry import step_kind, written_kinds
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.profiles.document.measured import Device
from pipeprof.profiles.document.shared import Gaps
from pipeprof.profiles.harness.build_profile import _with_copies
from pipeprof.profiles.protocol.messages import StepTold, decode_message, encode_message

MS = 1_000_000


class Clock:
    """Moves on by what the parts of a step are said to take."""

    def __init__(self) -> None:
        self.ns = 0

    def perf_counter_ns(self) -> int:
        return self.ns

    def taking(self, ms: float, name: str) -> Callable[[Any], Any]:
        def part(batch: Any) -> Any:
            self.ns += round(ms * MS)
            return [*batch, name]

        return part


def test_handing_a_batch_over_is_no_part_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, seen = Clock(), []
    monkeypatch.setattr(called, "time", clock)
    step = called.CalledStep(
        clock.taking(5.0, "step"),
        seen.append,
        to_numpy=clock.taking(2.0, "numpy"),
        copy=clock.taking(1.0, "copy"),
        facts=StepFacts(computes="a sum", on="gpu"),
    )

    assert step.submit(["batch"]) == (3 * MS, 8 * MS)
    assert seen == [["batch", "numpy", "copy", "step"]]
    assert step.told() == StepFacts("a sum", "gpu", numpy_ms=2.0, copy_ms=1.0)
    # Without a batch since then there is no mean.
    assert step.told() == StepFacts("a sum", "gpu")


def test_a_step_that_takes_tensors_has_nothing_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(called, "time", clock)
    step = called.CalledStep(clock.taking(5.0, "step"), lambda _: None)

    assert step.submit(["batch"]) == (0, 5 * MS)
    assert step.told() == StepFacts()


def test_what_a_step_tells_reaches_the_profile_as_it_is() -> None:
    told = StepTold(**vars(StepFacts("a sum", "gpu", 2.0, None)))
    assert decode_message(json.loads(encode_message(told))) == told
    assert Device(kind="jax", **vars(told)).computes == "a sum"


@pytest.mark.parametrize(
    ("told", "causes"),
    [
        (StepTold(None, None, 2.0, 1.0), {"pipeline": 5.0, "python": 0.7, "copy": 0.3}),
        (StepTold(None, None, 20.0, 1.0), {"pipeline": 5.0, "python": 0.0, "copy": 1.0}),
        (StepTold("a sum", "cpu", None, None), {"pipeline": 5.0, "python": 1.0}),
        (None, {"pipeline": 5.0, "python": 1.0}),
    ],
)
def test_copies_are_a_cause_of_gaps_of_their_own(told: StepTold | None, causes: dict[str, float]) -> None:
    gaps = Gaps(count=100, by_cause={"pipeline": 5.0, "python": 1.0})
    measured: Any = SimpleNamespace(gaps=gaps, steps=SimpleNamespace(count=100))
    found = _with_copies(measured, told)
    assert found is not None
    assert found.by_cause == pytest.approx(causes)


@pytest.mark.parametrize("name", ["jax", "torch", "keras"])
def test_a_package_that_is_not_installed_is_named_before_anything_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text("def step(batch): ...\n")
    value = parse_step(f"{name}:{tmp_path}/a.py:step").value
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: object())
    step_kind(name).check(value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=rf"needs the package {name}, .*: pip install {name}$"):
        step_kind(name).check(value)
    with pytest.raises(UsageError, match=rf"needs the package {name}"):
        step_kind(name).plan(value, tmp_path)


def test_only_kinds_with_a_device_of_their_own_say_how_to_copy_ahead() -> None:
    assert {kind.name for kind in written_kinds() if kind.copies_ahead is not None} == {"jax", "keras", "torch"}
    assert not any(kind.shares_device for kind in written_kinds() if kind.copies_ahead is not None)


def test_models_that_cannot_be_trained_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = type("Model", (), {"compiled": False})
    monkeypatch.setitem(__import__("sys").modules, "keras", SimpleNamespace(Model=model))
    with pytest.raises(UsageError, match=r"a\.py:model returned int, expected a compiled keras\.Model"):
        _need_compiled(3, "a.py:model")
    with pytest.raises(UsageError, match=r"is not compiled: call model\.compile"):
        _need_compiled(model(), "a.py:model")
