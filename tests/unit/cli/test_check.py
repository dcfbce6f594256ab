"""`pipeprof check`: findings, predicted memory and the exit code of the lint gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.pages.check import describe_check
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.pipelines.changes.edits import SetArgument
from pipeprof.profiles.advise import advise
from pipeprof.profiles.advise.check import finding
from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import UNVERIFIED, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.memory.predict.model import BufferPrediction, MemoryPrediction, UnknownSize
from pipeprof.profiles.view.view import PipelineView

Pipeprof = Callable[..., Any]

SPEC = """\
version: 1
name: rows
source:
  from_tensor_slices: {tensors: {array: {shape: [50000, 2560], dtype: float32}}}
stages:
  - shuffle: {name: mix, buffer_size: 1000}
  - batch: {batch_size: 32}
"""


def mixing(view: PipelineView) -> list[Proposal]:
    return [
        Proposal(
            "The buffer is large",
            sentence=f"{stage.label} holds {stage.arguments['buffer_size']} elements.",
            recommendation="Make it smaller.",
            stage=stage.id,
            edits=(SetArgument(stage.id, stage.op, "buffer_size", 100),),
            predicted=Prediction("900 × 9.77 KiB", peak_rss_delta_bytes=-9_000_000),
        )
        for stage in view.stages
        if stage.op == "shuffle"
    ]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(advise, "FINDINGS", (finding("shuffle-buffer-bytes", "memory", "order")(mixing),))
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


@pytest.mark.parametrize("width", [80, 120])
def test_golden(width: int, golden: Callable[[str, str], None]) -> None:
    stages = [
        Stage(id="source", origin="written", op="from_tensor_slices", location=Location(file="spec.yaml", line=4)),
        Stage(id="stages.0", name="mix", origin="written", op="shuffle", location=Location(file="spec.yaml", line=6)),
        Stage(id="stages.1", origin="written", op="cache", location=Location(file="spec.yaml", line=7)),
        Stage(id="stages.2", origin="written", op="map", location=Location(file="spec.yaml", line=8)),
    ]
    found = Finding(
        rule="some-mixing",
        title="The buffer is large",
        family="memory",
        stage="stages.0",
        location=stages[1].location,
        sentence='"mix" (shuffle, stages.0) holds 1000 elements.',
        recommendation="Make it smaller.",
        semantics="order",
        patch="- shuffle: {buffer_size: 100}   # stages.0",
        python="dataset = dataset.shuffle(buffer_size=100)  # stages.0",
        status="unverified",
        reason=UNVERIFIED,
    )
    memory = MemoryPrediction(
        (
            BufferPrediction("source", "source", 1_500_000_000, "predicted", "477 MiB × 3 at the peak"),
            BufferPrediction("shuffle", "stages.0", 0, "alias", "slices of the source's array"),
            BufferPrediction("cache", "stages.1", 500_000_000, "predicted", "50,000 × 9.77 KiB", at_most=True),
        ),
        (UnknownSize("parallel", "stages.2", "its elements have no known size"),),
    )
    blocks = describe_check("spec.yaml", stages, [("step", "none")], memory=memory, findings=[found], warnings=())
    golden(f"check/spec-{width}.txt", paint(blocks, Style(width)))


def test_findings_follow_the_stages(spec: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("check", spec.name)
    assert (result.code, result.err) == (0, "")
    stages, _, rest = result.out.partition("Memory predicted")
    memory, _, found = rest.partition("What to change")
    assert "mix (shuffle)" in stages
    assert "from_tensor_slices" in memory
    assert "mix (shuffle, spec.yaml:6)" in found
    assert "pipeprof explain shuffle-buffer-bytes" in found


def test_without_findings_a_line_says_so(spec: Path, pipeprof: Pipeprof) -> None:
    spec.write_text(SPEC.replace("  - shuffle: {name: mix, buffer_size: 1000}\n", ""))
    result = pipeprof("check", spec.name, "--fail-on", "warning")
    assert result.code == 0
    assert "  rules     no findings without running it\n" in result.out
    assert "What to change" not in result.out


@pytest.mark.parametrize("form", ["text", "json"])
def test_fail_on_warning(form: str, spec: Path, pipeprof: Pipeprof) -> None:
    passed = pipeprof("check", spec.name, "--format", form)
    failed = pipeprof("check", spec.name, "--format", form, "--fail-on", "warning")
    assert (passed.code, failed.code) == (0, 3)
    assert failed.err == ""
    if form == "json":
        assert json.loads(failed.out)["exit_code"] == 3
        assert json.loads(passed.out)["exit_code"] == 0
    else:
        assert failed.out == passed.out


def test_ignored_findings_do_not_fail(spec: Path, pipeprof: Pipeprof) -> None:
    spec.write_text(SPEC + "ignore: [{rule: shuffle-buffer-bytes, stage: mix, reason: it fits}]\n")
    result = pipeprof("check", spec.name, "--fail-on", "warning")
    assert result.code == 0
    assert "! ignored: 1 finding is ignored, as the spec says: shuffle-buffer-bytes at" in result.out
    assert "(it fits)" in " ".join(result.out.split())


def test_an_unknown_rule_to_ignore_is_a_warning(spec: Path, pipeprof: Pipeprof) -> None:
    spec.write_text(SPEC + "ignore: [{rule: shuffle-buffer-byte, reason: it fits}]\n")
    result = pipeprof("check", spec.name)
    assert result.code == 0
    assert "did you mean shuffle-buffer-bytes?" in " ".join(result.out.split())


def test_the_document_has_findings_and_memory(spec: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("check", spec.name, "--json", "--memory-limit", "8GiB")
    profile = Profile.model_validate_json(result.out)
    assert profile.findings is not None
    (found,) = profile.findings
    assert (found.rule, found.stage, found.status) == ("shuffle-buffer-bytes", "stages.0", "unverified")
    assert found.location is not None
    assert found.location.line == 6
    assert (found.python, found.diff) == (None, None)
    assert profile.memory.ledger is not None
    by_stage = {entry.stage: entry for entry in profile.memory.ledger}
    assert by_stage["source"].bytes >= 500_000_000
    assert by_stage["source"].how == "predicted"
    assert (by_stage["stages.0"].how, by_stage["stages.0"].bytes) == ("alias", 0)
    assert (profile.host.memory_limit_bytes, profile.host.memory_limit_source) == (8 << 30, "option")
    assert profile.memory.peak_bytes is None
    assert profile.steps is None


def test_a_limit_is_answered_for_everything_and_for_each_buffer(spec: Path, pipeprof: Pipeprof) -> None:
    text = " ".join(pipeprof("check", spec.name, "--memory-limit", "8GiB").out.split())
    assert "Limit 8.00 GiB: fits; the pipeline may need" in text
    assert "takes no memory of its own, whatever its size" in text

    answers = Profile.model_validate_json(pipeprof("check", spec.name, "--json", "--memory-limit", "1GiB").out)
    assert answers.memory.what_ifs is not None
    assert [(one.stage, one.fits) for one in answers.memory.what_ifs] == [
        (None, False),
        ("stages.0", True),
        ("injected.0", None),
    ]
    assert "Limit 8.00" not in pipeprof("check", spec.name).out


def test_what_is_not_predicted_is_said(spec: Path, pipeprof: Pipeprof) -> None:
    spec.write_text(SPEC.replace("array: {shape: [50000, 2560]", "array: {shape: [100, 2560]") + "  - repeat: {}\n")
    words = (
        "the buffer of the prefetch that TensorFlow adds, which AUTOTUNE chooses: 2 elements are counted, 320 KiB each"
    )

    assert f"not predicted: {words}" in " ".join(pipeprof("check", spec.name).out.split())
    assert "not predicted:" not in pipeprof("check", spec.name, "--memory-limit", "8GiB").out, (
        "the limit's answers say it"
    )
    document = Profile.model_validate_json(pipeprof("check", spec.name, "--json").out)
    assert [one.message for one in document.warnings] == [f"Not predicted: {words}"]


def test_a_limit_for_a_function_says_where_memory_is_predicted(pipeprof: Pipeprof, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def make(): ...\n")
    result = pipeprof("check", "train.py:make", "--memory-limit", "8GiB")
    assert "pipeprof run train.py:make" in " ".join(result.out.split())


def test_a_rule_that_fails_is_a_warning(spec: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advise, "FINDINGS", (finding("shuffle-buffer-bytes", "memory", "order")(lambda _: 1 / 0),))
    result = pipeprof("check", spec.name, "--fail-on", "warning")
    assert result.code == 0
    assert "! rule-failed: shuffle-buffer-bytes failed (ZeroDivisionError" in result.out


def test_rules_that_cannot_be_applied_leave_the_rest(
    spec: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advise, "findings_in", lambda *_, **__: 1 / 0)
    result = pipeprof("check", spec.name)
    assert result.code == 0
    assert "mix (shuffle)" in result.out
    assert "! not-judged: the findings could not be judged (ZeroDivisionError" in result.out
    assert "no findings" not in result.out
    assert json.loads(pipeprof("check", spec.name, "--json").out)["findings"] is None
    assert pipeprof("check", spec.name, "--fail-on", "warning").code == 1


@pytest.mark.parametrize("option", ["--fail-on=error", "--fail-on=warn", "--memory-limit=8XB"])
def test_wrong_options(option: str, spec: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("check", spec.name, option)
    assert (result.code, result.out) == (2, "")
    assert option.partition("=")[0] in result.err


def test_a_slip_in_the_text_of_a_function_is_a_finding(pipeprof: Pipeprof, tmp_path: Path) -> None:
    (tmp_path / "input.py").write_text(
        "import tensorflow as tf\ndef train():\n    ds = tf.data.Dataset.range(9)\n    ds.repeat()\n    return ds\n",
        encoding="utf-8",
    )
    done = pipeprof("check", "input.py:train")
    assert done.code == 0
    assert "Place input.py:4" in " ".join(done.out.split())
    strict = pipeprof("check", "input.py:train", "--fail-on", "warning", "--json")
    assert strict.code == 3
    (finding,) = json.loads(strict.out)["findings"]
    assert (finding["rule"], finding["location"]["line"]) == ("discarded-transformation", 4)


def test_of_a_function_it_says_what_looks_at_the_rest(pipeprof: Pipeprof, tmp_path: Path) -> None:
    (tmp_path / "a b.py").write_text("import tensorflow as tf\n\ndef make(n):\n    return tf.data.Dataset.range(n)\n")
    result = pipeprof("check", "a b.py:make", "--arg", "n=3")
    assert result.code == 0
    assert "pipeprof run 'a b.py:make' --arg n=3" in result.out


def test_a_function_has_no_findings_yet(pipeprof: Pipeprof, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def make(): ...\n")
    result = pipeprof("check", "train.py:make", "--fail-on", "warning")
    assert result.code == 0
    assert json.loads(pipeprof("check", "train.py:make", "--json").out)["findings"] is None


def test_one_check_writes_several_files(spec: Path, pipeprof: Pipeprof) -> None:
    for _ in range(2):
        done = pipeprof("check", "spec.yaml", "--fail-on", "warning", "--out", "c.json", "--out", "c.sarif")
        assert done.code == 3, done.err
    assert "shuffle-buffer-bytes" in done.out
    assert json.loads(Path("c.json").read_text())["exit_code"] == 3
    (found,) = json.loads(Path("c.sarif").read_text())["runs"][0]["results"]
    assert found["ruleId"] == "shuffle-buffer-bytes"
    assert pipeprof("check", "spec.yaml", "--json", "--out", "c.txt").out.startswith("{")
    assert "mix (shuffle)" in Path("c.txt").read_text()
    spec.write_text("version: 1\nsource: {rang: {}}\n")
    assert pipeprof("check", "spec.yaml", "--out", "c.sarif").code == 2
    assert json.loads(Path("c.sarif").read_text())["runs"][0]["invocations"][0]["exitCode"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "spec.yaml"], "unknown output format .yaml; use .json, .sarif or .txt"),
        (["--fail-on", "error"], "`check` always fails on errors; only warning can be added"),
        (["--out", "c.html"], "unknown output format .html"),
        (["--out", "own.txt"], "is not a report of pipeprof"),
    ],
)
@pytest.mark.usefixtures("spec")
def test_what_check_cannot_write_is_refused(options: list[str], message: str, pipeprof: Pipeprof) -> None:
    Path("own.txt").write_text("mine")
    found = pipeprof("check", "spec.yaml", *options)
    assert (found.code, found.out) == (2, "")
    assert message in found.err
    assert Path("own.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["input.py:make", "--no-python"], "--no-python: input.py:make is Python code"),
        (["python.yaml", "--no-python"], "--no-python: python.yaml runs Python code"),
        (["input.py:none"], "none"),
        (["missing.yaml"], "missing.yaml: no such file"),
        (["spec.yaml", "--arg", "a=1"], "--arg passes arguments to a Python function"),
    ],
)
def test_a_document_is_printed_for_a_target_that_is_refused(
    words: list[str], says: str, pipeprof: Pipeprof, tmp_path: Path
) -> None:
    (tmp_path / "input.py").write_text("def make(): pass\n")
    (tmp_path / "spec.yaml").write_text("version: 1\nsource: {range: {stop: 4}}\n")
    (tmp_path / "python.yaml").write_text(
        "version: 1\nsource: {range: {stop: 4}}\nstages: [{map: {python: 'input.py:make'}}]\n"
    )
    plain = pipeprof("check", *words)
    assert (plain.code, plain.out) == (2, "")
    assert says in plain.err
    found = pipeprof("check", *words, "--json", "--out", "report.sarif")
    document = Profile.model_validate_json(found.out)
    assert (found.code, document.exit_code) == (2, 2)
    assert found.err == f"pipeprof: wrote report.sarif\n{plain.err}"
    assert [problem.code for problem in document.errors] == ["target"]
    assert says in document.errors[0].message
    assert says in (tmp_path / "report.sarif").read_text()
