"""Real steps: how they are written, what they need, and what handing batches over to them costs."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.cli.html.steps import gaps as gaps_figure
from pipeprof.cli.report.steps import build_all_steps, build_gaps, build_steps
from pipeprof.cli.text.blocks import Heading, Prose, Table
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps import called
from pipeprof.pipelines.steps.kind import StepFacts
from pipeprof.pipelines.steps.kinds.keras import _need_compiled
from pipeprof.pipelines.steps.registry import step_kind, written_kinds
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.profiles.document.measured import Device
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Gap, Gaps, GpuUse
from pipeprof.profiles.harness.build_profile import _with_copies
from pipeprof.profiles.protocol.messages import StepTold, decode_message, encode_message

Recorded = Callable[[str], Profile]
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


@pytest.mark.parametrize("build", [build_steps, build_all_steps])
def test_the_report_says_what_a_step_computes_and_what_hand_over_costs(recorded: Recorded, build: Any) -> None:
    profile = recorded("step-bound")
    profile.device = Device(kind="jax", text="jax: a.py:step", computes="a sum", on="gpu", numpy_ms=0.2, copy_ms=1.5)
    blocks = list(build(profile))
    prose = [block.text for block in blocks if isinstance(block, Prose)]
    assert "The step computes a sum, on the GPU." in prose
    assert any("takes 0.200 ms to NumPy and 1.50 ms to copy, not counted in the step" in text for text in prose)
    assert "  hand-over" in next(block.columns[0].cells for block in blocks if isinstance(block, Table))


TRACED = Gaps(
    count=30,
    by_cause={"pipeline": 0.6, "copy": 0.25, "sync": 0.05, "launch": 0.001},
    longest=[Gap(start_s=0.5, ms=20.0, cause="pipeline")],
    seconds=2.0,
)
UNKNOWN = "the device idles 45 % of the time; cannot say why: the clocks disagree"


@pytest.mark.parametrize(
    ("device", "text"),
    [
        (
            {"gaps": TRACED, "idle_share": 0.45},
            "By its trace of 2.00 s the device idles 45 % of the time: waits for data 30 %, copy to the device 12 %, "
            "waits for results 2.5 %.",
        ),
        (
            {"gaps": replace(TRACED, by_cause={}), "idle_share": 0.45, "gaps_unknown": UNKNOWN},
            f"The device's trace: {UNKNOWN}.",
        ),
    ],
)
def test_the_report_says_what_the_trace_of_a_device_tells(recorded: Recorded, device: Any, text: str) -> None:
    profile = recorded("step-bound")
    profile.device = Device(kind="jax", text="jax: a.py:step", on="gpu", **device)
    prose = [block.text for block in build_steps(profile) if isinstance(block, Prose)]
    assert text in prose


def test_each_gpu_has_a_row(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    seen = GpuUse(name="GPU 0", idle_share=0.4, utilisation=0.55, model="NVIDIA Fast", mhz=1500, memory_bytes=2**30)
    profile.device = Device(kind="jax", on="gpu", gpus=[seen, GpuUse(name="GPU 1", idle_share=0.5)])
    rows = [block.columns for block in build_steps(profile) if isinstance(block, Table)][-1]
    assert [(column.title, *column.cells) for column in rows][:4] == [
        ("", "GPU 0, NVIDIA Fast", "GPU 1"),
        ("idle", "40 %", "50 %"),
        ("NVML: at work", "55 %", "n/a"),
        ("MHz", "1500", "n/a"),
    ]


def test_the_gaps_of_a_trace_are_named_so_and_are_on_no_time_line_of_the_measured_steps(recorded: Recorded) -> None:
    profile = recorded("step-bound")
    profile.device = Device(kind="jax", on="gpu", gaps=TRACED, idle_share=0.45)
    heading = next(block for block in build_gaps(profile) if isinstance(block, Heading))
    assert heading.rest.startswith("of 30 without device work in 2.00 s of its trace: waits for data")
    [figure] = gaps_figure(profile)
    assert "the traced time" in figure.caption


def test_a_step_that_tells_nothing_of_itself_adds_nothing(recorded: Recorded) -> None:
    blocks = list(build_steps(recorded("step-bound")))
    assert not any("The step computes" in block.text for block in blocks if isinstance(block, Prose))
    assert "  hand-over" not in next(block.columns[0].cells for block in blocks if isinstance(block, Table))


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
