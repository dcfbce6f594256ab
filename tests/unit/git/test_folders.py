"""Temporary folders of trees: those of killed commands go, those of others stay."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from pipeprof.profiles.git import calls
from pipeprof.profiles.git.calls import TREES, folder_for_trees


@pytest.fixture
def abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a killed command leaves: a tree with a link to the user's data."""
    monkeypatch.setattr(calls, "NEW_SECONDS", -1.0)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "kept.bin").write_bytes(b"data")
    folder = tmp_path / f"{TREES}abandoned"
    folder.mkdir()
    (folder / calls.MARK).touch()
    (folder / "spec.yaml").write_text("version: 1\n")
    (folder / "data").symlink_to(tmp_path / "data")
    return folder


def test_the_folder_of_a_killed_command_is_removed_and_the_data_it_links_to_stays(abandoned):
    with folder_for_trees(abandoned.parent) as folder:
        assert not abandoned.exists()
        assert folder.is_dir()
    assert (abandoned.parent / "data" / "kept.bin").read_bytes() == b"data"
    assert not folder.exists()


def test_the_folder_of_a_command_that_runs_stays(abandoned):
    with folder_for_trees(abandoned.parent) as one, folder_for_trees(abandoned.parent) as other:
        assert one != other
        assert one.is_dir()
        assert other.is_dir()


def test_a_folder_that_was_just_made_stays(abandoned, monkeypatch):
    monkeypatch.setattr(calls, "NEW_SECONDS", 60.0)
    with folder_for_trees(abandoned.parent):
        assert abandoned.is_dir()


def test_the_folder_of_another_user_stays(abandoned, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: abandoned.stat().st_uid + 1)
    with folder_for_trees(abandoned.parent):
        assert abandoned.is_dir()


def test_a_folder_of_the_users_with_such_a_name_stays(abandoned):
    (abandoned / calls.MARK).unlink()
    with folder_for_trees(abandoned.parent):
        assert (abandoned / "spec.yaml").exists()


def test_a_link_is_not_followed(abandoned):
    link = abandoned.parent / f"{TREES}link"
    link.symlink_to(abandoned.parent / "data")
    with folder_for_trees(abandoned.parent):
        assert (abandoned.parent / "data" / "kept.bin").exists()


def test_where_there_are_no_locks_nothing_is_removed(abandoned, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with folder_for_trees(abandoned.parent) as folder:
        assert folder.is_dir()
        assert abandoned.is_dir()
