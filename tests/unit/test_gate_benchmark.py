"""Decisions that benchmarks/gate draws from recorded pairs, and the rules of other tools beside them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import pytest

FOLDER = str(Path(__file__).parents[2] / "benchmarks" / "gate")


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    names = ("rules", "draw")
    sys.path.insert(0, FOLDER)
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(FOLDER)
        for name in names:
            sys.modules.pop(name, None)


def process(chance: Random, step_ms: float, noise: float) -> dict[str, Any]:
    blocks = [step_ms * chance.gauss(1.0, noise) for _ in range(4)]
    return {"step_ms": sorted(blocks)[1], "peak_bytes": 1e9 * chance.gauss(1.0, noise / 5), "blocks_ms": blocks}


def bank(noise: float, drift: bool = True) -> list[dict[str, Any]]:
    """Pairs whose load differs from one to the next, and hardly within one."""
    chance = Random(5)
    rows = []
    for _ in range(20):
        step_ms = 10.0 * (chance.uniform(1.0, 2.0) if drift else 1.0)
        rows.append(
            {"load": "none", "seconds": 10.0} | {name: process(chance, step_ms, noise) for name in ("a", "b", "again")}
        )
    return rows


def test_the_p_of_the_u_test_is_exact(modules: dict[str, ModuleType]) -> None:
    test = modules["rules"].mann_whitney
    assert test([1, 2, 3], [4, 5, 6]) == pytest.approx(0.1)
    assert test([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(2 / 252)
    assert test([6, 7, 8, 9, 10], [1, 2, 3, 4, 5]) == pytest.approx(2 / 252)
    assert test([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert test([1, 3], [2, 4]) > 0.5


def test_each_rule_calls_a_doubled_time_slower_and_a_halved_one_not(modules: dict[str, ModuleType]) -> None:
    for name, (runs, rule) in modules["rules"].RULES.items():
        a = [[10.0 + 0.01 * run, 10.0, 10.1, 9.9] for run in range(runs)]
        worse, better = ([[factor * value for value in run] for run in a] for factor in (2.0, 0.5))
        assert rule(a, worse), name
        assert not rule(a, better), name


def test_recorded_pairs_pass_as_they_are_and_fail_with_a_factor(modules: dict[str, ModuleType]) -> None:
    draw = modules["draw"]
    for session in draw.sessions(bank(0.005), 20, 1, roles=True):
        same, slower = draw.decide(session, {}), draw.decide(session, {"step_ms": 1.10})
        larger = draw.decide(session, {"peak_bytes": 1.20})
        assert (same.failed(), same.pairs, same.seconds) == (False, 4, 40.0)
        assert slower.failed("step_ms")
        assert not slower.failed("peak_bytes")
        assert larger.failed("peak_bytes")
        assert not larger.inconclusive()


def test_noise_makes_a_session_longer_and_not_wrong(modules: dict[str, ModuleType]) -> None:
    draw = modules["draw"]
    decisions = [draw.decide(session, {}) for session in draw.sessions(bank(0.08), 100, 1, roles=True)]
    assert not any(one.failed() for one in decisions)
    assert max(one.pairs for one in decisions) == 15
    assert any(one.inconclusive() for one in decisions)
