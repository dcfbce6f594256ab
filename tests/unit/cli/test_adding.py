"""Adding one of each thing takes a row, a module or a class: a function, an op, a rule, a message.

What is added here is a module in the folder that its registry walks, or a row of its table. A format is added in
`test_formats`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeprof.pipelines.inference import rules as inference_rules
from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.rules.base import rules as all_inference_rules
from pipeprof.pipelines.inference.stages import HANDLERS
from pipeprof.pipelines.ops import base, functions, stages, traits
from pipeprof.pipelines.ops.functions import catalog
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.advise import rule
from pipeprof.profiles.advise import rules as advice_rules
from pipeprof.profiles.protocol import messages

Pipeprof = Callable[..., Any]
FUNCTION = 'FUNCTIONS = {"tf.added.scale": "image, factor, name=None"}'
INFERENCE = """
from pipeprof.pipelines.inference.rules.base import same
RULES = {"tf.added.scale": same("image", "float16")}
"""
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
RULE = """
from pipeprof.profiles.advise.rule import Rule, RuleHit
class NoPairs(Rule):
    name = "no-pairs"
    title = "Elements are put into pairs"
    family = "correctness"
    semantics = "values"
    seen = why = fix = ignore_when = "Text."
    def check(self, view):
        for stage in view.stages:
            if stage.op == "pairs":
                yield RuleHit(stage.id, "There are pairs.", "Take them apart.", {})
"""
CACHES = (base.stages, catalog.table, catalog.function, all_inference_rules, rule.rules, traits.traits)
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


def test_a_function_an_op_and_a_rule_are_a_module_each(
    spec: Path, add: Callable[[ModuleType, str], None], pipeprof: Pipeprof
) -> None:
    add(functions, FUNCTION)
    add(stages, OP)
    add(advice_rules, RULE)

    result = pipeprof("check", spec)

    assert result.code == 0, result.err
    assert "pairs" in result.out
    assert "Elements are put into pairs" in result.out
    assert "no-pairs" in pipeprof("rules").out


def test_what_comes_out_is_inferred_by_a_rule_and_a_function(
    spec: Path, add: Callable[[ModuleType, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(functions, FUNCTION)
    add(stages, OP)
    assert [str(info.structure) for info in _elements(spec)] == ["None", "None"]

    add(inference_rules, INFERENCE)
    monkeypatch.setitem(HANDLERS, "pairs", lambda _stage, flow, _strict: flow)
    scaled, pairs = _elements(spec)

    assert scaled.components[0].dtype == "float16"
    assert pairs.structure == scaled.structure
    assert pairs.cardinality == 8


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


def test_a_message_is_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages.WorkerMessage, "classes", dict(messages.WorkerMessage.classes))

    @dataclass(frozen=True)
    class TemperatureRead(messages.WorkerMessage):
        celsius: float

    line = messages.encode_message(TemperatureRead(61.5))

    assert messages.decode_message(json.loads(line)) == TemperatureRead(61.5)


def _elements(spec: Path) -> list[Any]:
    return list(element_specs(load_spec(spec).spec, spec.parent).values())[1:]
