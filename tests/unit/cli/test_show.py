"""``pipeprof show``: the latest profile or those that are named, and what is said of a file that is none."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.command_line import change_command
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import encode, load_profile

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


INPUT_BOUND = RECORDED / "input-bound.json"


def test_several_profiles(pipeprof: Pipeprof) -> None:
    both = (INPUT_BOUND, RECORDED / "step-none.json")
    text = pipeprof("show", *both).out
    assert text.index("Input-bound") < text.index("Pipeline alone")
    listed = json.loads(pipeprof("show", *both, "--format", "json").out)
    assert [one["target"]["text"] for one in listed] == ["spec.yaml", "examples/array/spec.yaml"]
    assert pipeprof("show", *both, "--out", "a.txt").code == 2


def test_files_are_written_named_and_written_over(pipeprof: Pipeprof) -> None:
    for _ in range(2):
        result = pipeprof("show", INPUT_BOUND, "--json", "--out", "a.txt", "--out", "b.json", "--out", "c.md")
        assert (result.code, result.err) == (0, "pipeprof: wrote a.txt, b.json and c.md\n")
        assert result.out == INPUT_BOUND.read_text()
    assert load_profile(Path("b.json")) == load_profile(INPUT_BOUND)
    assert "pipeprof show" in Path("a.txt").read_text()


def test_a_partial_profile_and_a_redacted_one(pipeprof: Pipeprof) -> None:
    result = pipeprof("show", RECORDED / "interrupted.json")
    assert result.code == 0
    assert result.out.startswith("Interrupted")
    assert "lab-7" in pipeprof("show", INPUT_BOUND, "-v").out
    assert "lab-7" not in pipeprof("show", INPUT_BOUND, "-v", "--redact").out


@pytest.mark.parametrize("name", ["missing.json", "spec.yaml"])
def test_what_is_no_profile(name: str, pipeprof: Pipeprof) -> None:
    Path("spec.yaml").write_text("version: 1\n")
    result = pipeprof("show", INPUT_BOUND, name)
    assert (result.code, result.out) == (6, "")
    assert result.err.count("\n") == 1
    assert name in result.err


@pytest.mark.parametrize(("variable", "expected"), [("FORCE_COLOR", True), ("NO_COLOR", False), ("TERM", False)])
def test_colour_in_a_pipe(variable: str, expected: bool, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    assert ("\x1b" in pipeprof("show", INPUT_BOUND).out) is expected


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


def test_a_command_that_takes_a_change_names_the_file_unless_it_is_the_latest_of_its_target(
    monkeypatch: pytest.MonkeyPatch, pipeprof: Pipeprof
) -> None:
    older = save("a-20260101T000000Z.json", "input-bound", 1000)
    latest = save("a-20260101T000001Z.json", "input-bound", 2000)
    save("b-20260101T000002Z.json", "input-bound", 3000)
    elsewhere = Path("moved.json")
    shutil.copy(latest, elsewhere)
    read: list[Profile] = []
    monkeypatch.setattr("pipeprof.cli.commands.show.write_reports", lambda profile, *_: read.append(profile))
    for path in (older, latest, elsewhere):
        assert pipeprof("show", path).code == 0
    assert [profile.read_from for profile in read] == [str(older), None, str(elsewhere)]
    commands = [change_command(profile, 1) for profile in read]
    assert [str(line).partition("--change ")[2] for line in commands] == [f"{older}:1", "1", f"{elsewhere}:1"]
