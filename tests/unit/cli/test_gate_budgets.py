"""Whose budgets a gate judges by, with sessions that take no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.judge.pairs import pairs

from pipeprof.profiles.judge import live
from pipeprof.profiles.judge.result import Result
from tests.unit.cli.patches import set_dirty, set_measure
from tests.unit.cli.test_main import Pipeprof

SPEC = "version: 1\nsource: {range: {stop: 1000}}\nstages: [{batch: {batch_size: 8}}]\n"
OFF = "budgets: {step_ms: off, peak_bytes: off}\n"
LOOSE = "budgets: {step_ms: 900%, peak_bytes: warn}\n"
TIGHT = "budgets: {step_ms: 5%, first_batch_s: {limit: 2s}, stages: {batch: {time_ms: 10%}}}\n"


@pytest.fixture(autouse=True)
def _slower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gate measures that B takes 1.5 times as long."""
    monkeypatch.chdir(tmp_path)
    set_dirty(monkeypatch)

    def measure(_sides: object, result: Result, plan: live.SessionPlan, _progress: object, save: Any) -> None:
        result.step = "none"
        result.pairs = pairs(1.5, count=15)
        result.metrics = plan.rows(result.pairs)
        save()

    set_measure(monkeypatch, measure)


def gated(pipeprof: Pipeprof, base: str, judged: str, *more: str) -> tuple[int, dict[str, Any], str]:
    Path("base.yaml").write_text(SPEC + base)
    Path("spec.yaml").write_text(SPEC + judged)
    done = pipeprof("gate", "spec.yaml", "--against", "base.yaml", "--out", "gate.json", "--force", *more)
    document = json.loads(Path("gate.json").read_text())
    assert {"other-budgets"} >= {one["code"] for one in document["warnings"]}, done.err
    return done.code, document, done.out


@pytest.mark.parametrize("budgets", [OFF, LOOSE])
def test_what_is_judged_does_not_set_its_own_budgets(budgets: str, pipeprof: Pipeprof) -> None:
    code, document, said = gated(pipeprof, "", budgets)
    assert code == 3
    (warning,) = document["warnings"]
    for name in ("step_ms", "peak_bytes"):
        assert name in warning["message"]
        assert any(change.startswith(f"budgets.{name}: not set → ") for change in document["budgets"])
        assert f"budgets.{name}" in said.partition("Changes")[2]
    # What is only judged by is no cause.
    assert "Likely" not in said


@pytest.mark.parametrize(("base", "code"), [(OFF, 0), (LOOSE, 0), ("", 3), (TIGHT, 6)])
def test_the_budgets_are_those_of_the_base(base: str, code: int, pipeprof: Pipeprof) -> None:
    # A stage was not timed here, which only its own budget asks for.
    assert gated(pipeprof, base, "")[0] == code
    assert gated(pipeprof, base, base)[1]["budgets"] == []


def test_the_command_line_comes_before_both(pipeprof: Pipeprof) -> None:
    limits = ("--limit", "step_ms=900%", "--limit", "peak_bytes=off")
    code, document, _ = gated(pipeprof, "budgets: {step_ms: 1%}\n", OFF, *limits)
    assert (code, document["warnings"], document["budgets"]) == (0, [], [])


def test_each_budget_is_written_as_it_was_given(pipeprof: Pipeprof) -> None:
    _, document, _ = gated(pipeprof, TIGHT, "budgets: {peak_bytes: {change: 10%, limit: 2GiB, level: warn}}\n")
    assert document["budgets"] == [
        "budgets.step_ms: 5 % → not set",
        "budgets.peak_bytes: not set → 10 %, at most 2.00 GiB, warn",
        "budgets.first_batch_s: at most 2 s → not set",
        "budgets.stages.batch.time_ms: 10 % → not set",
    ]
