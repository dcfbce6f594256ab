"""What a gate judges by, when it measures nothing, and what it is compared with; sessions take no time here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.judge.pairs import pairs

from pipeprof.cli.targets import sides
from pipeprof.profiles.judge.live import SessionPlan
from pipeprof.profiles.judge.result import Result
from tests.unit.cli.patches import set_measure
from tests.unit.cli.reports import Pipeprof

SPEC = "version: 1\nsource: {range: {stop: 1000}}\nstages: [{batch: {batch_size: 8}}]\n"
OFF = "budgets: {step_ms: off, peak_bytes: off}\n"
LOOSE = "budgets: {step_ms: 900%, peak_bytes: warn}\n"
TIGHT = "budgets: {step_ms: 5%, first_batch_s: {limit: 2s}, stages: {batch: {time_ms: 10%}}}\n"


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """Each gate measures that B takes 1.5 times as long; the sessions that were measured."""
    monkeypatch.chdir(tmp_path)
    found: list[Result] = []

    def measure(_sides: object, result: Result, plan: SessionPlan, _progress: object, save: Any) -> None:
        result.step = "none"
        result.pairs = pairs(1.5, count=15)
        result.metrics = plan.rows(result.pairs)
        found.append(result)
        save()

    set_measure(monkeypatch, measure)
    for name, more in (("a", ""), ("b", "name: b\n")):
        Path(f"{name}.yaml").write_text(SPEC + more)
    return found


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


def test_the_same_pipeline_passes_without_a_measurement(pipeprof: Pipeprof, measured: list[Result]) -> None:
    files = [word for name in ("gate.json", "gate.xml", "gate.html", "gate.md") for word in ("--out", name)]
    result = pipeprof("gate", "a.yaml", "--against", "./a.yaml", *files)
    assert (result.code, measured) == (0, []), result.err
    document = json.loads(Path("gate.json").read_text())
    assert (document["verdict"], document["pairs"], document["complete"]) == ("not regressed", [], True)
    assert document["unchanged"]
    assert 'name="unchanged"' in Path("gate.xml").read_text()
    again = pipeprof("show", "gate.json")
    assert (again.code, again.out.splitlines()[0]) == (0, result.out.splitlines()[0])
    # A limit is about one side alone, whatever the other one is.
    for more in (["--measure"], ["--limit", "step_ms=20ms"]):
        pipeprof("gate", "a.yaml", "--against", "a.yaml", *more)
    assert len(measured) == 2


@pytest.mark.parametrize("name", ["CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "GITHUB_BASE_REF"])
def test_in_a_merge_request_the_other_side_is_where_the_branch_began(
    name: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    for branch, code in (("release/1", 6), ("", 2)):
        monkeypatch.setenv(name, branch)
        result = pipeprof("gate", "a.yaml")
        assert (result.code, "git:REF" in result.err) == (code, code == 6)


def test_a_gate_shows_the_self_test_that_is_saved_where_its_result_is_and_warns_of_a_work_tree_with_changes(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(*more: str) -> str:
        return str(pipeprof("gate", "a.yaml", "--against", "b.yaml", "--limit", "step_ms=900%", *more).out)

    receipt = {"target": "a.yaml", "started": "2026-01-02T03:04:05", "passed": True, "alarms": [], "missed": []}
    receipt |= {"slower": 0.1, "hold_bytes": 1, "detectable": {}, "pairs": [5, 5]}
    assert "--self-test" in shown()
    Path("pipeprof-out/self-test-a.json").write_text(json.dumps({"self_test": receipt}))
    assert "2026-01-02" in shown()
    # A result that is saved elsewhere has nothing to do with what lies in this folder, which may be a stranger's.
    Path("reports").mkdir()
    assert "2026-01-02" not in shown("--out", "reports/gate.json")
    monkeypatch.setattr(sides, "is_dirty", lambda *_: True)
    assert "dirty-tree" in {one["code"] for one in json.loads(shown("--json"))["warnings"]}
