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
from types import ModuleType
from typing import Any

import pytest

from pipeprof.pipelines.ops import base, stages, traits
from pipeprof.pipelines.ops.functions import catalog
from pipeprof.profiles.protocol import messages

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
CACHES = (base.stages, catalog.table, catalog.function, traits.traits)
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


def test_a_message_is_a_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages.WorkerMessage, "classes", dict(messages.WorkerMessage.classes))

    @dataclass(frozen=True)
    class TemperatureRead(messages.WorkerMessage):
        celsius: float

    line = messages.encode_message(TemperatureRead(61.5))

    assert messages.decode_message(json.loads(line)) == TemperatureRead(61.5)
