"""Files that are none, places that may not be looked at, targets without end: a sentence and an exit code for each."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.output import check_file
from pipeprof.pipelines.data.folders import locate
from pipeprof.pipelines.data.inspect.look import look
from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.profiles.document.store import ProfileWriter, load_profile, places, write_atomically
from pipeprof.profiles.judge.result import Result

Pipeprof = Callable[..., Any]
LONG = "a" * 300
SPEC = "version: 1\nsource: {range: {stop: 100}}\n"
PROFILE = str(Path(__file__).parents[2] / "recorded" / "profiles" / "step-bound.json")


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a circle of links, a pipe and a folder, each named as a spec and as a profile."""
    monkeypatch.chdir(tmp_path)
    for suffix in ("yaml", "json"):
        (tmp_path / f"one.{suffix}").symlink_to(f"two.{suffix}")
        (tmp_path / f"two.{suffix}").symlink_to(f"one.{suffix}")
        os.mkfifo(tmp_path / f"pipe.{suffix}")
        (tmp_path / f"folder.{suffix}").mkdir()
    return tmp_path


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("one.yaml", "one.yaml: cannot be read (too many levels of symbolic links)"),
        ("pipe.yaml", "pipe.yaml is a device or a pipe: expected a file"),
        ("folder.yaml", "folder.yaml is a folder: expected a file"),
        (f"{LONG}.yaml", f"{LONG}.yaml: cannot be read (file name too long)"),
        (f"{LONG}.py:make", f"{LONG}.py: cannot be read (file name too long)"),
        ("", "invalid target '': expected spec.yaml"),
        (".", ". is a folder: expected spec.yaml, file.py:function or package.module:function; pipeprof init --from ."),
    ],
)
def test_a_target_that_is_no_file_is_named_for_what_it_is(
    command: str, target: str, words: str, pipeprof: Pipeprof
) -> None:
    done = pipeprof(command, target)
    assert done.code == 2
    assert words in done.err
    assert "did you mean" not in done.err


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one.json", "no file can be written there (too many levels of symbolic links); use another name"),
        ("pipe.json", "this is a device or a pipe, not a file; name a file"),
        ("folder.json", "this is a folder; name a file in it"),
        (LONG, "no file can be written there (file name too long); use another name"),
        ("missing/a.json", "the folder missing does not exist; create it first"),
    ],
)
def test_init_refuses_what_cannot_be_written(
    force: list[str], name: str, words: str, pipeprof: Pipeprof, odd: Path
) -> None:
    before = sorted(odd.iterdir())
    done = pipeprof("init", "--out", name, *force)
    assert done.code == 2
    assert f"--out {name}: {words}" in done.err
    assert ("stdout" in done.err) is (name == "pipe.json")
    assert sorted(odd.iterdir()) == before


def test_other_files_are_written_over_only_by_force(odd: Path) -> None:
    path = odd / "mine.txt"
    check_file("--out", path, force=False)
    path.write_text("mine")
    check_file("--out", path, force=True)
    check_file("--out", path, force=False, own=Path.is_file)
    with pytest.raises(UsageError, match="the file exists; use --force to overwrite it, or another name"):
        check_file("--out", path, force=False)
    dangling = odd / "dangling"
    dangling.symlink_to("nowhere")
    with pytest.raises(UsageError, match="the file exists"):
        check_file("--out", dangling, force=False)


@pytest.mark.parametrize("name", ["pipe.csv", "pipe.npy", "pipe.tfrecord", "pipe", "pipe.jpg"])
def test_init_does_not_wait_for_a_pipe(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match=f"{name} is a device or a pipe: init reads a folder of JPEG"):
        look(str(tmp_path / name))
    # In a folder it is none of the data.
    (tmp_path / "table.csv").write_text("x,y\n1,2\n3,4\n")
    found = look(str(tmp_path))
    assert vars(found)["patterns"] == (f"{tmp_path}/table.csv",)


def test_a_link_in_a_circle_is_replaced_by_a_file(odd: Path) -> None:
    write_atomically(odd / "one.json", b"{}")
    assert (odd / "one.json").read_bytes() == b"{}"


@pytest.mark.parametrize("name", ["x.json/", "x.json/.", "x.html//"])
def test_the_name_of_a_folder_is_no_file(name: str, pipeprof: Pipeprof, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nsource: {range: {stop: 4}}\n")
    for words in (["check", "a.yaml"], ["run", "a.yaml"], ["show", PROFILE], ["init"]):
        done = pipeprof(*words, "--out", name)
        assert (done.code, done.err.strip()) == (
            2,
            f"pipeprof: error: --out {name}: this is the name of a folder; name a file",
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(("words", "code"), [(["check", "br.yaml"], 2), (["show", "br.json"], 6)])
def test_a_link_to_nothing_is_told_as_one(words: list[str], code: int, pipeprof: Pipeprof, tmp_path: Path) -> None:
    for name in ("br.yaml", "br.json"):
        (tmp_path / name).symlink_to("none")
    done = pipeprof(*words)
    assert done.code == code
    assert f"br.{'json' if code == 6 else 'yaml'} is a link to none, which does not exist" in done.out + done.err
    assert "did you mean" not in done.out + done.err


def test_a_device_or_a_pipe_is_no_profile(odd: Path) -> None:
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
    assert "permission denied" in (done.out + done.err).lower()
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
    for module in ("profiles.document.store", "cli.commands.show", "cli.targets.saved"):
        monkeypatch.setattr(f"pipeprof.{module}.FOLDER", closed.name)
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


def test_a_function_of_hundreds_of_chained_calls_is_listed(pipeprof: Pipeprof, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    calls = ".map(lambda x: x + 1)" * 250
    path.write_text(f"import tensorflow as tf\n\ndef make():\n    return tf.data.Dataset.range(9){calls}\n")
    result = pipeprof("run", f"{path}:")
    assert result.code == 0, result.err
    assert "make" in result.out


def test_an_expression_of_many_terms(pipeprof: Pipeprof, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    terms = " + ".join(["1"] * 1500)
    path.write_text(f"import tensorflow as tf\n\ndef make():\n    return tf.data.Dataset.range({terms})\n")
    result = pipeprof("check", f"{path}:make")
    assert result.code == 0, result.err


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_a_profile_without_end_is_refused(pipeprof: Pipeprof, tmp_path: Path, depth: int) -> None:
    path = tmp_path / "deep.json"
    path.write_text('{"schema": ' + "[" * depth + "]" * depth + "}")
    result = pipeprof("show", path)
    assert result.code in (2, 6)
    assert "Traceback" not in result.err
    assert "internal error" not in result.err
