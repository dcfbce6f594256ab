"""A gate whose sides are the same pipeline, and what it is compared with in a merge request."""

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

SPEC = """version: 1
name: numbers
source: {range: {stop: 1000}}
stages:
  - map: {name: double, ops: [{tf.multiply: {y: 3}}]}
  - batch: {batch_size: 8}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    set_dirty(monkeypatch)
    Path("v3.yaml").write_text(SPEC)


def test_the_same_pipeline_passes_without_a_measurement(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    set_measure(monkeypatch, lambda *_: pytest.fail("measured"))
    files = [word for name in ("gate.json", "gate.xml", "gate.html", "gate.md") for word in ("--out", name)]
    result = pipeprof("gate", "v3.yaml", "--against", "./v3.yaml", *files)
    assert result.code == 0, result.err
    assert result.out.startswith("Passed: ")
    document = json.loads(Path("gate.json").read_text())
    assert (document["verdict"], document["pairs"], document["complete"]) == ("not regressed", [], True)
    assert document["unchanged"]
    assert "nothing was measured" in Path("gate.html").read_text()
    assert 'name="unchanged"' in Path("gate.xml").read_text()
    again = pipeprof("show", "gate.json")
    assert (again.code, again.out.splitlines()[0]) == (0, result.out.splitlines()[0])


@pytest.mark.parametrize("more", [["--measure"], ["--limit", "step_ms=20ms"]])
def test_what_asks_for_a_measurement_gets_one(
    more: list[str], pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_sides: object, result: Result, plan: live.SessionPlan, _progress: object, save: Any) -> None:
        result.step = "none"
        result.pairs = pairs(1.0, count=15)
        result.metrics = plan.rows(result.pairs)
        save()

    set_measure(monkeypatch, measure)
    assert "15 pairs" in pipeprof("gate", "v3.yaml", "--against", "v3.yaml", *more).out


@pytest.mark.parametrize("name", ["CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "GITHUB_BASE_REF"])
def test_in_a_merge_request_the_other_side_is_where_the_branch_began(
    name: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "release/1")
    result = pipeprof("gate", "v3.yaml")
    assert result.code == 6
    assert "is in no git repository, which a target `git:REF` needs" in result.err
    monkeypatch.setenv(name, "")
    assert "gate needs a pipeline to compare with" in pipeprof("gate", "v3.yaml").err
