"""`pipeprof check`: findings, predicted memory, documents, and the exit code; of one target and of many."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from pipeprof.cli.report.check import describe_check
from pipeprof.cli.targets.load import find_targets, is_spec
from pipeprof.pipelines.changes.edits import SetArgument
from pipeprof.profiles.advise import advise, check
from pipeprof.profiles.advise.advise import StaticAdvice
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.memory.predict import BufferPrediction, MemoryPrediction
from pipeprof.profiles.view.view import PipelineView
from tests.unit.cli.reports import Golden, Pipeprof, shown

SPEC = """\
version: 1
name: rows
source:
  from_tensor_slices: {tensors: {array: {shape: [50000, 2560], dtype: float32}}}
stages:
  - shuffle: {name: mix, buffer_size: 1000}
  - batch: {batch_size: 32}
"""
RIGHT = "version: 1\nsource: {range: {stop: 100}}\nstages: [{batch: {batch_size: 8}}]\n"
WRONG = "version: 1\nsource: {rnge: 3}\n"
SLIP = "import tensorflow as tf\ndef train():\n    ds = tf.data.Dataset.range(9)\n    ds.repeat()\n    return ds\n"


def mixing(view: PipelineView) -> list[Proposal]:
    return [
        Proposal(
            "The buffer is large",
            sentence=f"{stage.label} holds {stage.arguments['buffer_size']} elements.",
            recommendation="Make it smaller.",
            stage=stage.id,
            edits=(SetArgument(stage.id, stage.op, "buffer_size", 100),),
            predicted=Predicted(formula="900 × 9.77 KiB", peak_rss_delta_bytes=-9_000_000),
        )
        for stage in view.stages
        if stage.op == "shuffle"
    ]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(advise, "FINDINGS", (check.finding("shuffle-buffer-bytes", "memory", "order")(mixing),))
    Path("spec.yaml").write_text(SPEC)
    return Path("spec.yaml")


def document(pipeprof: Pipeprof, *words: str) -> Profile:
    return Profile.model_validate_json(pipeprof("check", *words, "--json").out)


@pytest.mark.usefixtures("spec")
def test_golden(golden: Golden, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    Path("f.py").write_text("def f(x):\n    return x\n")
    more = "  - filter: {python: f.py:f}\n  - cache: {}\n  - map: {python: f.py:f, num_parallel_calls: 2}\n"
    Path("spec.yaml").write_text(f"{SPEC}{more}ignore: [{{rule: no-rule, reason: none}}]\n")
    held = BufferPrediction("cache", "stages.3", 500_000_000, count=50_000, at_most=True, most=2_000_000_000)
    told = StaticAdvice(findings=[], memory=MemoryPrediction((held,), ()))
    bounded = shown(describe_check("spec.yaml", told, []))
    golden("check/spec.txt", f"{pipeprof('check', 'spec.yaml').out}\n{bounded}")


def test_fail_on_warning_also_where_files_are_written(spec: Path, pipeprof: Pipeprof) -> None:
    files = ("--out", "c.json", "--out", "c.sarif")
    ignored = "ignore: [{rule: shuffle-buffer-bytes, stage: mix, reason: it fits}]\n"
    for text, words, code in (
        (SPEC, (), 0), (SPEC, ("--fail-on", "warning"), 3), (SPEC, ("--json", "--fail-on", "warning"), 3),
        (SPEC + ignored, ("--json", "--fail-on", "warning"), 0), (SPEC, (*files, "--fail-on", "warning"), 3),
    ):  # fmt: skip
        spec.write_text(text)
        assert pipeprof("check", "spec.yaml", *words).code == code
    assert json.loads(Path("c.json").read_text())["exit_code"] == 3
    (found,) = json.loads(Path("c.sarif").read_text())["runs"][0]["results"]
    assert found["ruleId"] == "shuffle-buffer-bytes"
    spec.write_text(WRONG)
    assert pipeprof("check", "spec.yaml", *files).code == 2
    assert json.loads(Path("c.sarif").read_text())["runs"][0]["invocations"][0]["exitCode"] == 2


def test_the_document_has_findings_and_memory(spec: Path, pipeprof: Pipeprof) -> None:
    profile = document(pipeprof, spec.name, "--memory-limit", "8GiB")
    ((found,), ledger) = (profile.findings or (), profile.memory.ledger or ())
    assert (found.rule, found.stage, found.status) == ("shuffle-buffer-bytes", "stages.0", "unverified")
    assert found.location is not None
    assert found.location.line == 6
    assert {entry.stage: entry.how for entry in ledger}.items() >= {"source": "predicted", "stages.0": "alias"}.items()
    assert (profile.host.memory_limit_bytes, profile.host.memory_limit_source) == (8 << 30, "option")
    assert (profile.memory.peak_bytes, profile.steps) == (None, None)
    answers = document(pipeprof, spec.name, "--memory-limit", "1GiB").memory.what_ifs or []
    assert [(one.stage, one.fits) for one in answers] == [(None, False)]


def test_what_is_not_known_is_a_warning(spec: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    spec.write_text(SPEC.replace("[50000, 2560]", "[100, 2560]") + "  - repeat: {}\n")
    assert [one.code for one in document(pipeprof, spec.name).warnings] == ["memory-not-predicted"]
    monkeypatch.setattr(advise, "findings_in", lambda *_, **__: 1 / 0)
    profile = document(pipeprof, spec.name)
    assert (profile.warnings[0].code, profile.findings) == ("not-judged", None)
    assert [pipeprof("check", spec.name, *more).code for more in ([], ["--fail-on", "warning"])] == [0, 1]


def test_of_a_function_its_text_and_its_dataset_are_looked_at(pipeprof: Pipeprof) -> None:
    Path("a b.py").write_text(SLIP)
    built = document(pipeprof, "a b.py:train", "--arg", "n=3", "--memory-limit", "8GiB")
    (found,) = built.findings or ()
    assert (found.rule, found.location and found.location.line) == ("discarded-transformation", 4)
    assert [(one.op, one.location and one.location.line) for one in built.stages or ()] == [("range", 3)]
    assert (built.target.arguments, next(one.code for one in built.warnings)) == ({"n": "3"}, "flags")
    assert built.memory.what_ifs
    read = document(pipeprof, "a b.py:train", "--no-build")
    assert ([one.rule for one in read.findings or ()], read.stages) == (["discarded-transformation"], None)
    Path("a b.py").write_text("def train(n): ...\n")
    assert document(pipeprof, "a b.py:train", "--fail-on", "warning").findings == []
    assert document(pipeprof, "a b.py:train", "--no-build").findings is None


@pytest.mark.usefixtures("spec")
def test_a_document_is_printed_for_a_target_that_is_refused(pipeprof: Pipeprof) -> None:
    Path("input.py").write_text("def make(): pass\n")
    Path("python.yaml").write_text(f"{RIGHT[:-2]}, {{map: {{python: 'input.py:make'}}}}]\n")
    for words in ("input.py:make --no-python", "python.yaml --no-python", "input.py:none", "missing.yaml"):
        plain = pipeprof("check", *words.split())
        assert (plain.code, plain.out) == (2, "")
        found = pipeprof("check", *words.split(), "--json", "--out", "report.sarif")
        profile = Profile.model_validate_json(found.out)
        assert (found.code, profile.exit_code, [problem.code for problem in profile.errors]) == (2, 2, ["target"])
        assert profile.errors[0].message in plain.err
        assert "report.sarif" in found.err


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "specs/b.yml", "specs/deep/c.yaml", ".hidden/d.yaml", "node_modules/e.yaml", "env/f.yaml"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(RIGHT)
    Path("env/pyvenv.cfg").touch()
    Path("compose.yaml").write_text("version: 1\nservices: {}\n")


@pytest.mark.usefixtures("folder")
def test_a_folder_stands_for_the_specs_below_it_those_with_a_misspelt_key_too(pipeprof: Pipeprof) -> None:
    assert find_targets(["."]) == (["a.yaml", "specs/b.yml", "specs/deep/c.yaml"], 1)
    assert find_targets(["specs", "a.yaml", "specs/b.yml"]) == (["specs/b.yml", "specs/deep/c.yaml", "a.yaml"], 0)
    assert find_targets(["train.py:make", "missing.yaml"]) == (["train.py:make", "missing.yaml"], 0)
    Path("empty").mkdir()
    assert find_targets(["a.yaml", "empty", ""]) == (["a.yaml", "empty", ""], 0)
    for text, expected in (
        ("version: 1\nsorce: {range: {stop: 9}}\n", True),
        ("version: 1\nstep: none\n", True),
        ("version: 2\nsource: {range: {stop: 9}}\nstages: []\n", True),
        ("version: 1\nservices: {}\n", False),
        ("version: 2\nsources: []\n", False),
        ("stages: [build]\nbuild: {script: make}\n", False),
    ):
        Path("empty/broken.yaml").write_text(text)
        assert is_spec(Path("empty/broken.yaml")) is expected
        found = pipeprof("check", "empty", "--fail-on", "warning")
        assert (found.code, "1 YAML file is no spec" in found.err) == (2, not expected)


@pytest.mark.usefixtures("folder")
def test_of_many_targets_the_worst_one_has_the_exit_code(pipeprof: Pipeprof) -> None:
    right = pipeprof("check", ".")
    assert (right.code, right.err, right.out.count("\n")) == (0, "", 4)
    # A folder with one spec is checked as several are.
    assert pipeprof("check", "specs/deep").out.count("\n") == 2
    Path("slow.yaml").write_text(RIGHT.replace("[", "[{shuffle: {buffer_size: 100}}, {cache: }, "))
    found = pipeprof("check", "a.yaml", "slow.yaml")
    assert (found.code, "slow.yaml:3: cache-after-shuffle: " in found.out) == (0, True)
    assert pipeprof("check", "a.yaml", "slow.yaml", "--fail-on", "warning").code == 3
    Path("wrong.yaml").write_text(WRONG)
    wrong = pipeprof("check", "slow.yaml", "wrong.yaml", "missing.yaml", "--fail-on", "warning")
    assert (wrong.code, "wrong.yaml:2:10: error[unknown-source]" in wrong.out) == (2, True)
    assert "\nmissing.yaml: " in wrong.out
    found = pipeprof("check", ".", "--format", "github")
    assert (found.code, found.out.partition("::error file=wrong.yaml,line=2")[1] != "") == (2, True)
    for options in (["--json"], ["--out", "x.sarif"]):
        refused = pipeprof("check", ".", *options)
        assert (refused.code, refused.out) == (2, "")


VARIABLE = "version: 1\nname: rows\nsource: {range: {stop: 1000}}\nstages:\n  - batch: {batch_size: ${SIZE:-32}}\n"


def test_everything_that_changed_the_spec_is_recorded(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("spec.yaml").write_text(VARIABLE)
    monkeypatch.setenv("SIZE", "64")
    found = document(pipeprof, "spec.yaml", "--set", "stages.batch.drop_remainder=true", "--env")
    target, (_, batch) = found.target, found.stages or ()
    assert (found.exit_code, target.overrides) == (0, ["stages.batch.drop_remainder=true"])
    assert (target.variables, target.sha256) == ({"SIZE": "64"}, hashlib.sha256(VARIABLE.encode()).hexdigest())
    assert target.resolved_sha256 not in (None, target.sha256)
    assert batch.location is not None
    assert (batch.location.file, batch.location.line) == ("spec.yaml", 5)


def test_variables_that_are_left_are_noted_and_where_a_value_needs_one_that_is_the_error(pipeprof: Pipeprof) -> None:
    Path("spec.yaml").write_text(VARIABLE)
    result = pipeprof("check", "spec.yaml")
    assert (result.code, "spec.yaml:5:25: error[wrong-value]: got '${SIZE:-32}'" in result.out) == (2, True)
    assert "; add --env to replace ${SIZE:-32}" in result.out
    Path("spec.yaml").write_text(VARIABLE.replace("rows", "${NAME}").replace("${SIZE:-32}", "3"))
    result = pipeprof("check", "spec.yaml")
    assert (result.code, "spec.yaml:2:7: ${NAME} is not replaced: add --env" in result.err) == (0, True)
    assert "reference-left" in [warning.code for warning in document(pipeprof, "spec.yaml").warnings]
