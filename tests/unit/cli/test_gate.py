"""What a gate judges by, when it measures nothing, and what it is compared with; sessions take no time here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.judge.pairs import pairs

from pipeprof.cli.commands import gate
from pipeprof.cli.targets import sides
from pipeprof.profiles.judge.live import SessionPlan
from pipeprof.profiles.judge.result import Result

Pipeprof = Callable[..., Any]
SPEC = "version: 1\nsource: {range: {stop: 1000}}\nstages: [{batch: {batch_size: 8}}]\n"
OFF = "budgets: {step_ms: off, peak_bytes: off}\n"
LOOSE = "budgets: {step_ms: 900%, peak_bytes: warn}\n"
TIGHT = "budgets: {step_ms: 5%, first_batch_s: {limit: 2s}, stages: {batch: {time_ms: 10%}}}\n"


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """Each gate measures that B takes 1.5 times as long; the sessions that were measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sides, "is_dirty", lambda *_: None)
    found: list[Result] = []

    def measure(_sides: object, result: Result, plan: SessionPlan, _progress: object, save: Any) -> None:
        result.step = "none"
        result.pairs = pairs(1.5, count=15)
        result.metrics = plan.rows(result.pairs)
        found.append(result)
        save()

    monkeypatch.setattr(gate, "measure", measure)
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


def test_budgets_of_stages_on_the_command_line_and_in_a_spec_have_one_name() -> None:
    from pipeprof.pipelines.check import check_spec

    Path("b.yaml").write_text(f"{SPEC}budgets:\n  stages:\n    batch: {{time_ms: 10%}}\n")
    given = gate.limits(["stage:batch=20%", "stage:stages.0=3ms", "step_ms=5%"])
    assert {name: (one.change, one.limit) for name, one in given.items() if one is not None} == {
        "step_ms": (0.05, None),
        "stages.batch.time_ms": (0.2, None),
        "stages.stages.0.time_ms": (None, 3.0),
    }
    assert check_spec(Path("b.yaml"), []).spec.budgets.given["stages.batch.time_ms"].change == 0.1


def test_the_same_pipeline_passes_without_a_measurement(pipeprof: Pipeprof, measured: list[Result]) -> None:
    Path("v3.yaml").write_text(SPEC)
    files = [word for name in ("gate.json", "gate.xml", "gate.html", "gate.md") for word in ("--out", name)]
    result = pipeprof("gate", "v3.yaml", "--against", "./v3.yaml", *files)
    assert (result.code, measured) == (0, []), result.err
    document = json.loads(Path("gate.json").read_text())
    assert (document["verdict"], document["pairs"], document["complete"]) == ("not regressed", [], True)
    assert document["unchanged"]
    assert result.out.startswith("Passed: nothing was measured")
    assert 'name="unchanged"' in Path("gate.xml").read_text()
    again = pipeprof("show", "gate.json")
    assert (again.code, again.out.splitlines()[0]) == (0, result.out.splitlines()[0])
    # A limit is about one side alone, whatever the other one is.
    for more in (["--measure"], ["--limit", "step_ms=20ms"]):
        pipeprof("gate", "v3.yaml", "--against", "v3.yaml", *more)
    assert len(measured) == 2


@pytest.mark.parametrize("name", ["CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "GITHUB_BASE_REF"])
def test_in_a_merge_request_the_other_side_is_where_the_branch_began(
    name: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("v3.yaml").write_text(SPEC)
    monkeypatch.setenv(name, "release/1")
    result = pipeprof("gate", "v3.yaml")
    assert result.code == 6
    assert "git:REF" in result.err
    monkeypatch.setenv(name, "")
    assert pipeprof("gate", "v3.yaml").code == 2


def test_a_gate_shows_the_self_test_that_is_saved_where_its_result_is(pipeprof: Pipeprof) -> None:
    Path("a.yaml").write_text(SPEC)
    Path("b.yaml").write_text(f"{SPEC}name: b\n")

    def shown(*more: str) -> str:
        return str(pipeprof("gate", "a.yaml", "--against", "b.yaml", "--limit", "step_ms=900%", *more).out)

    receipt = {"target": "a.yaml", "started": "2026-01-02T03:04:05", "passed": True, "alarms": [], "missed": []}
    receipt |= {"slower": 0.1, "hold_bytes": 1, "detectable": {}, "pairs": [5, 5]}
    assert "self-test" not in shown()
    Path("pipeprof-out/self-test-a.json").write_text(json.dumps({"self_test": receipt}))
    assert "2026-01-02" in shown()
    # A result that is saved elsewhere has nothing to do with what lies in this folder, which may be a stranger's.
    Path("reports").mkdir()
    assert "2026-01-02" not in shown("--out", "reports/gate.json")


def test_a_work_tree_with_changes_is_a_warning(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.yaml").write_text(SPEC)
    Path("b.yaml").write_text(f"{SPEC}name: b\n")
    monkeypatch.setattr(sides, "is_dirty", lambda *_: True)
    found = pipeprof("gate", "a.yaml", "--against", "b.yaml", "--json")
    assert "dirty-tree" in {one["code"] for one in json.loads(found.out)["warnings"]}
