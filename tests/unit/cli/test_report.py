"""The report of a run: goldens, which sections appear when, and what holds for every profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeprof.cli.report.blocks import Code, Heading, Table
from pipeprof.cli.report.problems import build_errors
from pipeprof.cli.report.reliability import build_reliability
from pipeprof.cli.report.report import build_parts, build_report
from pipeprof.profiles.document.findings import Verdict
from pipeprof.profiles.document.profile import Message, Problem, Profile
from pipeprof.profiles.document.shared import Contention
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.time.words import conclude
from tests.unit.cli import reports
from tests.unit.cli.reports import NAMES, Golden, Recorded, codes, finding, measured, of, shown, titles, verified

SAVED = "pipeprof-out/{}-20260731T101112Z.json"
ENDINGS = ("jpeg-folder", "step-bound", "step-none", "no-model", "script-fit", "out-of-memory", "raised", "interrupted")
FULL = ["Steps", "Longest gaps", "Stages", "Inside the stages", "Memory", "Owners of memory", "Conditions", "Suspected"]
BOTH = pytest.mark.parametrize("full", [False, True], ids=["short", "full"])
EACH = pytest.mark.parametrize("name", NAMES)


def report(profile: Profile, name: str = "x", *, full: bool = False, **style: Any) -> str:
    return shown(build_report(profile, SAVED.format(name), full=full), **style)


@pytest.mark.parametrize(("name", "full"), [*((name, False) for name in ENDINGS), ("jpeg-folder", True)])
def test_golden(name: str, full: bool, recorded: Recorded, golden: Golden) -> None:
    text = report(recorded(name), name, full=full)
    golden(f"report/{name}{'-full' if full else ''}.txt", text)
    assert "\n\n\n" not in text
    if name == "jpeg-folder" and not full:
        golden("report/jpeg-folder-ascii.txt", report(recorded(name), name, unicode=False))
        colored = report(recorded(name), color=True).splitlines(keepends=True)
        lines = [next(line for line in colored if words in line) for words in ("waits for data", "Memory", "Next")]
        golden("sections/colour.txt", "".join(lines).replace("\x1b", "ESC"))


@BOTH
@EACH
def test_what_is_printed_first_does_not_depend_on_what_is_tried(name: str, full: bool, recorded: Recorded) -> None:
    profile = recorded(name)
    before = build_parts(profile, None, full=full)[:2]
    profile.verification = verified()
    profile.warnings = [*profile.warnings, Message(code="verification-interrupted", message="so")]
    effect = measured(9.0, peak_rss_delta_bytes=-(10**9))
    for findings in ([finding("kept", measured=effect, family=family) for family in ("speed", "memory")], []):
        profile.findings = findings
        assert build_parts(profile, None, full=full)[:2] == before


@EACH
def test_recorded_verdicts_are_those_of_today(name: str, recorded: Recorded) -> None:
    assert recorded(name).verdict == conclude(recorded(name))


@EACH
def test_all_that_more_is_said_of_is_in_the_full_report_of_that_file(name: str, recorded: Recorded) -> None:
    profile = recorded(name)
    profile.output, profile.verification = "\n" * 99 + "x", verified(without_gain=[f"change {at}" for at in range(9)])
    again = "pipeprof show a.json"
    text = " ".join(shown(build_report(profile, "b.json", again=again)).split())
    assert text.count(f"{again} -v") == text.replace("show b.json -v", "").count(" -v") > 0
    saved = [[code.label for code in of(Code, build_report(profile, path))] for path in ("b.json", None)]
    assert ["Saved" in labels for labels in saved] == [True, False]


def test_a_caution_says_what_makes_the_numbers_doubtful(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    assert profile.overhead is not None
    assert profile.steps is not None
    for contention, loop, late, warnings, steps, doubts in (
        ({"worker_cores": 1.0, "others_cores": 0.0}, 0.003, 0.001, [], 100, 0),
        ({"others_cores": 1.2, "steal_share": 0.04, "throttled_seconds": 3.0}, 0.0, 0.3, ["not-settled"], 3, 5),
        # Waiting to wake up on free cores is none.
        ({"worker_cores": 0.04, "others_cores": 0.2, "runnable_wait_share": 0.44}, 0.0, 0.0, [], 100, 0),
        ({}, 0.0, 0.3, [], 100, 1),
        ({}, 0.07, 0.001, [], 100, 1),
    ):
        profile.contention = Contention(**contention)  # type: ignore[arg-type]
        profile.warnings, profile.steps.count = [Message(code=code, message="…") for code in warnings], steps
        profile.overhead.loop_share, profile.overhead.wake_share = loop, late
        cautions = [heading.rest.split(" · ") for heading in of(Heading, build_reliability(profile, full=False))]
        assert [len(one) for one in cautions] == [doubts] * bool(doubts)


def test_notes_are_counted_and_warnings_shown(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    # Growth is in Memory, and the verdict says of others that they disturbed it.
    names = ["stages-scaled", "repeated", "no-trace", "leak", "disturbed"]
    profile.warnings = [Message(code=name, message="a") for name in names]
    for full, said in ((False, ["no-trace"]), (True, names)):
        assert [name for name in names if f"{name}: a" in reports.texts(build_report(profile, full=full))] == said
    assert any("2 notes" in code.note for code in of(Code, build_report(profile, "a.json")))


def test_an_error_has_the_users_own_frames_and_in_full_the_traceback(recorded: Recorded) -> None:
    profile = recorded("raised")
    error, short = profile.errors[0], codes(build_errors(profile, full=False))
    assert ("data/records.py:12 in parse" in short, "site-packages" in str(short)) == (True, False)
    traceback = "\n".join(line.rstrip() for line in (error.traceback or "").splitlines() if line.strip())
    assert traceback in codes(build_errors(profile, full=True))
    error.frames[1] = replace(error.frames[1], source=None, function=None)
    assert codes(build_errors(profile, full=False))[-1] == "data/records.py:12"
    profile.errors = [Problem(code="interrupted", message="by you")]
    assert titles(build_errors(profile, full=False)) == []


def test_the_end_of_what_was_printed_is_shown_with_repeated_lines_counted(recorded: Recorded) -> None:
    for name, full, lines in (("raised", False, 8), ("jpeg-folder", False, 4), ("jpeg-folder", True, 22)):
        profile = recorded(name)
        profile.output = "\n".join([*map(str, range(20)), *["again"] * 1000, "a"])
        (output,) = [code for code in codes(build_report(profile, full=full)) if "again" in code]
        assert output.splitlines() == [*map(str, range(20)), "again  (1,000 times)", "a"][-lines:]


def test_cheap_stages_share_a_row_but_that_of_the_verdict(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    profile, known = recorded("jpeg-folder"), {"origin": "written", "op": "map", "tf_op": "Map", "timed_by": "model"}
    assert profile.steps is not None
    profile.steps.interval_ms.mean, profile.findings, profile.stages = 0.0, [], []
    for number in range(500):
        ms, share = {3: (80.0, 0.8), 7: (10.0, 0.1)}.get(number, (0.1, 0.0001))
        profile.stages.append(Stage(id=f"stages.{number}", time_ms_per_batch=ms, share=share, **known))  # type: ignore[arg-type]
    # Each with each takes seconds.
    monkeypatch.setattr(Stage, "__eq__", lambda *_: pytest.fail("compared"))
    for stage, own in (("stages.3", 2), ("stages.9", 3)):
        profile.verdict = Verdict(headline="A.", sentence="A.", stage=stage)
        found = reports.rows(of(Table, build_report(profile))[0])
        assert (len(found), found[-1][0].split()[0]) == (own + 1, str(500 - own))
        assert float(found[-1][1].split()[0]) == pytest.approx(0.1 * (500 - own), abs=0.06)
    assert 500 in [len(reports.rows(table)) for table in of(Table, build_report(profile, full=True))]


def test_the_report_of_a_search_is_its_result_and_in_full_the_run_as_well(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    profile.fix = reports.fix()
    assert titles(build_report(profile)) == ["Tried", "Changes"]
    assert titles(build_report(profile, full=True)) == [*FULL, "Tried", "Changes"]
