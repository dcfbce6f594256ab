"""The cache on disk: where it is, what counts as finished, and what is never touched."""

import json
import os
import re
from pathlib import Path

import pytest

from pipeprof.pipelines.data import cache
from pipeprof.pipelines.data.cache import ensure, list_entries, locate, remove
from pipeprof.pipelines.data.recipes import Recipe, entry_name, recipe_of
from pipeprof.pipelines.errors import PipeprofError

TEXT = recipe_of({"text": {"lines": 2, "files": 2}})
NAME = entry_name(TEXT)


def nothing(*_report: object) -> None:
    """Progress that nobody reads."""


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is made, in this process."""
    asked: list[str] = []

    def make(name: str, recipe: Recipe, folder: Path, _report: object) -> None:
        asked.append(name)
        for file in recipe.file_names():
            (folder / file).write_text("a b\n")

    monkeypatch.setattr(cache, "make_in_child", make)
    return asked


def made(root: Path) -> Path:
    """An entry as if it had been made."""
    (root / NAME).mkdir(parents=True)
    for name in TEXT.file_names():
        (root / NAME / name).write_text("a b\n")
    return root / NAME


def test_the_folder_is_the_one_that_was_asked_for(tmp_path, monkeypatch):
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "xdg")}
    assert locate({"PIPEPROF_CACHE_DIR": str(tmp_path / "a"), **home}) == tmp_path / "a"
    assert locate(home) == tmp_path / "xdg" / "pipeprof"
    assert locate({**home, "XDG_CACHE_HOME": "relative"}) == tmp_path / ".cache" / "pipeprof"
    monkeypatch.chdir(tmp_path)
    assert locate({"PIPEPROF_CACHE_DIR": "here"}) == tmp_path / "here"


@pytest.mark.parametrize("home", ["", "relative", "/does/not/exist"])
def test_without_a_home_nothing_is_made(home, monkeypatch, making):
    monkeypatch.delenv("PIPEPROF_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    assert locate() is None
    with pytest.raises(PipeprofError, match="PIPEPROF_CACHE_DIR"):
        ensure({"t": TEXT}, progress=nothing)
    assert making == []


def test_what_is_there_is_found_and_the_rest_is_made_once(tmp_path, making):
    paths = ensure({"a": TEXT, "b": TEXT}, progress=nothing, folder=tmp_path / "new")
    assert paths == {"a": tmp_path / "new" / NAME, "b": tmp_path / "new" / NAME}
    assert ensure({"c": TEXT}, progress=nothing, folder=tmp_path / "new") == {"c": paths["a"]}
    assert making == ["a"]
    umask = os.umask(0)
    os.umask(umask)
    assert paths["a"].stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("put", [lambda path: path.write_text("mine"), lambda path: path.symlink_to("elsewhere")])
def test_a_users_file_or_link_in_the_way_is_refused_and_kept(put, late, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    if not late:
        put(tmp_path / NAME)
    monkeypatch.setattr(cache, "make_in_child", lambda *_: put(tmp_path / NAME))
    with pytest.raises(PipeprofError, match=NAME if not late else "Not a directory"):
        ensure({"t": TEXT}, progress=nothing, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", NAME]
    assert not (tmp_path / NAME).is_dir() or (tmp_path / NAME).is_symlink()
    assert list_entries(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path, making):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(PipeprofError, match=re.escape(str(folder))) as caught:
            ensure({"t": TEXT}, progress=nothing, folder=folder)
        assert caught.value.exit_code == 1
    assert making == []


def test_entries_are_listed_and_removed_and_nothing_else(tmp_path):
    made(tmp_path)
    (tmp_path / "csv-0123456789abcdef.unfinished-01ab").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "text-of-mine").mkdir()
    half, whole = list_entries(tmp_path)
    assert (whole.name, whole.kind, whole.bytes, whole.files) == (NAME, "text", 8, 2)
    assert (half.kind, half.files) == ("csv", 0)
    assert list_entries(tmp_path / "missing") == []
    remove([half, whole])
    # Somebody else was faster: nothing is left to do.
    remove([whole])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "text-of-mine"]


def test_an_interrupted_removal_leaves_no_folder_that_looks_finished(tmp_path, monkeypatch):
    def interrupt(_path: Path) -> None:
        raise KeyboardInterrupt

    made(tmp_path)
    monkeypatch.setattr("shutil.rmtree", interrupt)
    with pytest.raises(KeyboardInterrupt):
        remove(list_entries(tmp_path))
    (left,) = list_entries(tmp_path)
    assert left.name.startswith(f"{NAME}.unfinished-")


def test_the_command_lists_and_removes_by_the_beginnings_of_names(tmp_path, monkeypatch, pipeprof):
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path))
    names = ["csv-0000000000000001", "csv-0000000000000002", "npy-0000000000000003"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").write_bytes(bytes(4000))
    assert [line.split()[0] for line in pipeprof("data", "list").out.splitlines()[2:]] == names
    listed = json.loads(pipeprof("data", "list", "--json").out)["entries"]
    assert [(entry["name"], entry["kind"], entry["bytes"]) for entry in listed] == [(n, n[:3], 4000) for n in names]
    for arguments in ((), ("--all", "npy"), ("csv",), ("nyp",), ("",)):
        done = pipeprof("data", "rm", *arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert len(list_entries(tmp_path)) == 3
    assert pipeprof("data", "rm", names[0], "npy").code == 0
    assert [entry.name for entry in list_entries(tmp_path)] == [names[1]]
    assert pipeprof("data", "rm", "--all").code == 0
    assert list_entries(tmp_path) == []
