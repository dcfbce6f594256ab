"""Adding one of each thing takes a row, a module or a class: a function, an op, a rule, a kind of step, a message.

What is added here is a module in the folder that its registry walks, a row of its table or a line of its data file. A
format is added in `test_formats`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jsonschema
import pytest

from pipeprof.cli import values
from pipeprof.cli.report.report import build_report
from pipeprof.cli.targets.load import Changes, load_target
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.ops import base, stages, traits
from pipeprof.pipelines.ops.functions import catalog
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.spec.paths import leaves
from pipeprof.pipelines.spec.schema.schema import spec_schema
from pipeprof.pipelines.steps import kinds, registry
from pipeprof.pipelines.steps.step import parse_step, step_model
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.harness.settings import RunSettings, job_of, plan
from pipeprof.profiles.protocol import messages
from pipeprof.profiles.protocol.job import Job, StepJob
from pipeprof.profiles.tries.pace import uses_gpu
from pipeprof.profiles.worker.sample import JobRun

Pipeprof = Callable[..., Any]
FUNCTION = {"tf.added.scale": "image, factor, name=None"}
OP = """
from typing import ClassVar
from pydantic import Field
from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.values.values import Positive
class Pairs(Stage):
    '''Puts elements into pairs.'''
    op: ClassVar[str] = "pairs"
    distance: Positive = Field(default=1, description="How far apart.")
"""
STEP = """
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.called import CalledStep
from pipeprof.pipelines.steps.kind import StepKind
class _Counter(StepKind):
    name = "counted"
    example = "file.py:fn"
    pattern = r".+\\.py:\\w+"
    description = "A function that counts batches."
    def annotation(self):
        from pipeprof.pipelines.ops.values.python_ref import PlainPython
        return PlainPython
    def sentence(self, text):
        return f"counted by {text.partition(': ')[2]}"
    def check(self, value):
        if value.function == "gone":
            raise UsageError("counted: there is no function gone")
    def plan(self, value, base):
        return {"target": str(base / value.file), "from": 3}
    def user_files(self, arguments):
        return [arguments["target"]]
    def start(self, arguments, context):
        return CalledStep(lambda batch: context.returned([arguments["from"], batch]))
KIND = _Counter()
"""
CACHES = (*(base.stages, catalog.table, catalog.function, traits.traits), *(registry.step_kinds, step_model))
SPEC = """\
version: 1
source: {range: {stop: 8}}
stages:
  - map: {ops: [{tf.cast: {dtype: float32}}, {tf.added.scale: {factor: 2}}]}
  - pairs: {distance: 2}
"""


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ModuleType, str], None]]:
    """Adds a module to the folder of a package."""
    added = []

    def adds(package: ModuleType, source: str) -> None:
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "added.py").write_text(source)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        added.append(f"{package.__name__}.added")
        forget()

    yield adds
    for name in added:
        sys.modules.pop(name, None)
    forget()


@pytest.fixture
def add_function(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Adds a line to the table of functions."""

    def adds() -> None:
        rows = {**catalog.table(), **FUNCTION}
        monkeypatch.setattr(catalog, "read_table", lambda _package, _name: rows)
        forget()

    yield adds
    forget()


def forget() -> None:
    for cache in CACHES:
        cache.cache_clear()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


