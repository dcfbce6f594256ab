"""``pipeprof run`` with a harness that measures nothing: what it is asked for, what is printed, saved and returned."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli import reports
from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.report import build_report
from pipeprof.profiles.document import store
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import DataSize, Message, Profile
from pipeprof.profiles.document.store import load_profile
from tests.unit.cli.patches import Harness
from tests.unit.cli.reports import Pipeprof


def saved() -> Path:
    (path,) = Path("pipeprof-out").glob("*.json")
    return path


def text_of(profile: Profile) -> str:
    return paint(build_report(profile, str(saved())), Style(80))


def test_report_on_stdout_the_rest_on_stderr_and_show_prints_the_same(harness: Harness, pipeprof: Pipeprof) -> None:
    Path("spec.yaml").write_text("version: 1\nname: my rows\nsource: {range: {stop: 9}}\n")
    result = pipeprof("run", "spec.yaml")
    path = saved()
    assert (result.code, result.out) == (0, text_of(harness.profile))
    assert result.err.splitlines() == ["pipeprof: [6/8] measuring, about 10 s", "pipeprof: a note"]
    assert path.name.startswith("my-rows-2")
    assert load_profile(path) == harness.profile
    assert pipeprof("show").out == result.out
    quiet = pipeprof("run", "spec.yaml", "-q", "--json")
    assert (quiet.err, json.loads(quiet.out)) == ("", json.loads(store.encode(harness.profile)))


def test_options_reach_the_harness_and_the_spec_has_the_rest(harness: Harness, pipeprof: Pipeprof) -> None:
    options = (
        "--seconds 2min --steps 7 --step simulate:12ms,dispatch=2 --timeout 9 --max-time 1h --memory-limit 8GiB"
        " --no-verify --dataset-size 500000 --no-cache"
    )
    for words in (options, "--set measure.seconds=4 --budget 60", ""):
        assert pipeprof("run", "spec.yaml", *words.split()).code == 0
    assert [tried["budget"] for tried in harness.tried] == [60.0, 30.0], "--no-verify tries nothing"
    asked, left, _ = harness.asked
    assert (asked.seconds, asked.steps, asked.timeout, asked.max_time) == (120.0, 7, 9.0, 3600.0)
    assert (asked.memory_limit, asked.data_size, asked.no_cache) == (8 << 30, DataSize(elements=500_000), True)
    assert (asked.step.kind, asked.dispatch, asked.step_given) == ("simulate", 2, True)
    assert (left.steps, left.dispatch, left.max_time, left.memory_limit) == (None,) * 4
    assert (left.seconds, left.timeout) == (4.0, 120.0)
    assert (left.step.kind, left.step_given, left.cold) == ("none", False, False)


def test_what_a_target_cannot_do_is_refused(harness: Harness, pipeprof: Pipeprof) -> None:
    assert [pipeprof("run", *words).code for words in (["-"], ["spec.yaml", "--workers", "2"])] == [2, 2]
    assert harness.asked == []


def fail_with(code: int) -> None:
    raise OSError(code, os.strerror(code))


def test_a_read_only_folder_and_nowhere_to_save(
    harness: Harness, pipeprof: Pipeprof, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        if Path(target).absolute().is_relative_to(tmp_path):
            fail_with(errno.EROFS)
        real(source, target)

    monkeypatch.setattr(store.os, "replace", replace)
    result = pipeprof("run", "spec.yaml", "-q")
    (path,) = elsewhere.rglob("*.json")
    assert result.code == 0
    assert "pipeprof: warning: cannot write pipeprof-out/" in result.err
    assert str(path) in result.out
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = pipeprof("run", "spec.yaml", "-q", "--out", "a.txt", "--out", str(elsewhere / "b.json"))
    assert (result.code, (elsewhere / "b.json").exists(), "a.txt" in result.err) == (1, True, True)
    result = pipeprof("run", "spec.yaml", "-q")
    assert (result.code, "could be written nowhere" in result.err) == (1, True)
    assert harness.profile.verdict is not None
    assert " ".join(result.out.split()).startswith(harness.profile.verdict.headline)


def test_a_stdout_that_breaks_early_is_an_error_once_the_profile_is_saved(
    harness: Harness, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "write_stream", lambda *_: fail_with(errno.ENOSPC))
    result = pipeprof("run", "spec.yaml")
    assert result.code == 1
    assert "the report could not be written to stdout (no space left on device)" in result.err
    assert harness.tried
    assert load_profile(saved()).complete


def test_what_was_measured_is_reported_whatever_ends_the_trying(harness: Harness, pipeprof: Pipeprof) -> None:
    def breaks(options: dict[str, Any]) -> None:
        harness.profile.warnings.clear()
        options["save"]()
        assert load_profile(saved()).warnings == []
        msg = "a fault of the trying"
        raise ValueError(msg)

    harness.profile.warnings.append(Message(code="repeated", message="so"))
    harness.meanwhile = breaks
    result = pipeprof("run", "spec.yaml")
    assert (result.code, "a fault of the trying" in result.err) == (1, True)
    assert result.out == text_of(harness.profile)


@pytest.mark.parametrize("words", [[], ["-v"], ["--json"], ["--format", "md"]])
def test_what_is_known_is_told_before_the_rest_is_measured_and_tried(
    harness: Harness, capsys: pytest.CaptureFixture[str], pipeprof: Pipeprof, words: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What is tried comes to the end, and what was told stays as it is; other formats are written once."""
    told: list[str] = []

    def measure(*given: Any) -> Profile:
        found = harness.run_sample(*given)
        told.append(capsys.readouterr().out)
        return found

    def tries(_options: dict[str, Any]) -> None:
        told.append(capsys.readouterr().out)
        harness.profile.findings = [
            Finding(rule="measured", title="Run it", stage="stages.1", status="kept", measured={"speedup": 2.0})
        ]
        harness.profile.warnings.append(Message(code="verification-ended", message="so"))

    monkeypatch.setattr("pipeprof.cli.commands.run.run_sample", measure)
    harness.meanwhile = tries
    rest = pipeprof("run", "spec.yaml", *words).out
    if words and words != ["-v"]:
        assert told == ["", ""]
        return
    assert harness.profile.verdict is not None
    assert " ".join(told[0].split()) == harness.profile.verdict.headline
    assert [word in text for text in (told[1], rest) for word in ("Memory", "Run it")] == [True, False, False, True]
    assert pipeprof("show", *words).out == "".join(told) + rest


