"""What of the tree of a ref may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.profiles.git.calls import absolute_path, find_repository, printable, repository_at, repository_root
from pipeprof.profiles.git.refs import RefTarget, parse_ref
from pipeprof.profiles.git.tree import RefTree, may_match


@pytest.fixture
def tree(tmp_path: Path) -> RefTree:
    folder = tmp_path / "trees" / "work"
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / "data").symlink_to(tmp_path)
    (folder / "again").symlink_to("specs/data")
    (folder / "loop").symlink_to("loop")
    return RefTree(
        "git:main",
        folder,
        tmp_path / "work",
        "0" * 40,
        {"specs/data": "is a link out of the tree, to /data"},
        {"sub": "is a submodule", "x.bin": "y"},
    )


@pytest.mark.parametrize("name", ["specs/data/x", "again/x", "specs/../again/x"])
def test_a_link_out_of_the_tree_is_for_data(name: str, tree: RefTree):
    refusal = tree.refusal(tree.folder / name, data=False)
    assert refusal == "specs/data at git:main is a link out of the tree, to /data: only data is read there"
    assert tree.refusal(tree.folder / name, data=True) is None


@pytest.mark.parametrize("name", ["sub", "sub/a/b", "specs/../sub/a", "x.bin"])
def test_what_the_tree_has_not_is_not_read(name: str, tree: RefTree):
    assert tree.refusal(tree.folder / name, data=True) is not None


@pytest.mark.parametrize("name", ["specs/a.yaml", "submarine", "loop", "../other"])
def test_other_files_are_read(name: str, tree: RefTree):
    assert tree.refusal(tree.folder / name, data=False) is None


def test_reasons_are_those_of_the_files_that_a_message_names(tree: RefTree):
    assert tree.reasons("sub/x.txt: no such file") == ["sub at git:main is a submodule"]
    assert tree.reasons("other: no such file") == []


@pytest.mark.parametrize(
    ("pattern", "path", "may"),
    [
        ("img/*.jpg", "img/a.jpg", True),
        ("img/*.jpg", "img", True),
        ("img/*.jpg", "img/a.png", False),
        ("**/*.jpg", "a/b/c.jpg", True),
        ("**/*.jpg", "a", True),
        ("img/**", "img/a/b", True),
        ("img/a.jpg", "img/a.jpg/b", False),
    ],
)
def test_a_glob_that_may_stand_for_a_path(pattern: str, path: str, may: bool):
    assert may_match(Path(pattern).parts, Path(path).parts) is may


def test_a_ref_with_a_path():
    assert parse_ref("git:main:a.yaml") == RefTarget("main", "a.yaml")
    assert parse_ref("a.yaml") is None


def make_git_dir(folder: Path) -> None:
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")


def test_only_what_is_named_git_is_a_repository(tmp_path: Path):
    make_git_dir(tmp_path / "work" / "specs")
    make_git_dir(tmp_path / "work" / ".git")
    found = find_repository(tmp_path / "work" / "specs", {})
    assert found is not None
    assert found.root == tmp_path / "work"
    assert repository_root(tmp_path / "work" / "specs" / "refs") == tmp_path / "work"


def test_a_file_names_the_folder_of_a_linked_work_tree(tmp_path: Path):
    make_git_dir(tmp_path / "main" / ".git")
    linked = tmp_path / "main" / ".git" / "worktrees" / "x"
    linked.mkdir(parents=True)
    (linked / "HEAD").write_text("ref: refs/heads/x\n")
    (linked / "commondir").write_text("../..\n")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / ".git").write_text(f"gitdir: {linked}\n")
    found = repository_at(tmp_path / "x")
    assert found is not None
    assert (found.git_dir, found.common_dir) == (linked, tmp_path / "main" / ".git")


@pytest.mark.parametrize(
    "text", ["", "gitdir: ", "gitdir: nowhere", "x" * 5000, "gitdir: a\0b", "gitdir: " + "../" * 900]
)
def test_a_file_that_names_nothing_is_no_repository(text: str, tmp_path: Path):
    (tmp_path / ".git").write_text(text)
    assert repository_at(tmp_path) is None


def test_a_ceiling_ends_the_walk(tmp_path: Path):
    make_git_dir(tmp_path / ".git")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_repository(tmp_path / "a" / "b", {"GIT_CEILING_DIRECTORIES": str(tmp_path)}) is None
    assert find_repository(tmp_path / "a" / "b", {"GIT_CEILING_DIRECTORIES": "/other"}) is not None


def test_the_path_keeps_absolute_folders():
    assert absolute_path(":.:bin:/usr/bin::/bin") == "/usr/bin:/bin"


def test_a_text_in_one_line():
    assert printable("a\x1b[31m\nb\u202ec") == "a [31m b c"
