"""Places that may not be looked at: each command says so in a sentence, with the code of a wrong command or profile."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.main import invoke
from pipeprof.cli.targets import load
from pipeprof.pipelines.data.folders import locate
from pipeprof.pipelines.data.inspect.look import look
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.store import ProfileWriter, places
from pipeprof.profiles.judge.result import Result

Pipeprof = Callable[..., Any]
SPEC = "version: 1\nsource: {range: {stop: 100}}\n"
DENIED = "permission denied"
_READS_EVERYTHING = 1 << 1 | 1 << 2
"""Capabilities CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with one of everything, which may not be looked at, and links into it from the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "closed"
    (folder / "saved").mkdir(parents=True)
    for name, text in {"a.yaml": SPEC, "t.py": "def make():\n    pass\n", "a.csv": "a\n1\n", "a.json": "{}"}.items():
        (folder / name).write_text(text)
        Path(f"link-{name}").symlink_to(folder / name)
    Path("open.yaml").write_text(SPEC)
    Path("data.yaml").write_text("version: 1\nsource: {TFRecordDataset: {filenames: closed/a.csv}}\n")
    Path("glob.yaml").write_text('version: 1\nsource: {list_files: {file_pattern: "closed/*.csv"}}\n')
    folder.chmod(0)
    header, sets = _Header(0x20080522, 0), (_Sets * 2)()
    libc = ctypes.CDLL(None)
    is_root = os.geteuid() == 0
    if is_root:
        libc.capget(ctypes.byref(header), sets)
        before, sets[0].effective = sets[0].effective, sets[0].effective & ~_READS_EVERYTHING
        libc.capset(ctypes.byref(header), sets)
    try:
        yield folder
    finally:
        if is_root:
            sets[0].effective = before
            libc.capset(ctypes.byref(header), sets)
        folder.chmod(0o700)


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (2, ["check", "closed/a.yaml"]),
        (2, ["check", "link-a.yaml"]),
        (2, ["check", "data.yaml"]),
        (2, ["check", "closed/t.py:make"]),
        (2, ["check", "closed/t.py"]),
        (2, ["run", "closed/a.yaml"]),
        (2, ["run", "open.yaml", "--out", "closed/a.html"]),
        (2, ["run", "open.yaml", "--step", "python:closed/t.py:make"]),
        (2, ["init", "--from", "closed"]),
        (2, ["init", "--from", "closed/a.csv"]),
        (2, ["init", "--from", "closed/*.csv"]),
        (2, ["init", "--from", "link-a.csv"]),
        (2, ["init", "--from", "link-a.csv", "--out", "closed/new.yaml"]),
        (2, ["compare", "open.yaml", "closed/a.yaml"]),
        (6, ["compare", "open.yaml", "closed/a.json"]),
        (6, ["show", "closed/a.json"]),
        (6, ["show", "link-a.json"]),
    ],
)
def test_every_command_says_what_it_may_not_read(
    code: int, arguments: list[str], closed: Path, pipeprof: Pipeprof
) -> None:
    del closed
    done = pipeprof(*arguments)
    assert done.code == code
    assert DENIED in (done.out + done.err).lower()
    assert "internal error" not in done.err


@pytest.mark.usefixtures("closed")
def test_a_folder_is_read_as_far_as_that_is_possible_and_the_rest_is_said(pipeprof: Pipeprof) -> None:
    Path("rows").mkdir()
    Path("rows/a.csv").write_text("a,b\n1,2\n")
    for name in ("one.csv", "two.csv", "three.csv", "four"):
        Path("rows", name).symlink_to("../closed/a.csv")
    Path("rows/shut").mkdir(mode=0)
    done = pipeprof("init", "--from", "rows", "--out", "-")
    assert done.code == 0, done.err
    assert "rows/a.csv" in done.out
    assert "note: 5 places could not be read: rows/shut, rows/four, rows/one.csv, …" in done.err
    Path("rows/a.csv").unlink()
    with pytest.raises(UsageError, match=r"no file of a kind that .*; 5 places could not be read: rows/shut"):
        look("rows")


@pytest.mark.usefixtures("closed")
def test_a_home_that_may_not_be_looked_at_is_no_home(tmp_path: Path) -> None:
    assert locate({"HOME": str(tmp_path / "closed" / "saved")}).warning is not None


def test_the_profile_goes_elsewhere_if_the_usual_folder_may_not_be_looked_at(
    closed: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeprof.profiles.document.store.FOLDER", closed.name)
    monkeypatch.setattr("pipeprof.profiles.document.store.temporary_folder", lambda: closed.parent)
    done = pipeprof("show")
    assert (done.code, done.err.strip()) == (6, "pipeprof: error: closed/ cannot be read: permission denied")
    writer = ProfileWriter(places("a", "20260101T000000Z"))
    document = Result.model_validate(
        {"kind": "compare", "tool": {"version": "1"}, "a": {"text": "a"}, "b": {"text": "b"}}
    )
    saved = writer.write(document)
    assert saved is not None
    assert saved.parent.parent == closed.parent
    assert writer.warnings == ["cannot write closed/a-20260101T000000Z.json (permission denied)"]


def test_a_place_that_was_not_thought_of_is_named_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", "/some/place")

    monkeypatch.setattr(load, "load_target", refuse)
    assert invoke(["check", "a.yaml"]) == 2
    assert "error: /some/place: permission denied; name a place that may be read" in capsys.readouterr().err
