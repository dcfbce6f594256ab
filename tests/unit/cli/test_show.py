"""``pipeprof show``: the latest profile, single findings and sections."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.command_line import change_command
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import encode

Pipeprof = Callable[..., Any]
RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"


def save(name: str, recorded: str, seconds: int) -> Path:
    folder = Path("pipeprof-out")
    folder.mkdir(exist_ok=True)
    path = folder / name
    shutil.copy(RECORDED / f"{recorded}.json", path)
    os.utime(path, (seconds, seconds))
    return path


def test_without_a_file_the_latest_is_shown(pipeprof: Pipeprof) -> None:
    save("z-20260101T000000Z.json", "step-bound", 1000)
    latest = save("a-20260101T000001Z.json", "input-bound", 2000)
    other = Path("pipeprof-out/other.json")
    other.write_text("{}")
    os.utime(other, (3000, 3000))
    result = pipeprof("show")
    assert result.code == 0
    assert result.err == f"pipeprof: showing {latest}\n"
    assert result.out == pipeprof("show", latest).out
    assert pipeprof("show", "--json").out == latest.read_text()


@pytest.mark.parametrize("folder", [True, False])
def test_without_any_profile_there_is_a_sentence(folder: bool, pipeprof: Pipeprof) -> None:
    if folder:
        Path("pipeprof-out").mkdir()
    result = pipeprof("show")
    assert (result.code, result.out) == (6, "")
    assert result.err == (
        "pipeprof: error: pipeprof-out/ has no saved profile: `pipeprof run` saves one, or give a file\n"
    )


def test_json_holds_nothing_that_a_terminal_obeys(pipeprof: Pipeprof, recorded: Callable[[str], Profile]) -> None:
    profile = recorded("input-bound")
    assert profile.stages
    profile.stages[1].name = "\x1b[31m\x9b2J\u202eabc\u2066\x7f é 🐍"
    Path("profile.json").write_bytes(encode(profile))
    result = pipeprof("show", "profile.json", "--json")
    assert '"\\u001b[31m\\u009b2J\\u202eabc\\u2066\\u007f é 🐍"' in result.out
    assert json.loads(result.out)["stages"][1]["name"] == profile.stages[1].name


def test_a_speedup_of_nothing_is_no_valid_profile(pipeprof: Pipeprof, recorded: Callable[[str], Profile]) -> None:
    document = json.loads(encode(recorded("input-bound")))
    document["findings"] = [{"rule": "a", "title": "b", "status": "unverified", "predicted": {"speedup": 0}}]
    Path("profile.json").write_text(json.dumps(document))
    result = pipeprof("show", "profile.json")
    assert result.code == 6
    assert "findings.0.predicted.speedup" in result.err


def with_findings(recorded: Callable[[str], Profile], count: int) -> Path:
    profile = recorded("input-bound")
    profile.findings = [
        Finding(
            rule="parallel-calls",
            title=f"Title {number}",
            edit=Edit(kind="InsertStage", op="prefetch", arguments={"buffer_size": number}, after=None),  # type: ignore[call-arg]
            status="unverified",
        )
        for number in range(1, count + 1)
    ]
    path = Path("profile.json")
    path.write_bytes(encode(profile))
    return path


def test_one_finding_in_full(pipeprof: Pipeprof, recorded: Callable[[str], Profile]) -> None:
    result = pipeprof("show", with_findings(recorded, 3), "--finding", "2")
    assert result.code == 0
    assert "Title 2" in result.out
    assert "Title 1" not in result.out
    assert "Title 3" not in result.out


@pytest.mark.parametrize(
    ("count", "number", "message"),
    [
        (3, "4", "--finding: got 4, but this profile has findings 1 to 3"),
        (1, "2", "--finding: got 2, but this profile has only finding 1"),
        (0, "1", "--finding: got 1, but this profile has no findings"),
        (2, "0", "--finding: got 0, but this profile has findings 1 to 2"),
    ],
)
def test_a_finding_that_is_not_there(
    count: int, number: str, message: str, pipeprof: Pipeprof, recorded: Callable[[str], Profile]
) -> None:
    result = pipeprof("show", with_findings(recorded, count), "--finding", number)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_sections(pipeprof: Pipeprof) -> None:
    path = RECORDED / "input-bound.json"
    steps, memory = (pipeprof("show", path, "--section", name).out for name in ("steps", "memory"))
    assert steps.startswith("Steps ")
    assert memory.startswith("Memory ")
    for flags in (["--section", "steps,memory"], ["--section", "memory", "--section", " steps"]):
        assert pipeprof("show", path, *flags).out == f"{steps}\n{memory}"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--section", "step"], "did you mean steps?"),
        (["--section", "steps", "--json"], "--section selects a part of the text report"),
        (["--finding", "1", "--format", "json"], "--finding selects a part of the text report"),
        (["--finding", "1", "--section", "steps"], "contradict each other"),
    ],
)
def test_parts_that_cannot_be_selected(flags: list[str], message: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("show", RECORDED / "input-bound.json", *flags)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_one_finding_of_one_profile(pipeprof: Pipeprof) -> None:
    both = (RECORDED / "input-bound.json", RECORDED / "step-bound.json")
    assert "--finding takes one profile, got 2" in pipeprof("show", *both, "--finding", "1").err


def test_what_shows_more_names_the_file_unless_it_is_the_latest(pipeprof: Pipeprof) -> None:
    older = save("a-20260101T000000Z.json", "input-bound", 1000)
    latest = save("b-20260101T000001Z.json", "input-bound", 2000)
    elsewhere = Path("my profile.json")
    shutil.copy(latest, elsewhere)
    assert "all numbers: pipeprof show -v\n" in pipeprof("show", latest).out
    assert f"all numbers: pipeprof show {older} -v\n" in pipeprof("show", older).out
    shown = " ".join(pipeprof("show", elsewhere).out.split())
    assert "all numbers: pipeprof show 'my profile.json' -v" in shown
    assert "pipeprof show -v" not in shown


def test_a_report_that_names_its_profile_is_one_that_may_be_overwritten(pipeprof: Pipeprof) -> None:
    shutil.copy(RECORDED / "input-bound.json", "profile.json")
    for _ in range(2):
        assert pipeprof("show", "profile.json", "--out", "report.txt").code == 0
    assert "pipeprof show profile.json -v" in Path("report.txt").read_text()


def test_files_that_were_written_are_named(pipeprof: Pipeprof) -> None:
    shutil.copy(RECORDED / "input-bound.json", "profile.json")
    result = pipeprof("show", "profile.json", "--json", "--out", "a.html", "--out", "b.md", "--out", "c.txt")
    assert (result.code, result.err) == (0, "pipeprof: wrote a.html, b.md and c.txt\n")
    json.loads(result.out)
    assert "wrote" not in pipeprof("show", "profile.json").err


def test_a_command_that_takes_a_change_names_the_file_unless_it_is_the_latest_of_its_target(
    monkeypatch: pytest.MonkeyPatch, pipeprof: Pipeprof
) -> None:
    older = save("a-20260101T000000Z.json", "input-bound", 1000)
    latest = save("a-20260101T000001Z.json", "input-bound", 2000)
    save("b-20260101T000002Z.json", "input-bound", 3000)
    elsewhere = Path("moved.json")
    shutil.copy(latest, elsewhere)
    read: list[Profile] = []
    monkeypatch.setattr("pipeprof.cli.output.write_reports", lambda profile, *_: read.append(profile))
    for path in (older, latest, elsewhere):
        assert pipeprof("show", path).code == 0
    assert [profile.read_from for profile in read] == [str(older), None, str(elsewhere)]
    commands = [change_command(profile, 1) for profile in read]
    assert [f"--from {path}" in str(line) for path, line in zip((older, latest, elsewhere), commands, strict=True)] == [
        True,
        False,
        True,
    ]
