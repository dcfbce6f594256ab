"""The commit of a work tree, read from git's files."""

import os
from pathlib import Path

import pytest

from pipeprof.profiles.git.calls import checked_out

ONE, OTHER = "1" * 40, "2" * 40


@pytest.fixture
def git(tmp_path: Path) -> Path:
    """The git directory of an empty repository."""
    folder = tmp_path / "work" / ".git"
    for name in ("objects", "refs/heads"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder.parent / "specs").mkdir()
    return folder


def commit(git: Path) -> str | None:
    return checked_out(git.parent / "specs" / "a.yaml", {})


def test_a_branch_names_the_commit(git):
    assert commit(git) is None
    (git / "packed-refs").write_text(f"# pack-refs with: peeled\n{OTHER} refs/heads/main2\n{OTHER} refs/heads/main\n")
    assert commit(git) == OTHER
    (git / "refs" / "heads" / "main").write_text(f"{ONE}\n")
    assert commit(git) == ONE


def test_a_detached_head_is_the_commit(git):
    (git / "HEAD").write_text(f"{ONE}\n")
    assert commit(git) == ONE


def test_a_linked_work_tree_has_a_head_of_its_own(git):
    own, work = git / "worktrees" / "b", git.parent.parent / "b"
    own.mkdir(parents=True)
    work.mkdir()
    (work / ".git").write_text(f"gitdir: {own}\n")
    (own / "commondir").write_text("../..\n")
    (own / "HEAD").write_text("ref: refs/heads/b\n")
    (git / "refs" / "heads" / "b").write_text(OTHER)
    assert checked_out(work / "a.yaml", {}) == OTHER


@pytest.mark.parametrize("head", ["ref: refs/../../../secret\n", "ref: /etc/hostname\n", "ref: config\n", "x\n", ""])
def test_what_is_no_ref_names_no_commit(git, head):
    (git.parent.parent / "secret").write_text(ONE)
    (git / "config").write_text(ONE)
    (git / "HEAD").write_text(head)
    assert commit(git) is None


def test_outside_of_a_repository_there_is_none(tmp_path):
    assert checked_out(tmp_path / "a.yaml", {}) is None


@pytest.mark.parametrize("name", ["packed-refs", "refs/heads/main", "HEAD"])
def test_a_pipe_or_a_device_is_not_read(git, name):
    path = git / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert commit(git) is None
    path.unlink()
    path.symlink_to("/dev/zero")
    assert commit(git) is None
