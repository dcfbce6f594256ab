"""``compare`` and ``gate``: wrong options, saved profiles side by side, what a gate judges by; nothing is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.judge.pairs import pairs

from pipeprof.cli.targets import sides
from pipeprof.pipelines.spec.diagnostics import Diagnostic, SpecError
from pipeprof.profiles.git.tree import RefTree
from pipeprof.profiles.judge.live import SessionPlan
from pipeprof.profiles.judge.result import Result
from tests.unit.cli.patches import TEXT, set_measure
from tests.unit.cli.reports import RECORDED, Pipeprof


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """The sessions that were measured: each finds that B takes 1.5 times as long."""
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(TEXT)
    Path("b.yaml").write_text(f"{TEXT}name: b\n")
    Path("pkg").mkdir()
    Path("pkg/__init__.py").touch()
    for name in ("train.py", "pkg/train.py"):
        Path(name).write_text("def make():\n    return None\n")
    found: list[Result] = []

    def measure(_sides: object, result: Result, plan: SessionPlan, _progress: object, save: Any) -> None:
        result.step = "none"
        result.pairs = pairs(1.5, count=15)
        result.metrics = plan.rows(result.pairs)
        found.append(result)
        save()

    set_measure(monkeypatch, measure)
    return found


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["compare", "a.yaml"], 2, "compare needs two pipelines"),
        (["compare", "a.yaml", "aa.yaml"], 2, "aa.yaml: no such file — did you mean a.yaml?"),
        (["compare", "git:main", "git:dev"], 2, "git:main names no file, and the other side is not in the work tree"),
        (["compare", "a.yaml", "git:"], 2, "git: names no ref: expected git:REF or git:REF:PATH"),
        (["compare", *["a.yaml"] * 9], 2, "got 9 pipelines, at most 8: each is a process in every pair"),
        (["compare", "pkg.train:make", "git:main"], 2, "name its file, git:main:pkg/train.py:make"),
        (["compare", "a.yaml", "git:main:pkg.train:make"], 2, "name its file, git:main:pkg/train.py:make"),
        (["compare", "a.yaml", "none.json"], 6, "none.json"),
        (["compare", "a.yaml", "a.yaml", "--pairs", "0"], 2, "--pairs"),
        (["gate", "a.yaml"], 2, "gate needs a pipeline to compare with"),
        (["gate", "a.yaml", "--against", str(RECORDED / "step-bound.json")], 2, "is a saved profile, of one process"),
        (["gate", "a.yaml", "--against", "a.yaml", "--limit", "step_ms=0ms"], 2, "step_ms: "),
        (["gate", "a.yaml", "--against", "a.yaml", "--max-pairs", "x"], 2, "--max-pairs"),
        (["gate", "a.yaml", "--against", "a.yaml", "--limit", "stage:bach=10%"], 2, "'bach' — did you mean batch?"),
        (["gate", "a.yaml", "--against", "main"], 2, "invalid target 'main': did you mean git:main"),
        (["compare", "a.yaml", "feature/x~2"], 2, "did you mean git:feature/x~2"),
        (["gate", "a.yaml", "--against", "a.yaml", "--out", "r.pdf"], 2, "unknown output format .pdf"),
    ],
)
def test_what_is_wrong_is_said_before_a_run(arguments: list[str], code: int, message: str, pipeprof: Pipeprof) -> None:
    result = pipeprof(*arguments)
    assert (result.code, result.out) == (code, ""), result.err
    assert message in result.err


@pytest.mark.parametrize(
    ("words", "side"),
    [
        ("compare a.yaml files.yaml", "B"),
        ("compare files.yaml train.py:make", "A"),
        ("gate files.yaml --against a.yaml", "B"),
        ("gate files.yaml --self-test", "A"),
    ],
)
def test_a_spec_that_writes_files_is_refused_before_anything_runs(
    words: str, side: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_measure(monkeypatch, lambda *_: pytest.fail("measured"))
    inner = "flat_map: {source: {range: {stop: 2}}, stages: [{cache: {filename: rows}}]}"
    for stage, says, path in (
        ("cache: {filename: rows}", "cache writes files (filename: rows)", "stages.0.cache.filename"),
        ("snapshot: {path: rows}", "snapshot writes files (path: rows)", ""),
        (inner, "cache writes files (filename: rows)", "stages.0.flat_map.stages.0.cache.filename"),
    ):
        Path("files.yaml").write_text(f"version: 1\nsource: {{range: {{stop: 4}}}}\nstages: [{{{stage}}}]\n")
        found = pipeprof(*words.split())
        assert found.code == 2
        assert f"{side}: files.yaml:3: {says}, and all processes of a comparison would write the same" in found.err
        assert (f"--set {path}=" if path else "leave the stage out") in found.err
        assert not path or pipeprof("check", "files.yaml", "--set", f"{path}=").code == 0


def test_a_wrong_budget_of_a_spec_has_its_line(pipeprof: Pipeprof) -> None:
    for budgets, words in {
        "step_ms: quick": "a share such as 5%",
        "speed: 5%": "speed",
        "stages: {bach: {time_ms: 10%}}": "unknown stage 'bach'",
        "stages: {batch: {busy: 10%}}": "expected time_ms",
    }.items():
        Path("b.yaml").write_text(f"{TEXT}budgets:\n  {budgets}\n")
        result = pipeprof("check", "b.yaml")
        assert (result.code, "b.yaml:6" in result.out, words in result.out) == (2, True, True)
    right = "stages: {batch: {time_ms: 10%}, stages.0: {time_ms: {limit: 2ms, level: warn}}}"
    Path("b.yaml").write_text(f"{TEXT}budgets:\n  {right}\n")
    assert pipeprof("check", "b.yaml").code == 0


def test_profiles_side_by_side_have_ratios_and_no_verdicts(pipeprof: Pipeprof) -> None:
    def compared(*names: object) -> Any:
        result = pipeprof("compare", *names, "--json")
        assert result.code == 0, result.err
        return json.loads(result.out)

    document = compared(*(RECORDED / f"{name}.json" for name in ("jpeg-folder", "step-bound")))
    assert document["kind"] == "compare"
    assert {"step_ms", "peak_bytes"} <= {metric["name"] for metric in document["metrics"]}
    assert {(metric["verdict"], metric["low"]) for metric in document["metrics"]} == {("cannot tell", None)}
    assert document["stages"]
    assert list(Path("pipeprof-out").glob("compare-*.json"))
    scripts = compared(*(RECORDED / f"{name}.json" for name in ("script-fit", "script-loop")))
    assert "step_ms" in {metric["name"] for metric in scripts["metrics"]}
    other = json.loads((RECORDED / "step-bound.json").read_text())
    other["host"]["cpu_model"], other["versions"]["tensorflow"] = "another one", "2.0"
    Path("other.json").write_text(json.dumps(other))
    warnings = compared(RECORDED / "step-bound.json", "other.json")["warnings"]
    assert {"other-host", "other-versions"} <= {warning["code"] for warning in warnings}


def test_a_saved_result_is_shown_again_and_is_no_side(pipeprof: Pipeprof) -> None:
    one, other = (str(RECORDED / name) for name in ("jpeg-folder.json", "step-bound.json"))
    first = pipeprof("compare", one, other, "--out", "result.json", "--out", "result.md")
    assert first.code == 0, first.err
    again = pipeprof("show", "result.json")
    assert (again.code, again.out) == (0, first.out)
    assert Path("result.md").read_text().startswith(f"**{first.out.partition(':')[0]}:**")
    assert pipeprof("compare", one, other).out == pipeprof("show").out
    refused = pipeprof("compare", one, "result.json")
    assert (refused.code, "is a result of compare or gate, not a profile" in refused.err) == (6, True)
    Path("bad.json").write_text('{"tool": {"name": "pipeprof"}, "kind": "gate", "pairs": 3, "schema_version": 1}')
    damaged = pipeprof("show", "bad.json")
    assert (damaged.code, "bad.json is not a valid result: " in damaged.err) == (6, True)


def test_a_wrong_spec_of_a_ref_is_named_as_the_ref_is() -> None:
    tree = RefTree("git:main", Path("/tmp/refs/a"), Path("/srv/work/a"), "0" * 40)
    error = SpecError(
        [Diagnostic("/tmp/refs/a/specs/b.yaml", 2, 1, 3, code="unknown-key", message="unknown")], ["version: 1", "o:"]
    )
    again = error.with_file_names(lambda name: sides._name_at_ref(name, tree))
    assert str(again).startswith("git:main:specs/b.yaml:2:1: error[unknown-key]: unknown")
    names = {"base.yaml": "base.yaml", "/tmp/refs/base.yaml": "/srv/work/base.yaml"}
    assert {name: sides._name_at_ref(name, tree) for name in names} == names


@pytest.mark.parametrize("command", [["compare", "a.yaml"], ["gate", "a.yaml", "--against"]])
def test_sides_with_other_steps_are_a_warning(command: list[str], pipeprof: Pipeprof) -> None:
    # A gate takes the base's step for both.
    code = "other-budgets" if command[0] == "gate" else "other-step"
    Path("b.yaml").write_text(f"{TEXT}step: {{simulate: 5ms}}\n")

    def codes(*words: str) -> set[str]:
        found = pipeprof(*command, *words, "--json")
        return {one["code"] for one in json.loads(found.out)["warnings"]}

    assert code in codes("b.yaml")
    assert code not in codes("b.yaml", "--step", "simulate:2ms")
    assert code not in codes("a.yaml")


OFF = "budgets: {step_ms: off, peak_bytes: off}\n"
LOOSE = "budgets: {step_ms: 900%, peak_bytes: warn}\n"
TIGHT = "budgets: {step_ms: 5%, first_batch_s: {limit: 2s}, stages: {batch: {time_ms: 10%}}}\n"


def gated(pipeprof: Pipeprof, base: str, judged: str, *more: str) -> tuple[int, dict[str, Any], str]:
    Path("base.yaml").write_text(TEXT + base)
    Path("spec.yaml").write_text(TEXT + judged)
    done = pipeprof("gate", "spec.yaml", "--against", "base.yaml", "--out", "gate.json", "--force", *more)
    document = json.loads(Path("gate.json").read_text())
    assert {"other-budgets"} >= {one["code"] for one in document["warnings"]}, done.err
    return done.code, document, done.out


@pytest.mark.parametrize(
    ("base", "judged", "limits", "code"),
    [
        # A stage was not timed here, which only its own budget asks for.
        *((base, base, "", code) for base, code in ((OFF, 0), (LOOSE, 0), ("", 3), (TIGHT, 6))),
        *((base, "", "", code) for base, code in ((OFF, 0), (LOOSE, 0), (TIGHT, 6))),
        ("", OFF, "", 3),
        ("", LOOSE, "", 3),
        ("budgets: {step_ms: 1%}\n", OFF, "--limit step_ms=900% --limit peak_bytes=off", 0),
    ],
)
def test_the_command_line_comes_before_the_budgets_of_the_base_and_what_is_judged_sets_none(
    base: str, judged: str, limits: str, code: int, pipeprof: Pipeprof
) -> None:
    ended, document, said = gated(pipeprof, base, judged, *limits.split())
    assert ended == code
    if base == judged or limits:
        assert (document["warnings"], document["budgets"]) == ([], [])
    elif judged:
        (warning,) = document["warnings"]
        for name in ("step_ms", "peak_bytes"):
            assert name in warning["message"]
            assert any(change.startswith(f"budgets.{name}: not set → ") for change in document["budgets"])
            assert f"budgets.{name}" in said.partition("Changes")[2]
        # What is only judged by is no cause.
        assert "Likely" not in said


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


def test_a_gate_warns_of_a_work_tree_with_changes(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sides, "is_dirty", lambda *_: True)
    out = pipeprof("gate", "a.yaml", "--against", "b.yaml", "--limit", "step_ms=900%", "--json").out
    assert "dirty-tree" in {one["code"] for one in json.loads(out)["warnings"]}
