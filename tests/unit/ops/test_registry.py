"""Names are known without importing what they stand for, and are those of the classes that there are."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeprof.pipelines import ops
from pipeprof.pipelines.ops import registry
from pipeprof.pipelines.ops.base import Source, Stage, sources, stages
from pipeprof.pipelines.ops.calls.base import SpecialCall, special_calls

ALL = [
    (sources(), "sources", Source, "op"),
    (stages(), "stages", Stage, "op"),
    (special_calls(), "calls", SpecialCall, "call"),
]


def classes(room, base, attribute):
    """What is found by importing everything."""
    package = importlib.import_module(f"{ops.__name__}.{room}")
    modules = [
        importlib.import_module(f"{package.__name__}.{info.name}") for info in pkgutil.iter_modules(package.__path__)
    ]
    kinds = [
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, base) and kind.__module__ == module.__name__
    ]
    return {name: kind for kind in kinds if (name := getattr(kind, attribute, ""))}


@pytest.mark.parametrize(("found", "room", "base", "attribute"), ALL, ids=["sources", "stages", "calls"])
def test_the_names_are_those_of_the_classes(found, room, base, attribute):
    assert dict(found) == classes(room, base, attribute)
    assert "no-such-name" not in found
    assert found.get("no-such-name") is None


@pytest.mark.parametrize(("_", "room", "base", "attribute"), ALL, ids=["sources", "stages", "calls"])
def test_without_the_text_of_the_modules_they_are_imported(_, room, base, attribute, monkeypatch):
    monkeypatch.setattr(registry, "_text_of", lambda _module: None)
    assert dict(registry.Registry(room, base, attribute)) == classes(room, base, attribute)


def test_a_name_imports_its_own_module_alone():
    code = (
        "import sys\n"
        "from pipeprof.pipelines.ops.base import stages\n"
        "assert 'window' in stages() and len(stages()) > 30\n"
        "stages()['cache']\n"
        "print(*sorted(name for name in sys.modules if '.ops.stages.' in name))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert result.stdout.split() == ["pipeprof.pipelines.ops.stages.buffer"]
