"""``compare`` and ``gate`` without a measurement: wrong options, and saved profiles side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.commands import compare, gate
from pipeprof.cli.targets import sides

Pipeprof = Callable[..., Any]

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"
SPEC = """version: 1
source: {range: {stop: 100}}
stages:
  - batch: {batch_size: 8}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(SPEC)
    Path("train.py").write_text("def make():\n    return None\n")
    Path("pkg").mkdir()
    Path("pkg/__init__.py").touch()
    Path("pkg/train.py").write_text("def make():\n    return None\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["compare", "a.yaml"], 2, "compare needs two pipelines"),
        (["compare", "a.yaml", "b.yaml"], 2, "b.yaml: no such file — did you mean a.yaml?"),
        (["compare", "git:main", "git:dev"], 2, "git:main names no file, and the other side is not in the work tree"),
        (["compare", "a.yaml", "git:"], 2, "git: names no ref: expected git:REF or git:REF:PATH"),
        (["compare", "a.yaml", "a.yaml", "b.yaml"], 2, "b.yaml: no such file"),
        (["compare", *["a.yaml"] * 9], 2, "got 9 pipelines, at most 8: each is a process in every pair"),
        (["gate", "none.yaml", "--against", "git:main"], 2, "none.yaml: no such file"),
        (["compare", "pkg.train:make", "git:main"], 2, "name its file, git:main:pkg/train.py:make"),
        (["compare", "a.yaml", "git:main:pkg.train:make"], 2, "name its file, git:main:pkg/train.py:make"),
        (["compare", "a.yaml", "none.json"], 6, "none.json"),
        (["compare", "a.yaml", "a.yaml", "--pairs", "0"], 2, "--pairs"),
        (["gate", "a.yaml"], 2, "gate needs a pipeline to compare with"),
        (["gate", "a.yaml", "--against", "a.yaml", "--self-test"], 2, "--against and --self-test contradict"),
        (["gate", "a.yaml", "--against", "a.yaml", "--limit", "step_ms=0ms"], 2, "step_ms: "),
        (["gate", "a.yaml", "--against", "a.yaml", "--limit", "step_ms=2GiB"], 2, "got '2GiB'"),
        (["gate", "a.yaml", "--against", "a.yaml", "--max-pairs", "x"], 2, "--max-pairs"),
        (["gate", "a.yaml", "--against", "a.yaml", "--limit", "10%"], 2, "expected NAME=BUDGET"),
        (["gate", "a.yaml", "--against", "a.yaml", "--limit", "stage:batch=1GiB"], 2, "got '1GiB'"),
        (["gate", "a.yaml", "--against", "a.yaml", "--limit", "stage:bach=10%"], 2, "'bach' — did you mean batch?"),
        (["gate", "a.yaml", "--against", "main"], 2, "invalid target 'main': did you mean git:main"),
        (["compare", "a.yaml", "feature/x~2"], 2, "did you mean git:feature/x~2"),
        (["gate", "a.yaml", "--against", "a.yaml", "--out", "r.pdf"], 2, "unknown output format .pdf"),
    ],
)
def test_what_is_wrong_is_stated_before_anything_runs(
    arguments: list[str], code: int, message: str, pipeprof: Pipeprof
) -> None:
    result = pipeprof(*arguments)
    assert result.code == code, result.err
    assert result.out == ""
    assert message in result.err


IN_MEMORY = "keep it in memory with --set {path}="


@pytest.mark.parametrize(
    ("stages", "says", "mend"),
    [
        ("[{cache: {filename: rows}}]", "cache writes files (filename: rows)", IN_MEMORY),
        ("[{snapshot: {path: rows}}]", "snapshot writes files (path: rows)", "leave the stage out"),
        (
            "[{flat_map: {source: {range: {stop: 2}}, stages: [{cache: {filename: rows}}]}}]",
            "cache writes files (filename: rows)",
            IN_MEMORY,
        ),
    ],
)
@pytest.mark.parametrize("command", ["compare B", "compare A", "gate", "self-test"])
def test_a_spec_that_writes_files_is_refused_before_anything_runs(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch, command: str, stages: str, says: str, mend: str
) -> None:
    monkeypatch.setattr(sides, "is_dirty", lambda *_: None)
    for module in (compare, gate):
        monkeypatch.setattr(module, "measure", lambda *_: pytest.fail("measured"))
    Path("files.yaml").write_text(f"version: 1\nsource: {{range: {{stop: 4}}}}\nstages: {stages}\n")
    words = {
        "compare B": ["compare", "a.yaml", "files.yaml"],
        "compare A": ["compare", "files.yaml", "train.py:make"],
        "gate": ["gate", "files.yaml", "--against", "a.yaml"],
        "self-test": ["gate", "files.yaml", "--self-test"],
    }
    found = pipeprof(*words[command])
    assert found.code == 2
    side = "A" if command in ("compare A", "self-test") else "B"
    path = "stages.0.flat_map.stages.0.cache.filename" if "flat_map" in stages else "stages.0.cache.filename"
    assert f"{side}: files.yaml:3: {says}, and all processes of a comparison would write the same ones" in found.err
    assert f"; {mend.replace('{path}', path)}\n" in found.err
    if "cache" in stages:
        assert pipeprof("check", "files.yaml", "--set", f"{path}=").code == 0


def test_a_saved_profile_is_no_side_of_a_gate(pipeprof: Pipeprof) -> None:
    result = pipeprof("gate", "a.yaml", "--against", str(RECORDED / "step-bound.json"))
    assert result.code == 2
    assert "is a saved profile, of one process" in result.err


