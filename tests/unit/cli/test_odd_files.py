"""Files that are none: links in a circle, pipes, names that are too long, and options that exclude each other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.output import check_file
from pipeprof.pipelines.data.inspect.look import look
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.store import write_atomically

Pipeprof = Callable[..., Any]
LONG = "a" * 300
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
@pytest.mark.parametrize("flag", ["--out", "--schema"])
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
    flag: str, force: list[str], name: str, words: str, pipeprof: Pipeprof, odd: Path
) -> None:
    before = sorted(odd.iterdir())
    done = pipeprof("init", flag, name, *force)
    assert done.code == 2
    assert f"{flag} {name}: {words}" in done.err
    assert ("stdout" in done.err) is (flag == "--out" and name == "pipe.json")
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
