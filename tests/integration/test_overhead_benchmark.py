"""The benchmark of the step loop's overhead: what it lays between pipeprof's own steps is measured in a real run."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "overhead"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location("overhead_bench", FOLDER / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SECONDS", 2)
    return module


def test_pipeprofs_steps_take_turns_with_those_that_they_are_compared_with(bench: ModuleType) -> None:
    counted, left_out, own = bench.run(bench.Case("constant", 0.5, step="simulate:10ms"), {"pairs": 1, "limit": 0.5})
    pairs = [dict(zip(bench.COLUMNS, row, strict=True)) for row in (*counted, *left_out)]
    assert pairs
    assert all(pair["bare_steps"] > 0 and pair["pipeprof_steps"] > 0 for pair in pairs), pairs
    assert own["sampler_cores"] is not None
