"""Remarks on lines of files: their levels, their places in the repository, and what stays the same of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from unit.cli.results import result_of

from pipeprof.cli.render.sarif import sarif
from pipeprof.cli.report.remarks import Checkout, Place, remarks_on
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.judge.result import Result, Side
from tests.unit.cli.reports import Recorded, finding, measured

CHECKOUT = Checkout("/w/app", "training")
MakeProfile = Callable[..., Profile]


@pytest.fixture
def profile_of(recorded: Recorded) -> MakeProfile:
    """A profile with these fields and nothing to remark on but them."""

    def make(line: int = 7, file: str = "spec.yaml", **fields: Any) -> Profile:
        at = Location(file=file, line=line, column=5)
        profile = recorded("input-bound")
        profile.stages = [Stage(id="stages.1", name="decode", origin="written", op="map", location=at)]
        profile.warnings, profile.findings, profile.errors = [], [], []
        for name, value in fields.items():
            setattr(profile, name, value)
        return profile

    return make


def run_of(document: Profile | Result, checkout: Checkout = CHECKOUT) -> dict[str, Any]:
    (run,) = json.loads(sarif(document, remarks_on(document, checkout)))["runs"]
    return run


def notified(run: dict[str, Any]) -> list[str]:
    (invocation,) = run["invocations"]
    return [one["descriptor"]["id"] for one in invocation["toolExecutionNotifications"]]


def test_a_proven_finding_is_a_warning_and_a_suspicion_a_note(profile_of: MakeProfile) -> None:
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


def test_an_error_of_the_users_code_is_on_the_innermost_line_in_the_repository(profile_of: MakeProfile) -> None:
    files = {"/w/app/training/train.py": 3, "../lib/decode.py": 8, "/usr/lib/other.py": 9}
    frames = [ErrorFrame(file=file, line=line) for file, line in files.items()]
    (remark,) = remarks_on(profile_of(errors=[Problem(code="raised", message="no", frames=frames)]), CHECKOUT)
    assert (remark.level, remark.place) == ("error", Place("lib/decode.py", 8))


def test_files_are_named_from_the_root_of_the_repository() -> None:
    names = {"spec.yaml": "training/spec.yaml", "../a/b.py": "a/b.py", "/w/app/x.py": "x.py"}
    outside = ("/w/application/x.py", "../../x.py", "~/…/x.py", "…/x.py", "<stdin>")
    for file, name in {**names, **dict.fromkeys(outside)}.items():
        assert CHECKOUT.name(file) == name


def test_what_has_no_place_in_the_repository_and_a_warning_about_the_measurement_are_no_results(
    profile_of: MakeProfile,
) -> None:
    run = run_of(profile_of(file="/srv/x/spec.yaml", findings=[finding()]), Checkout())
    assert (run["results"], notified(run)) == ([], ["serial-map-cpu"])
    assert "/srv" not in json.dumps(run["invocations"])
    warned = profile_of(warnings=[Message(code="not-settled", message="Not settled.", stages=["stages.1"])])
    run = run_of(warned)
    assert (run["results"], notified(run)) == ([], ["not-settled"])
    (remark,) = remarks_on(warned, CHECKOUT)
    assert (remark.level, remark.place) == ("warning", Place("training/spec.yaml", 7, 5))


def test_fingerprints_stay_while_lines_move_and_differ_between_findings(profile_of: MakeProfile) -> None:
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