def test_a_wrong_budget_of_a_spec_has_its_line(pipeprof: Pipeprof) -> None:
    Path("b.yaml").write_text(f"{SPEC}budgets:\n  step_ms: quick\n  speed: 5%\n")
    result = pipeprof("check", "b.yaml")
    assert result.code == 2
    assert "b.yaml:6" in result.out
    assert "a share such as 5%" in result.out
    assert "speed" in result.out


def test_profiles_side_by_side_have_ratios_and_no_verdicts(pipeprof: Pipeprof) -> None:
    one, other, script = (str(RECORDED / f"{name}.json") for name in ("jpeg-folder", "step-bound", "script-fit"))
    result = pipeprof("compare", one, other, "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert document["kind"] == "compare"
    assert {"step_ms", "peak_bytes"} <= {metric["name"] for metric in document["metrics"]}
    assert {metric["verdict"] for metric in document["metrics"]} == {"cannot tell"}
    assert all(metric["low"] is None for metric in document["metrics"])
    assert document["stages"]
    assert list(Path("pipeprof-out").glob("compare-*.json"))
    of_scripts = pipeprof("compare", script, str(RECORDED / "script-loop.json"), "--json")
    assert "step_ms" in {metric["name"] for metric in json.loads(of_scripts.out)["metrics"]}


def test_other_hosts_and_versions_of_profiles_are_warnings(pipeprof: Pipeprof) -> None:
    document = json.loads((RECORDED / "step-bound.json").read_text())
    document["host"]["cpu_model"] = "another one"
    document["versions"]["tensorflow"] = "2.0"
    Path("other.json").write_text(json.dumps(document))
    result = pipeprof("compare", str(RECORDED / "step-bound.json"), "other.json", "--json")
    assert result.code == 0
    assert {"other-host", "other-versions"} <= {warning["code"] for warning in json.loads(result.out)["warnings"]}


def test_a_saved_result_is_shown_again_and_is_no_side(pipeprof: Pipeprof) -> None:
    one, other = (str(RECORDED / name) for name in ("jpeg-folder.json", "step-bound.json"))
    first = pipeprof("compare", one, other, "--out", "result.json", "--out", "result.md")
    assert first.code == 0, first.err
    again = pipeprof("show", "result.json")
    assert (again.code, again.out) == (0, first.out)
    assert Path("result.md").read_text().startswith("**One process each, no verdict:**")
    assert pipeprof("compare", one, other).out == pipeprof("show").out
    refused = pipeprof("compare", one, "result.json")
    assert refused.code == 6
    assert "is a result of compare or gate, not a profile" in refused.err


def test_a_damaged_result_is_named(pipeprof: Pipeprof) -> None:
    Path("bad.json").write_text('{"tool": {"name": "pipeprof"}, "kind": "gate", "pairs": 3, "schema_version": 1}')
    result = pipeprof("show", "bad.json")
    assert result.code == 6
    assert "bad.json is not a valid result: " in result.err


def test_a_wrong_spec_of_a_ref_is_named_as_the_ref_is() -> None:
    from pipeprof.cli.targets.sides import _name_at_ref
    from pipeprof.pipelines.spec.errors.diagnostics import Diagnostic, SpecError
    from pipeprof.profiles.git.tree import RefTree

    tree = RefTree("git:main", Path("/tmp/refs/a"), Path("/srv/work/a"), "0" * 40)
    found = Diagnostic("/tmp/refs/a/specs/b.yaml", 2, 1, 3, "unknown-key", "unknown key `old`")
    error = SpecError([found], ["version: 1", "old: 3"])
    again = error.with_file_names(lambda name: _name_at_ref(name, tree))
    assert str(again).startswith("git:main:specs/b.yaml:2:1: error[unknown-key]: unknown key `old`")
    assert "old: 3" in str(again)
    assert _name_at_ref("base.yaml", tree) == "base.yaml"
    assert _name_at_ref("/tmp/refs/base.yaml", tree) == "/srv/work/base.yaml"


def test_budgets_of_stages_in_a_spec(pipeprof: Pipeprof) -> None:
    budgets = "budgets:\n  stages:\n    batch: {time_ms: 10%}\n    stages.0: {time_ms: {limit: 2ms, level: warn}}\n"
    Path("b.yaml").write_text(SPEC + budgets)
    assert pipeprof("check", "b.yaml").code == 0
    Path("b.yaml").write_text(f"{SPEC}budgets:\n  stages:\n    bach: {{time_ms: 10%}}\n")
    found = pipeprof("check", "b.yaml")
    assert found.code == 2
    assert "b.yaml:7" in found.out
    assert "unknown stage 'bach'" in found.out
    assert "batch" in found.out.partition("help:")[2]
    Path("b.yaml").write_text(f"{SPEC}budgets:\n  stages:\n    batch: {{busy: 10%}}\n")
    assert "expected time_ms" in pipeprof("check", "b.yaml").out


@pytest.mark.parametrize("command", [["compare", "a.yaml"], ["gate", "a.yaml", "--against"]])
def test_sides_with_other_steps_are_a_warning(
    command: list[str], pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sides, "is_dirty", lambda *_: None)
    for module in (compare, gate):
        monkeypatch.setattr(module, "measure", lambda *_: None)
    Path("b.yaml").write_text(f"{SPEC}step: {{simulate: 5ms}}\n")

    def codes(*words: str) -> set[str]:
        found = pipeprof(*command, *words, "--json")
        return {one["code"] for one in json.loads(found.out)["warnings"]}

    assert "other-step" in codes("b.yaml")
    assert "other-step" not in codes("b.yaml", "--step", "simulate:2ms")
    assert "other-step" not in codes("a.yaml")
