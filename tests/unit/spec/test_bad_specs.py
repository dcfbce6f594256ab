"""Mistakes people make with specs: each file of tests/golden/bad_specs says what its user is told.

Beside ``NNN-what.yaml`` stands ``NNN-what.txt``, what ``pipeprof check`` prints of it. ``NNN-what.args`` holds further
arguments of that command, after the environment variables that are set for it; ``files`` is what the specs name.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.cli.main import invoke
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.spec.errors.diagnostics import SpecError

FOLDER = Path(__file__).parents[2] / "golden" / "bad_specs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SELF_EVIDENT = ("alias-bomb", "duplicate-key", "duplicate-name", "encoding", "missing-file", "missing-key", "too-deep")
WITHOUT_A_LINE = ("004-empty", "040-only-a-comment", "048-utf-16")
FOREIGN_WORDS = ("pydantic", "http", "Extra inputs", "Input should", "Field required", "function-plain", "Traceback")
ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")


def arguments(name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The further arguments of a spec's command line; what it has of the environment is set."""
    monkeypatch.chdir(FOLDER)
    path = Path(f"{name}.args")
    words = shlex.split(path.read_text(encoding="utf-8")) if path.exists() else []
    while words and (assigned := ASSIGNMENT.fullmatch(words[0])):
        monkeypatch.setenv(assigned[1], assigned[2])
        words.pop(0)
    return words


def complaint(name: str, monkeypatch: pytest.MonkeyPatch) -> SpecError:
    words = arguments(name, monkeypatch)
    sets = [value for flag, value in itertools.pairwise(words) if flag == "--set"]
    environment = os.environ if "--env" in words else None
    with pytest.raises(SpecError) as caught:
        check_spec(Path(f"{name}.yaml"), sets, environment=environment)
    return caught.value


def test_there_are_enough() -> None:
    assert len(NAMES) >= 100
    assert len({name[:3] for name in NAMES}) == len(NAMES)


def test_nothing_is_left_over() -> None:
    stems = {path.stem for path in FOLDER.iterdir() if path.suffix in {".txt", ".args"}}
    assert stems <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_bad_spec(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]
) -> None:
    words = arguments(name, monkeypatch)
    assert invoke(["check", f"{name}.yaml", *words]) == 2
    printed = capsys.readouterr()
    text, last, _ = printed.out.replace(str(FOLDER), "FOLDER").rsplit("\n", 2)
    golden(f"bad_specs/{name}.txt", f"{text}\n")
    assert not printed.err
    assert re.fullmatch(r"Found \d+ errors?( in \S+)?\.", last)


def test_every_complaint_is_complete() -> None:
    for name in NAMES:
        with pytest.MonkeyPatch.context() as patch:
            diagnostics = complaint(name, patch).diagnostics
        for diagnostic in diagnostics:
            where = (name, diagnostic)
            assert not diagnostic.message.startswith("expected "), where
            says_what_to_do = "expected " in diagnostic.message or ": " in diagnostic.message or diagnostic.suggestion
            assert says_what_to_do or diagnostic.code in SELF_EVIDENT, where
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", diagnostic.code), where
            assert diagnostic.flag is not None or diagnostic.line is not None or name in WITHOUT_A_LINE, where
            assert not any(word in diagnostic.message for word in FOREIGN_WORDS), where
        places = [(d.flag is not None, d.order, d.line or 0, d.column or 0) for d in diagnostics]
        assert places == sorted(places), name
