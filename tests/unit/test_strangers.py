"""The benchmark of strangers' pipelines: what it claims of a case."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from source_trees import script

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    own, public = (str(BENCHMARKS / name) for name in ("strangers", "public"))
    monkeypatch.setattr(sys, "path", [own, *sys.path, public])
    # Those of this benchmark, and afterwards what was there.
    for beside in ("labels", "loops", "cases"):
        monkeypatch.setitem(sys.modules, beside, pytest)
        del sys.modules[beside]
    return script("benchmarks/strangers/bench.py")


def document(*findings: dict[str, Any]) -> dict[str, Any]:
    verdict = {"headline": "Slow.", "stage": "stages.0"}
    stages = [{"id": "stages.0", "name": "tokenize", "function": None, "op": "map"}]
    return {"complete": True, "verdict": verdict, "stages": stages, "findings": list(findings), "warnings": []}


def finding(status: str, speedup: float, family: str = "speed") -> dict[str, Any]:
    measured = {"speedup": speedup}
    return {"title": "Do it", "change": "move it", "status": status, "measured": measured, "family": family}


def claims_of(bench: ModuleType, name: str, pairs: list[float], *findings: dict[str, Any]) -> dict[str, bool]:
    reports = {"100": ["a"] * 45, "80": ["b" * 80]}
    found: dict[str, bool] = bench.judge(bench.CASES[name], 0, document(*findings), pairs, reports)["claims"]
    return found


def test_what_is_proven_is_held_against_the_gain_by_hand(bench: ModuleType) -> None:
    edit, none = "shard_after_tokenizing", "concatenated_in_a_loop"
    assert not claims_of(bench, edit, [3.0, 3.1, 2.9])["proven"]
    assert claims_of(bench, edit, [3.0, 3.1, 2.9], finding("kept", 2.0))["proven"]
    assert not claims_of(bench, edit, [3.0, 3.1, 2.9], finding("ceiling", 3.0))["proven"]
    assert claims_of(bench, none, [3.0, 3.1, 2.9], finding("ceiling", 3.0))["proven"]
    assert claims_of(bench, edit, [1.1, 1.1, 1.1])["proven"]
    assert claims_of(bench, edit, [3.0, 3.1, 2.9])["stage"]
    assert not claims_of(bench, "windows", [60.0, 61.0, 62.0])["stage"]


def test_what_is_healthy_gets_no_advice_on_speed(bench: ModuleType) -> None:
    assert claims_of(bench, "batch_map_unbatch", [0.9, 0.9, 0.9], finding("kept", 1.1, "memory"))["silent"]
    assert not claims_of(bench, "batch_map_unbatch", [0.9, 0.9, 0.9], finding("kept", 1.1))["silent"]
    assert claims_of(bench, "windows", [60.0, 61.0, 62.0], finding("kept", 30.0))["silent"]