def test_unknown_things_are_refused(spec: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("check", spec)

    assert result.code == 2
    assert "tf.added.scale" in result.out + result.err
    assert "pairs" in result.out + result.err


def test_a_function_is_a_line_and_an_op_is_a_module(
    spec: Path, add: Callable[[ModuleType, str], None], add_function: Callable[[], None], pipeprof: Pipeprof
) -> None:
    add_function()
    add(stages, OP)

    result = pipeprof("check", spec)

    assert result.code == 0, result.err
    assert "pairs" in result.out


def test_an_op_without_a_row_of_traits_is_found(
    add: Callable[[ModuleType, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(stages, OP)
    with pytest.raises(LookupError, match="pairs"):
        traits.check_rows(base.sources(), base.stages())

    monkeypatch.setitem(traits.STAGES, "pairs", traits.Traits(one_to_one=True))
    traits.traits.cache_clear()

    traits.check_rows(base.sources(), base.stages())
    assert traits.traits("pairs").one_to_one


@pytest.fixture
def with_step(spec: Path) -> Path:
    spec.write_text("version: 1\nsource: {range: {stop: 8}}\nstep: {counted: 'a.py:fn'}\n")
    (spec.parent / "a.py").write_text("def fn(batch): ...\n")
    return spec


def test_an_unknown_kind_of_step_is_refused(with_step: Path, pipeprof: Pipeprof) -> None:
    assert "unknown key `counted`" in pipeprof("check", with_step).out
    with pytest.raises(UsageError) as refused:
        values.step("counted:a.py:fn")
    assert str(refused.value).endswith(
        "expected none, recorded:profile.json, simulate:12ms, jax:file.py:step, keras:file.py:model, "
        "python:file.py:function or torch:file.py:step"
    )
    with pytest.raises(UsageError, match=r"— did you mean simulate:12\?"):
        values.step("sim:12")
    for given, meant in (("12ms", "12ms"), ("12", "12ms")):
        with pytest.raises(UsageError, match=rf"— did you mean simulate:{meant}\?"):
            values.step(given)
    assert not any("counted" in str(part) for part in spec_schema()["definitions"]["step"]["anyOf"])


def test_a_kind_of_step_is_written_in_a_spec_and_on_the_command_line(
    with_step: Path, add: Callable[[ModuleType, str], None], pipeprof: Pipeprof
) -> None:
    add(kinds, STEP)

    result = pipeprof("check", with_step)
    loaded = load_spec(with_step)
    typed = values.step("counted:a.py:fn")

    assert result.code == 0, result.err
    assert "counted: a.py:fn" in result.out
    assert (loaded.spec.step.kind, str(loaded.spec.step.value)) == ("counted", "a.py:fn")
    assert [(leaf.place, str(leaf.value)) for leaf in leaves(loaded.spec)] == [(("step", "counted"), "a.py:fn")]
    assert typed is not None
    assert typed.value == loaded.spec.step.value
    assert "counted:file.py:fn" in registry.words()
    with pytest.raises(ValueError, match=r"got 'a\.txt', expected a file and a function"):
        parse_step("counted:a.txt")
    with pytest.raises(ValueError, match="both counted and python"):
        parse_step({"counted": "a.py:fn", "python": "a.py:fn"})


def test_a_kind_of_step_is_in_the_schema(add: Callable[[ModuleType, str], None]) -> None:
    add(kinds, STEP)

    definitions = spec_schema()["definitions"]

    validator = jsonschema.Draft7Validator({**definitions["step"], "definitions": definitions})
    assert definitions["Step"]["properties"]["counted"]["description"].startswith("A function that counts batches.")
    assert [validator.is_valid(step) for step in ("counted:a.py:fn", {"counted": "a.py:fn"}, "counted:12ms")] == [
        True, True, False,
    ]  # fmt: skip


def test_a_kind_of_step_is_checked_and_planned(with_step: Path, add: Callable[[ModuleType, str], None]) -> None:
    add(kinds, STEP)
    target, loaded = load_target(str(with_step), Changes(), no_python=False, step=values.step("counted:a.py:fn"))
    settings = RunSettings(target=target, loaded=loaded)

    planned = plan(settings)
    job = job_of(settings, planned, {}, memory_limit=None)

    assert (planned.step_text, planned.dispatch) == ("counted: a.py:fn", "sync")
    assert planned.step == StepJob("counted", {"target": str(with_step.parent / "a.py"), "from": 3})
    assert str(with_step.parent / "a.py") in job.user_files
    with pytest.raises(UsageError, match="there is no function gone"):
        load_target(str(with_step), Changes(), no_python=False, step=values.step("counted:a.py:gone"))
    with pytest.raises(UsageError, match=r"--no-python: the step a\.py:fn is Python code"):
        load_target(str(with_step), Changes(), no_python=True, step=values.step("counted:a.py:fn"))


def test_a_kind_of_step_is_run(add: Callable[[ModuleType, str], None]) -> None:
    add(kinds, STEP)
    taken: list[object] = []
    run = JobRun(
        Job("function", "a.py:f", [], step=StepJob("counted", {"from": 3})), SimpleNamespace(send=taken.append)
    )
    run._called = SimpleNamespace(step=taken.append)

    start, end = run._step().submit("batch")

    assert taken == [[3, "batch"]]
    assert end >= start
    assert run._device


def test_a_kind_of_step_is_told_in_the_report_and_has_the_device_to_itself(
    add: Callable[[ModuleType, str], None], recorded: Callable[[str], Profile]
) -> None:
    profile = recorded("step-bound")
    assert profile.device is not None
    profile.device.kind, profile.device.text = "counted", "counted: a.py:fn"
    profile.host.gpus = ["GPU 0"]
    assert "counted by a.py:fn" not in str(list(build_report(profile, full=True)))

    add(kinds, STEP)

    assert "counted by a.py:fn" in str(list(build_report(profile, full=True)))
    assert uses_gpu(profile)


def test_a_message_is_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages.WorkerMessage, "classes", dict(messages.WorkerMessage.classes))

    @dataclass(frozen=True)
    class TemperatureRead(messages.WorkerMessage):
        celsius: float

    line = messages.encode_message(TemperatureRead(61.5))

    assert messages.decode_message(json.loads(line)) == TemperatureRead(61.5)
