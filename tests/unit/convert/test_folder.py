"""The user's folder: what may be in it, and what another run has left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeprof.profiles.convert.folder import (
    DATA,
    DESCRIPTION,
    ConvertTarget,
    FolderError,
    check_folder,
    complete,
    partial_folder,
)


def converted(folder: Path) -> Path:
    (folder / DATA).mkdir(parents=True)
    (folder / DATA / "old").write_text("old")
    (folder / DESCRIPTION).write_text("{}")
    return folder


@pytest.mark.parametrize("make", ["nothing", "empty", "left over"])
def test_a_new_or_empty_folder_will_do(tmp_path: Path, make: str) -> None:
    folder = tmp_path / "a" / "b"
    if make != "nothing":
        folder.mkdir(parents=True)
    if make == "left over":
        (folder / ".pipeprof-partial-999999999").mkdir()
    check_folder(ConvertTarget(folder))


def test_a_folder_with_something_in_it_is_refused_also_with_force(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("")
    for force in (False, True):
        with pytest.raises(FolderError, match=r"not empty \(photo\.jpg is in it\)"):
            check_folder(ConvertTarget(tmp_path, force))


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(FolderError, match="is a file"):
        check_folder(ConvertTarget(tmp_path / "a"))


def test_converted_data_are_replaced_with_force_alone(tmp_path: Path) -> None:
    folder = converted(tmp_path / "fast")
    with pytest.raises(FolderError, match="--force replaces them"):
        check_folder(ConvertTarget(folder))
    target = ConvertTarget(folder, force=True)
    check_folder(target)
    with partial_folder(target) as partial:
        partial.mkdir()
        (partial / "new").write_text("new")
        assert (folder / DATA / "old").exists()
        complete(target, partial, {})
    assert [path.name for path in (folder / DATA).iterdir()] == ["new"]
    assert sorted(path.name for path in folder.iterdir()) == [DESCRIPTION, DATA]


def test_what_pipeprof_did_not_write_is_not_replaced(tmp_path: Path) -> None:
    folder = converted(tmp_path / "fast")
    (folder / DESCRIPTION).unlink()
    with pytest.raises(FolderError, match="was not written by pipeprof"):
        check_folder(ConvertTarget(folder, force=True))


def test_older_data_stay_where_the_new_ones_fail(tmp_path: Path) -> None:
    target = ConvertTarget(converted(tmp_path / "fast"), force=True)
    with partial_folder(target) as partial:
        partial.mkdir()
    assert (target.data / "old").read_text() == "old"


def test_what_a_killed_run_left_is_removed_and_that_of_a_running_one_stays(tmp_path: Path) -> None:
    left, other = tmp_path / ".pipeprof-partial-999999999", tmp_path / f".pipeprof-partial-{os.getppid()}"
    left.mkdir()
    other.mkdir()
    with partial_folder(ConvertTarget(tmp_path)):
        assert not left.exists()
        assert other.exists()
