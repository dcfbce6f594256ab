"""Mistakes people make with specs: each file of tests/golden/specs says what its user is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.loader import load_spec

FOLDER = Path(__file__).parents[2] / "golden" / "specs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
FLAG = re.compile(r"^# --set (.*)$", re.MULTILINE)
SELF_EVIDENT = ("missing-file", "refused-function")
FOREIGN_WORDS = ("pydantic", "http", "Extra inputs", "Input should", "Field required", "function-plain", "Traceback")


def complaint(name: str, monkeypatch: pytest.MonkeyPatch) -> SpecError:
    monkeypatch.chdir(FOLDER)
    path = Path(f"{name}.yaml")
    with pytest.raises(SpecError) as caught:
        load_spec(path, FLAG.findall(path.read_text(encoding="utf-8")))
    return caught.value


def test_there_are_enough() -> None:
    assert len(NAMES) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_bad_spec(name: str, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None]) -> None:
    error = complaint(name, monkeypatch)
    golden(f"specs/{name}.txt", f"{error}\n".replace(str(FOLDER), "FOLDER"))


@pytest.mark.parametrize("name", NAMES)
def test_every_complaint_is_complete(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = complaint(name, monkeypatch)
    for diagnostic in error.diagnostics:
        assert diagnostic.message.startswith("got "), diagnostic
        assert "expected " in diagnostic.message or diagnostic.code in SELF_EVIDENT, diagnostic
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", diagnostic.code), diagnostic
        assert diagnostic.flag is not None or diagnostic.line is not None or diagnostic.code == "empty", diagnostic
        assert not any(word in diagnostic.message for word in FOREIGN_WORDS), diagnostic
    places = [(d.flag is not None, d.order, d.line or 0, d.column or 0) for d in error.diagnostics]
    assert places == sorted(places)
