"""Files that are none, places that may not be looked at, targets without end: a sentence and an exit code for each."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeprof.pipelines.data.cache import locate
from pipeprof.pipelines.data.look import look
from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.profiles.document.store import load_profile
from tests.unit.cli.reports import RECORDED, Pipeprof

LONG = "a" * 300
SPEC = "version: 1\nsource: {range: {stop: 100}}\n"


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a circle of links, a pipe, a folder and a device, each named as a spec and as a profile."""
    monkeypatch.chdir(tmp_path)
    for suffix in ("yaml", "json"):
        (tmp_path / f"one.{suffix}").symlink_to(f"two.{suffix}")
        (tmp_path / f"two.{suffix}").symlink_to(f"one.{suffix}")
        os.mkfifo(tmp_path / f"pipe.{suffix}")
        (tmp_path / f"folder.{suffix}").mkdir()
        (tmp_path / f"device.{suffix}").symlink_to("/dev/null")
    return tmp_path


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("command", ["check", "run"])
def test_a_target_that_is_no_file_is_named_for_what_it_is(command: str, pipeprof: Pipeprof) -> None:
    for target, words in {
        "one.yaml": "one.yaml: Too many levels of symbolic links",
        "pipe.yaml": "pipe.yaml is not a file",
        "folder.yaml": "folder.yaml is not a file",
        f"{LONG}.yaml": f"{LONG}.yaml: File name too long",
        f"{LONG}.py:make": f"{LONG}.py: File name too long",
        "": "invalid target '': expected spec.yaml",
        ".": "file.py:function or package.module:function; pipeprof init --from . writes a spec that reads this folder",
    }.items():
        done = pipeprof(command, target)
        assert (done.code, words in done.err, "did you mean" in done.err) == (2, True, False), done.err


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_init_refuses_what_cannot_be_written(force: list[str], pipeprof: Pipeprof, odd: Path) -> None:
    before = sorted(odd.iterdir())
    for name, words in {
        "one.json": "no file can be written there (too many levels of symbolic links)",
        "pipe.json": "this is a device or a pipe, not a file",
        "device.json": "this is a device or a pipe, not a file",
        "folder.json": "this is a folder; name a file in it",
        LONG: "no file can be written there (file name too long)",
        "missing/a.json": "the folder missing does not exist",
    }.items():
        done = pipeprof("init", "--out", name, *force)
        assert (done.code, f"--out {name}: {words}" in done.err) == (2, True), done.err
        assert ("stdout" in done.err) is (name in {"pipe.json", "device.json"})
    assert sorted(odd.iterdir()) == before


@pytest.mark.parametrize("name", ["x.json/", "x.json/.", "x.html//"])
def test_the_name_of_a_folder_is_no_file(name: str, pipeprof: Pipeprof) -> None:
    Path("a.yaml").write_text(SPEC)
    for words in (["check", "a.yaml"], ["run", "a.yaml"], ["show", RECORDED / "step-bound.json"], ["init"]):
        done = pipeprof(*words, "--out", name)
        assert (done.code, f"--out {name}: this is the name of a folder; name a file" in done.err) == (2, True)
    assert [path.name for path in Path().iterdir()] == ["a.yaml"]


def test_a_link_to_nothing_is_no_file_and_a_device_or_a_pipe_is_no_profile(pipeprof: Pipeprof, odd: Path) -> None:
    for words, name, code in (("check", "br.yaml", 2), ("show", "br.json", 6)):
        Path(name).symlink_to("none")
        done = pipeprof(words, name)
        assert (done.code, f"{name}: no such file" in done.out + done.err) == (code, True)
    for path in (odd / "pipe.json", Path("/dev/zero")):
        with pytest.raises(ProfileError, match="is a device or a pipe"):
            load_profile(path)


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


@pytest.mark.usefixtures("closed")
def test_every_command_says_what_it_may_not_read(pipeprof: Pipeprof) -> None:
    for words, code in {
        "check closed/a.yaml": 2, "check link-a.yaml": 2, "check data.yaml": 2, "check closed/t.py:make": 2,
        "check closed/t.py": 2, "run closed/a.yaml": 2, "run open.yaml --out closed/a.html": 2,
        "run open.yaml --step python:closed/t.py:make": 2, "init --from closed": 2, "init --from closed/a.csv": 2,
        "init --from closed/*.csv": 2, "init --from link-a.csv": 2, "init --from link-a.csv --out closed/new.yaml": 2,
        "compare open.yaml closed/a.yaml": 2, "compare open.yaml closed/a.json": 6, "show closed/a.json": 6,
        "show link-a.json": 6,
    }.items():  # fmt: skip
        done = pipeprof(*words.split())
        assert (done.code, "permission denied" in (done.out + done.err).lower()) == (code, True), words
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
    assert "note: rows/shut could not be read (permission denied)" in done.err
    Path("rows/a.csv").unlink()
    with pytest.raises(UsageError, match="no file of a kind that"):
        look("rows")


def test_a_folder_of_profiles_that_may_not_be_looked_at_is_named(
    closed: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("profiles.document.store", "cli.commands.show", "cli.targets.saved"):
        monkeypatch.setattr(f"pipeprof.{module}.FOLDER", closed.name)
    done = pipeprof("show")
    assert (done.code, done.err.strip()) == (6, "pipeprof: error: closed/ cannot be read: permission denied")
    assert locate({"HOME": str(closed / "saved")}) is None


def test_a_function_of_hundreds_of_chained_calls_and_an_expression_of_many_terms(pipeprof: Pipeprof) -> None:
    calls, terms = ".map(lambda x: x + 1)" * 250, " + ".join(["1"] * 1500)
    for text in (f"tf.data.Dataset.range(9){calls}", f"tf.data.Dataset.range({terms})"):
        Path("train.py").write_text(f"import tensorflow as tf\n\ndef make():\n    return {text}\n")
        result = pipeprof("run", "train.py:")
        assert (result.code, "make" in result.out) == (0, True), result.err
        assert pipeprof("check", "train.py:make").code == 0
