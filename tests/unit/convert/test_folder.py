"""The user's folder: what may be in it, and what another run has left."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.data.locks import file_lock
from pipeprof.profiles.convert import folder as folders
from pipeprof.profiles.convert.folder import (
    DATA,
    DESCRIPTION,
    ConvertTarget,
    FolderError,
    check_folder,
    complete,
    partial_folder,
)

LEFT = f".pipeprof-partial-{folders._kernel()}-1"


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
        (folder / LEFT).mkdir()
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
    left, running = tmp_path / LEFT, tmp_path / LEFT.replace("1", "2")
    for folder in (left, running):
        folder.mkdir()
        (folder / "part").touch()
    # The lock of a killed process stays as a file.
    (tmp_path / f"{LEFT}.lock").touch()
    with file_lock(tmp_path / f"{running.name}.lock"), partial_folder(ConvertTarget(tmp_path)):
        assert not left.exists()
        assert not (tmp_path / f"{LEFT}.lock").exists()
        assert running.exists()


def test_what_another_machine_writes_into_a_shared_folder_stays_and_is_said(tmp_path: Path) -> None:
    """Its lock is not seen here."""
    target, other = ConvertTarget(tmp_path), tmp_path / ".pipeprof-partial-0123456789ab-1"
    other.mkdir()
    (other / "part").touch()
    with partial_folder(target):
        assert (other / "part").exists()
    with pytest.raises(FolderError, match=r"another pipeprof writes to .*, or was killed on another machine"):
        check_folder(target)


def test_a_running_conversion_is_said(tmp_path: Path) -> None:
    target = ConvertTarget(tmp_path)
    with partial_folder(target), pytest.raises(FolderError, match="another pipeprof writes to"):
        check_folder(target)
    check_folder(target)


@pytest.mark.parametrize("moves", range(4))
@pytest.mark.parametrize("older", [False, True])
def test_force_takes_the_folder_after_a_kill_between_any_two_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int, older: bool
) -> None:
    """Neither the old nor the new data are taken for the user's own."""
    target = ConvertTarget(converted(tmp_path / "fast") if older else tmp_path / "fast", force=True)
    left = moves

    def moving(move: Any) -> Any:
        def counted(path: Path, to: Path) -> Path:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return move(path, to)

        return counted

    with contextlib.suppress(KeyboardInterrupt), partial_folder(target) as partial:
        partial.mkdir()
        with monkeypatch.context() as killed:
            for name in ("rename", "replace"):
                killed.setattr(Path, name, moving(getattr(Path, name)))
            complete(target, partial, {})
    check_folder(target)
