"""The formats of reports: goldens, what they have of hostile texts, and that no line is a command for the CI system."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from unit.cli.results import GATE, result_of

from pipeprof.cli.render.formats import Output, render
from pipeprof.cli.render.html import render_page
from pipeprof.cli.render.markdown import markdown
from pipeprof.cli.render.remarks import sarif
from pipeprof.cli.render.style import Style
from pipeprof.cli.report.blocks import Text
from pipeprof.cli.report.comparison import build_result
from pipeprof.cli.report.remarks import Checkout, Place, remarks_on
from pipeprof.cli.report.report import build_report
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Message, Problem, Profile
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.store import encode, load_profile
from pipeprof.profiles.judge.result import Result, Side
from tests.unit.cli.reports import RECORDED, Golden, Pipeprof, Recorded, finding, measured

CHECKOUT = Checkout("/w/app", "training")
CALLS = "stages.decode.num_parallel_calls: 2 → 1"


def written(kind: str, document: Profile | Result) -> str:
    def blocks(full: bool) -> list[Any]:
        of_result = isinstance(document, Result)
        return list(build_result(document, None, full=full) if of_result else build_report(document, None, full=full))

    one = Output(
        document,
        lambda: blocks(False),
        Style(100),
        page=lambda: render_page(blocks(True), "a title"),
        remarks=lambda: remarks_on(document, CHECKOUT),
    )
    return render(kind, one, to_file=True)


@pytest.mark.parametrize(
    "name", ["gate.github", "gate.junit", "gate.md", "gate.sarif", "profile.github", "profile.sarif"]
)
def test_golden(name: str, golden: Golden, recorded: Recorded) -> None:
    failed = result_of("gate", 1.12, CALLS)
    failed.b.location = Location(file="spec.yaml", line=4)
    document, kind = name.split(".")
    golden(f"formats/{name}.txt", written(kind, failed if document == "gate" else recorded("jpeg-folder")))


def test_junit_has_a_case_of_the_target_for_each_judged_metric() -> None:
    for factor, tag in ((1.0, "system-out"), (1.03, "skipped")):
        found = result_of("gate", factor)
        suite = ET.fromstring(written("junit", found))
        assert {case.get("name"): case.get("classname") for case in suite} == dict.fromkeys(
            ("time per step", "peak memory"), "spec.yaml"
        )
        assert [child.tag for child in suite[0]] == [tag]
        assert suite.get("skipped") == str(int(tag == "skipped"))
    found.metrics, found.errors = [], [Message(code="side-failed", message="B: raised: <x> & \x1b[1m")]
    assert ET.fromstring(written("junit", found)).get("errors") == "1"


TEXTS = (
    "::error::x", "a\n::error file=b::c", "##[error]x", "##vso[task.x]y", "]]>", "<script>alert(1)</script>",
    "%0A::error::", "a,line=9", "a|b`*c*", "\x1b[31m\x00\u2028\u202e", "@octocat #12 https://h.org", "'\"&<>",
    "../../x",
)  # fmt: skip
COMMAND = re.compile(r"^(\s|\x1b\[[0-9;]*m)*::|##[A-Za-z]*\[", re.MULTILINE)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FENCED = re.compile(r"^(`{3,})\n.*?\n\1$", re.MULTILINE | re.DOTALL)
FOR_PROGRAMS = {"github", "junit", "sarif"}


def hostile_profile(profile: Profile, text: str) -> Profile:
    """A profile in which everything that comes from elsewhere is this text."""
    profile.output, profile.target.text, profile.host.name = f"{text}\n{'word ' * 30}{text}", text, text
    profile.command = ["pipeprof", text]
    profile.errors = [Problem(code="raised", message=text, file=text, line=1, traceback=f"{text}\n  {text}")]
    profile.warnings = [Message(code="odd", message=f"{'word ' * 30 * n}{text}") for n in range(3)]
    for stage in profile.stages or ():
        stage.name, stage.location = text, Location(file=text, line=7, column=5)
    profile.findings = [Finding(rule="r", title=text, sentence=text, patch=text, status="unverified")]
    return profile


def hostile_result(text: str) -> Result:
    found = result_of("gate", 1.12, text)
    found.b.text = found.data = found.step = text
    found.change_places = [Location(file=text, line=3)]
    found.warnings, found.errors = ([Message(code="odd", message=text)] for _ in range(2))
    found.command = [*GATE, text]
    return found


@pytest.mark.parametrize("kind", ["text", "json", "github", "md", "html", "junit", "sarif"])
@pytest.mark.parametrize("text", TEXTS)
def test_texts_of_others_stay_texts(kind: str, text: str, recorded: Recorded) -> None:
    profile, result = hostile_profile(recorded("input-bound"), text), hostile_result(text)
    for document in [result] if kind == "junit" else [profile, result]:
        shown = written(kind, document)
        assert not OBEYED.search(shown)
        assert kind in FOR_PROGRAMS or not COMMAND.search(shown)
        if kind == "json":
            assert type(document).model_validate_json(shown) == document
        elif kind in {"md", "html"}:
            outside = FENCED.sub("", shown) if kind == "md" else shown
            assert "<script>alert" not in outside
            assert kind == "html" or not re.search(r"@octocat|(?<!\\)#12|https://h", outside)
        elif kind == "junit":
            tags = {"testsuite", "testcase", "error", "failure", "skipped", "system-out"}
            assert {element.tag for element in ET.fromstring(shown).iter()} <= tags
        elif kind == "github":
            assert_annotations(shown, len(remarks_on(document, CHECKOUT)))
        elif kind == "sarif":
            assert_refused_by_nobody(json.loads(shown))


def assert_annotations(shown: str, count: int) -> None:
    """As many lines as remarks, each with known properties."""
    assert len(shown.splitlines()) == count
    for line in shown.splitlines():
        matched = re.fullmatch(r"::(error|warning|notice)( [^:]*)?::[^\r\n]*", line)
        assert matched is not None
        names = [part.partition("=")[0] for part in (matched[2] or " ").strip().split(",")]
        assert set(names) <= {"file", "line", "col", "endColumn", "title", ""}
        assert len(names) == len(set(names))
        assert not re.search(r"##[A-Za-z]*\[", line)


def assert_refused_by_nobody(document: dict[str, Any]) -> None:
    """GitHub refuses a whole file for one result without a place in the repository, or with one that is no URI."""
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert all(rule[name]["text"] for name in ("shortDescription", "fullDescription", "help"))
    prints = [one["partialFingerprints"]["pipeprof/v1"] for one in run["results"]]
    assert len(set(prints)) == len(prints)
    for found in run["results"]:
        assert rules[found["ruleIndex"]]["id"] == found["ruleId"]
        assert found["level"] in {"note", "warning", "error"}
        assert found["message"]["text"]
        (place,) = found["locations"]
        uri = place["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"(?!/|\.\.)[A-Za-z0-9._~%/+@-]+", uri)
        assert not unquote(uri).startswith(("/", "../"))
        assert all(value >= 1 for value in place["physicalLocation"].get("region", {}).values())


def test_texts_of_users_are_not_live_in_markdown() -> None:
    for text, shown in {
        "by @octocat and @o/team": "by @&#8203;octocat and @&#8203;o/team",
        "mail a@b.org": "mail a@&#8203;b.org",
        "see https://h.org and HTTP://h": "see https:&#8203;//h.org and HTTP:&#8203;//h",
        "www.h.org, awww.x": "www&#8203;.h.org, awww.x",
        "fixes #12, o/r#5 and GH-3": r"fixes \#&#8203;12, o/r\#&#8203;5 and GH-&#8203;3",
        "&commat;octocat & co": r"\&commat;octocat \& co",
        "a: b, 1 @ 2, c://": "a: b, 1 @ 2, c:&#8203;//",
        "set `num_calls=*`, not `<b>@o`": "set `num_calls=*`, not `<b>@o`",
        "`a|b`, a ` and ``c``, x`y`z": r"\`a\|b\`, a \` and \`\`c\`\`, x\`y\`z",
        r"\`<b>` and <b>`": r"\\\`\<b\>\` and \<b\>\`",
    }.items():
        assert markdown([Text(text)]) == f"{shown}\n"


def test_no_printed_line_is_a_command(pipeprof: Pipeprof, recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "word " * 30
    Path("##[error]spec.yaml").write_text(
        f'version: 1\nname: "::error::x ##[error]"\ndescription: "{words}::error::x ##[error]"\n'
        'source: {from_tensor_slices: {tensors: {value: ["::error::a", "##[error]b"]}}}\n'
        'stages: [{map: {name: "::error::n", ops: [{tf.strings.join: {inputs: ["##[x]"]}}]}}]\n'
    )
    check, asked = ["check", "##[error]spec.yaml"], ["check", "::error::x.yaml"]
    for arguments in (check, [*check, "--json"], asked, ["show", "a\n::error::x"], ["rules", "##[error]"]):
        result = pipeprof(*arguments)
        assert not COMMAND.search(result.out + result.err), result.out + result.err
    for text in TEXTS[:4]:
        Path("profile.json").write_bytes(encode(hostile_profile(recorded("input-bound"), text)))
        shown = [pipeprof("show", "profile.json", *flags).out for flags in ([], ["-v"], ["--json"])]
        assert [COMMAND.search(one) for one in shown] == [None] * 3
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", "/a\n::error::b")
    assert not COMMAND.search(pipeprof("data", "list").err)


def profile_of(line: int = 7, file: str = "spec.yaml", **fields: Any) -> Profile:
    """A profile with these fields and nothing to remark on but them."""
    stage = Stage(id="stages.1", name="decode", origin="written", op="map")
    stage.location = Location(file=file, line=line, column=5)
    given = {"stages": [stage], "warnings": [], "findings": [], "errors": [], **fields}
    return load_profile(RECORDED / "input-bound.json").model_copy(update=given)


def run_of(document: Profile | Result, checkout: Checkout = CHECKOUT) -> dict[str, Any]:
    (run,) = json.loads(sarif(document, remarks_on(document, checkout)))["runs"]
    return run


def notified(run: dict[str, Any]) -> list[str]:
    (invocation,) = run["invocations"]
    return [one["descriptor"]["id"] for one in invocation["toolExecutionNotifications"]]


def test_a_proven_finding_is_a_warning_and_a_suspicion_a_note() -> None:
    for status, family, level in (
        ("kept", "speed", "warning"),
        ("ceiling", "speed", "note"),
        ("unverified", "speed", "note"),
        ("unverified", "correctness", "warning"),
        ("rejected", "speed", None),
    ):
        given = measured(1.4) if status in {"kept", "ceiling"} else None
        found = remarks_on(profile_of(findings=[finding(status, family=family, measured=given)]), CHECKOUT)
        assert [one.level for one in found] == ([level] if level is not None else [])
        assert all(one.place == Place("training/spec.yaml", 7, 5) for one in found)
        assert all(("1.40×" in one.text) is (given is not None) for one in found)


def test_an_error_of_the_users_code_is_on_the_innermost_line_in_the_repository() -> None:
    files = {"/w/app/training/train.py": 3, "../lib/decode.py": 8, "/usr/lib/other.py": 9}
    frames = [ErrorFrame(file=file, line=line) for file, line in files.items()]
    (remark,) = remarks_on(profile_of(errors=[Problem(code="raised", message="no", frames=frames)]), CHECKOUT)
    assert (remark.level, remark.place) == ("error", Place("lib/decode.py", 8))


def test_files_are_named_from_the_root_of_the_repository() -> None:
    names = {"spec.yaml": "training/spec.yaml", "../a/b.py": "a/b.py", "/w/app/x.py": "x.py"}
    outside = ("/w/application/x.py", "../../x.py", "~/…/x.py", "…/x.py", "<stdin>")
    for file, name in {**names, **dict.fromkeys(outside)}.items():
        assert CHECKOUT.name(file) == name


def test_what_has_no_place_in_the_repository_and_warnings_of_a_run_are_no_results() -> None:
    run = run_of(profile_of(file="/srv/x/spec.yaml", findings=[finding()]), Checkout())
    assert (run["results"], notified(run)) == ([], ["parallel-calls"])
    assert "/srv" not in json.dumps(run["invocations"])
    warned = profile_of(warnings=[Message(code="not-settled", message="Not settled.", stages=["stages.1"])])
    run = run_of(warned)
    assert (run["results"], notified(run)) == ([], ["not-settled"])
    (remark,) = remarks_on(warned, CHECKOUT)
    assert (remark.level, remark.place) == ("warning", Place("training/spec.yaml", 7, 5))


def test_fingerprints_stay_while_lines_move_and_differ_between_findings() -> None:
    def prints(line: int) -> list[str]:
        found = profile_of(line, findings=[finding(), finding(), finding(rule="process-environment")])
        return [one["partialFingerprints"]["pipeprof/v1"] for one in run_of(found)["results"]]

    assert prints(7) == prints(70)
    assert len(set(prints(7))) == 3


def test_a_regression_is_on_the_line_of_its_cause_else_of_the_pipeline() -> None:
    found = result_of("gate", 1.12, "stages.decode.num_parallel_calls: 2 → 1")
    found.b.location = Location(file="spec.yaml", line=4)
    next(row for row in found.metrics if row.name == "peak_bytes").verdict = "cannot tell"
    assert [(one.code, one.level, one.place) for one in remarks_on(found, CHECKOUT)] == [
        ("gate/step_ms", "error", Place("training/specs/spec.yaml", 8)),
        ("gate/peak_bytes", "warning", Place("training/spec.yaml", 4)),
    ]
    assert "num_parallel_calls" in remarks_on(found, CHECKOUT)[0].text
    found.changes, found.change_places, found.b = [], [], Side(text="git:dev:spec.yaml", ref="1" * 40)
    run = run_of(found)
    assert (run["results"], notified(run)) == ([], ["gate/step_ms", "gate/peak_bytes"])
    assert remarks_on(result_of("gate", 1.0), CHECKOUT) == []
