"""Remarks on lines of files: SARIF for code scanning, and annotations of GitHub."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.cli.formats.github import render_github
from pipeprof.cli.formats.junit import junit
from pipeprof.cli.formats.registry import Output
from pipeprof.cli.formats.sarif import sarif
from pipeprof.cli.pages.remarks import Checkout, remarks_on
from pipeprof.cli.text.remarks import numbered
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.judge.result import Metric, Result, Side
from tests.unit.cli.test_main import Pipeprof

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"
CHECKOUT = Checkout("/w/app", "training")
_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_LOCATIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["physicalLocation"],
        "properties": {
            "physicalLocation": {
                "type": "object",
                "required": ["artifactLocation"],
                "properties": {
                    "artifactLocation": {
                        "type": "object",
                        "required": ["uri", "uriBaseId"],
                        # Relative, and nothing that a URI must escape.
                        "properties": {"uri": {"type": "string", "pattern": r"^(?!/|\.\.)[A-Za-z0-9._~%/+@-]+$"}},
                    },
                    "region": {
                        "type": "object",
                        "required": ["startLine"],
                        "additionalProperties": False,
                        "properties": {
                            name: {"type": "integer", "minimum": 1}
                            for name in ("startLine", "startColumn", "endColumn")
                        },
                    },
                },
            }
        },
    },
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "additionalProperties": False,
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "originalUriBaseIds": {"type": "object"},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id", "shortDescription", "fullDescription", "help"],
                                            "properties": {
                                                "id": {"type": "string"},
                                                "shortDescription": _TEXT,
                                                "fullDescription": _TEXT,
                                                "help": _TEXT,
                                                "defaultConfiguration": {"properties": {"level": _LEVEL}},
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "invocations": {"type": "array", "items": {"type": "object", "required": ["executionSuccessful"]}},
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message", "ruleId", "ruleIndex", "level", "partialFingerprints", "locations"],
                            "properties": {
                                "message": _TEXT,
                                "level": _LEVEL,
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "locations": _LOCATIONS,
                                "partialFingerprints": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}
"""What SARIF 2.1.0 requires of the parts that are written, no more; and a location, which GitHub requires."""


VALID = jsonschema.Draft7Validator(SARIF)
SAVED = load_profile(RECORDED / "input-bound.json")


def profile(**fields: Any) -> Any:
    found = SAVED.model_copy(deep=True)
    found.warnings, found.findings, found.errors = [], [], []
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def stage(line: int = 7, file: str = "spec.yaml") -> Stage:
    return Stage(
        id="stages.0", name="decode", origin="written", op="map", location=Location(file=file, line=line, column=5)
    )


def finding(status: str = "kept", **fields: Any) -> Finding:
    given = {"rule": "prefetch-between", "title": "One call at a time", "stage": "stages.0", "status": status, **fields}
    return Finding.model_validate(given)


def output(document: Any, checkout: Checkout) -> Output:
    return Output(document, tuple, Style(), remarks=lambda: remarks_on(document, checkout))


def made(document: Any, checkout: Checkout = CHECKOUT) -> dict[str, Any]:
    found = sarif(output(document, checkout))
    VALID.validate(found)
    for run in found["runs"]:
        ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert all(ids[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    return found


def results(document: Any, checkout: Checkout = CHECKOUT) -> list[dict[str, Any]]:
    return made(document, checkout)["runs"][0]["results"]


def notifications(document: dict[str, Any]) -> list[tuple[str, str]]:
    (invocation,) = document["runs"][0]["invocations"]
    return [(one["descriptor"]["id"], one["level"]) for one in invocation["toolExecutionNotifications"]]


def annotations(document: Any, checkout: Checkout = CHECKOUT) -> list[str]:
    return render_github(output(document, checkout)).splitlines()


def gate(**fields: Any) -> Result:
    metric = Metric(
        name="step_ms", title="step interval", unit="ms", a=10.0, b=12.0, change=1.2, low=1.1, high=1.3, pairs=5,
        floor=0.03, verdict="regressed", words="slower",
    )  # fmt: skip
    side = Side(text="spec.yaml", location=Location(file="spec.yaml", line=4))
    given = {"a": Side(text="git:main", ref="0" * 40), "b": side, "metrics": [metric], "exit_code": 3, **fields}
    return Result(kind="gate", tool=Tool(version="0.1.0"), command=["pipeprof", "gate"], **given)


@pytest.mark.parametrize(
    ("status", "family", "level", "words"),
    [
        ("kept", "speed", "warning", "Proven: 1.40× (1.30–1.50)"),
        ("ceiling", "speed", "note", "Suspicion with a measured bound: 1.40×"),
        ("unverified", "speed", "note", "Suspicion: the change was not measured"),
        ("unverified", "correctness", "warning", "Certain from the pipeline as it is written"),
    ],
)
def test_a_proven_finding_is_a_warning_and_a_suspicion_a_note(status: str, family: str, level: str, words: str) -> None:
    measured = {"speedup": 1.4, "low": 1.3, "high": 1.5} if status in {"kept", "ceiling"} else None
    document = profile(stages=[stage()], findings=[finding(status, family=family, measured=measured)])
    (found,) = results(document)
    assert found["level"] == level
    assert words in found["message"]["text"]
    (line,) = annotations(document)
    assert line.startswith(
        f"::{'notice' if level == 'note' else level} file=training/spec.yaml,line=7,col=5,title=prefetch-"
    )


def test_a_change_that_did_not_help_is_no_result() -> None:
    assert results(profile(findings=[finding("rejected")])) == []


def test_a_rule_has_its_texts_and_a_message_code_its_own() -> None:
    broken = Problem(
        code="unknown-argument", message="unknown argument 'x'", file="spec.yaml", line=3, column=4, length=1
    )
    document = profile(stages=[stage()], findings=[finding()], errors=[broken], exit_code=2)
    run = made(document)["runs"][0]
    by_id = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert list(by_id) == ["unknown-argument", "prefetch-between"]
    assert "pipeprof explain prefetch-between" in by_id["prefetch-between"]["help"]["text"]
    assert "prefetch" in json.dumps(by_id["prefetch-between"])
    assert run["invocations"][0] | {"commandLine": ""} == {
        "executionSuccessful": False,
        "commandLine": "",
        "exitCode": 2,
        "toolExecutionNotifications": [],
    }
    error = run["results"][0]
    assert error["level"] == "error"
    assert error["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "training/spec.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 3, "startColumn": 4, "endColumn": 5},
    }


def test_a_warning_about_the_measurement_is_no_result() -> None:
    document = profile(
        stages=[stage()], warnings=[Message(code="not-settled", message="Not settled.", stages=["stages.0"])]
    )
    run = made(document)["runs"][0]
    assert run["results"] == []
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["descriptor"]["id"] == "not-settled"
    assert annotations(document) == ["::warning file=training/spec.yaml,line=7,col=5,title=not-settled::Not settled."]


def test_an_error_of_the_users_code_is_on_the_innermost_line_in_the_repository() -> None:
    frames = [
        ErrorFrame(file="/w/app/training/train.py", line=3),
        ErrorFrame(file="../lib/decode.py", line=8),
        ErrorFrame(file="/usr/lib/other.py", line=9),
    ]
    (line,) = annotations(profile(errors=[Problem(code="raised", message="no", frames=frames)]))
    assert line == "::error file=lib/decode.py,line=8,title=raised::no"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("spec.yaml", "training/spec.yaml"),
        ("../a/b.py", "a/b.py"),
        ("/w/app/x.py", "x.py"),
        ("/w/application/x.py", None),
        ("../../x.py", None),
        ("~/…/x.py", None),
        ("…/x.py", None),
        ("<stdin>", None),
    ],
)
def test_files_are_named_from_the_root_of_the_repository(file: str, name: str | None) -> None:
    assert CHECKOUT.name(file) == name


def test_without_a_repository_no_absolute_path_is_shown() -> None:
    document = profile(stages=[stage(file="/srv/x/spec.yaml")], findings=[finding()])
    found = made(document, Checkout())
    assert found["runs"][0]["results"] == []
    assert notifications(found) == [("prefetch-between", "warning")]
    assert "/srv" not in json.dumps(found["runs"][0]["invocations"])


def test_fingerprints_stay_while_lines_move_and_differ_between_findings() -> None:
    def prints(line: int) -> list[str]:
        document = profile(stages=[stage(line)], findings=[finding(), finding(), finding(rule="process-environment")])
        return [found["partialFingerprints"]["pipeprof/v1"] for found in results(document)]

    assert prints(7) == prints(70)
    assert len(set(prints(7))) == 3
    assert numbered([]) == []


def test_a_regression_is_on_the_line_of_the_pipeline() -> None:
    (found,) = results(gate())
    assert found["ruleId"] == "gate/step_ms"
    assert found["level"] == "error"
    assert found["locations"][0]["physicalLocation"]["region"] == {"startLine": 4}
    assert annotations(gate())[0].startswith(
        "::error file=training/spec.yaml,line=4,title=step interval%3A regressed::"
    )
    at_ref = gate(b=Side(text="git:dev:spec.yaml", ref="1" * 40))
    assert results(at_ref) == []
    assert notifications(made(at_ref)) == [("gate/step_ms", "error")]


def test_a_gate_that_passed_has_no_results() -> None:
    passed = gate(exit_code=0, verdict="not regressed")
    passed.metrics[0].verdict = "not regressed"
    assert results(passed) == []
    assert annotations(passed)[0].startswith("::notice title=pipeprof gate::")


FOREIGN = st.text(
    st.characters() | st.sampled_from("\n\r:%,#[]<>&\"'`\x1b\x00\u2028\u202e"), max_size=40
) | st.sampled_from(("::error::x", "a\n::error file=b::c", "##[error]x", "]]>", "<script>", "%0A::error::", "a,line=9"))


def hostile(text: str) -> tuple[Any, Result]:
    document = profile(
        stages=[stage(file=text or "x")],
        findings=[finding(title=text or "x", sentence=text)],
        errors=[Problem(code="raised", message=text, file=text, line=1)],
        warnings=[Message(code="odd", message=text)],
        command=["pipeprof", text],
    )
    document.target.text = text
    return document, gate(b=Side(text=text), errors=[Message(code="side-failed", message=text)])


@given(FOREIGN)
def test_foreign_text_is_no_annotation_of_its_own(text: str) -> None:
    for document in hostile(text):
        lines = render_github(output(document, CHECKOUT)).split("\n")
        assert len(lines) - 1 == len(remarks_on(document, CHECKOUT))
        for line in lines[:-1]:
            matched = re.fullmatch(r"::(error|warning|notice)( [^:]*)?::[^\r\n]*", line)
            assert matched is not None
            names = [part.partition("=")[0] for part in (matched[2] or " ").strip().split(",")]
            assert set(names) <= {"file", "line", "col", "endColumn", "title", ""}
            assert len(names) == len(set(names))
            assert not re.search(r"##[A-Za-z]*\[", line)


@given(FOREIGN)
def test_foreign_text_stays_text_in_sarif_and_junit(text: str) -> None:
    import xml.etree.ElementTree as ET

    document, result = hostile(text)
    for one in (document, result):
        found = json.loads(json.dumps(made(one)))
        for entry in found["runs"][0]["results"]:
            for place in entry.get("locations", ()):
                uri = place["physicalLocation"]["artifactLocation"]["uri"]
                assert not unquote(uri).startswith(("/", "../"))
    suite = ET.fromstring(junit(result))
    assert {element.tag for element in suite.iter()} <= {
        "testsuite", "testcase", "error", "failure", "skipped", "system-out"
    }  # fmt: skip


def test_check_prints_sarif(pipeprof: Pipeprof, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(
        "version: 1\nsource: {range: {stop: 100}}\nstages:\n  - batch: {batch_sizes: 8}\n  - shufle: {}\n"
    )
    found = pipeprof("check", "spec.yaml", "--format", "sarif")
    assert found.code == 2
    document = json.loads(found.out)
    jsonschema.validate(document, SARIF)
    places = [entry["locations"][0]["physicalLocation"] for entry in document["runs"][0]["results"]]
    assert [place["region"]["startLine"] for place in places] == [4, 5]
    assert {place["artifactLocation"]["uri"] for place in places} == {"spec.yaml"}
    assert str(tmp_path) not in found.out