def test_the_proven_changes_of_a_function_are_saved_with_their_diffs(
    harness: Harness, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_diffs(profile: Profile) -> None:
        profile.findings = [Finding(rule="measured", title="A change", status="kept", diff="--- a/train.py\n")]

    monkeypatch.setattr("pipeprof.cli.commands.run.add_diffs", add_diffs)
    pipeprof("run", "train.py:make")
    assert harness.asked[0].loaded is None
    assert saved().name.startswith("train-make-2")
    assert (load_profile(saved()).findings or [])[0].diff == "--- a/train.py\n"
    harness.profile.exit_code = 130
    monkeypatch.setattr("pipeprof.cli.commands.run.add_diffs", lambda _: pytest.fail("nobody waits for it"))
    assert pipeprof("run", "train.py:make").code == 130


def test_what_a_script_does_is_said_before(harness: Harness, pipeprof: Pipeprof) -> None:
    for options, words in (
        ("--no-verify", "until 10 s are measured after the warm-up (--to-end: to its end)\n"),
        ("--steps 9 --seconds 1m", "until 60 s or 9 steps are measured after"),
        ("--soak 20m", "while its memory is watched for 1200 s\n"),
        ("--to-end --allow-writes", "to its end\n"),
    ):
        result = pipeprof("run", "train.py", *options.split())
        assert f"note: train.py runs as it is and trains for real {words}" in result.err
    assert [(one.tries, one.allow_writes) for one in harness.asked] == [(False, False)] * 3 + [(False, True)]
    assert not harness.tried
