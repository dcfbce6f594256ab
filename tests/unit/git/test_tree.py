"""What of the tree of a ref may be read."""

from pathlib import Path

import pytest

from pipeprof.profiles.git.calls import absolute_path, find_repository, printable, repository_at, repository_root
from pipeprof.profiles.git.tree import RefTree, may_match


@pytest.fixture
def tree(tmp_path: Path) -> RefTree:
    folder = tmp_path / "trees" / "work"
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / "data").symlink_to(tmp_path)
    (folder / "again").symlink_to("specs/data")
    (folder / "loop").symlink_to("loop")
    links, missing = {"specs/data": "is a link out of the tree, to /data"}, {"sub": "is a submodule", "x.bin": "y"}
    return RefTree("git:main", folder, tmp_path / "work", "0" * 40, links, missing)


@pytest.mark.parametrize("name", ["specs/data/x", "again/x", "specs/../again/x"])
def test_a_link_out_of_the_tree_is_for_data(name, tree):
    refusal = tree.refusal(tree.folder / name, data=False)
    assert refusal == "specs/data at git:main is a link out of the tree, to /data: only data is read there"
    assert tree.refusal(tree.folder / name, data=True) is None


@pytest.mark.parametrize("name", ["sub", "sub/a/b", "specs/../sub/a", "x.bin"])
def test_what_the_tree_has_not_is_not_read(name, tree):
    assert tree.refusal(tree.folder / name, data=True) is not None


@pytest.mark.parametrize("name", ["specs/a.yaml", "submarine", "loop", "../other"])
def test_other_files_are_read(name, tree):
    assert tree.refusal(tree.folder / name, data=False) is None


def test_reasons_are_those_of_the_files_that_a_message_names(tree):
    assert tree.reasons("sub/x.txt: no such file") == ["sub at git:main is a submodule"]
    assert tree.reasons("other: no such file") == []


GLOBS = {
    "img/*.jpg": (["img/a.jpg", "img"], "img/a.png"),
    "**/*.jpg": (["a/b/c.jpg", "a"], None),
    "img/**": (["img/a/b"], None),
    "img/a.jpg": ([], "img/a.jpg/b"),
}


@pytest.mark.parametrize("pattern", GLOBS)
def test_a_glob_that_may_stand_for_a_path(pattern):
    may, may_not = GLOBS[pattern]
    assert all(may_match(Path(pattern).parts, Path(path).parts) for path in may)
    assert may_not is None or not may_match(Path(pattern).parts, Path(may_not).parts)


def make_git_dir(folder: Path) -> None:
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")


def test_only_what_is_named_git_is_a_repository(tmp_path):
    make_git_dir(tmp_path / "work" / "specs")
    make_git_dir(tmp_path / "work" / ".git")
    found = find_repository(tmp_path / "work" / "specs", {})
    assert found.root == tmp_path / "work"
    assert repository_root(tmp_path / "work" / "specs" / "refs") == tmp_path / "work"


@pytest.mark.parametrize(
    "text", ["", "gitdir: ", "gitdir: nowhere", "x" * 5000, "gitdir: a\0b", "gitdir: " + "../" * 900]
)
def test_a_file_that_names_nothing_is_no_repository(text, tmp_path):
    (tmp_path / ".git").write_text(text)
    assert repository_at(tmp_path) is None


def test_a_ceiling_ends_the_walk(tmp_path):
    make_git_dir(tmp_path / ".git")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_repository(tmp_path / "a" / "b", {"GIT_CEILING_DIRECTORIES": str(tmp_path)}) is None
    assert find_repository(tmp_path / "a" / "b", {"GIT_CEILING_DIRECTORIES": "/other"}) is not None


def test_the_path_keeps_absolute_folders():
    assert absolute_path(":.:bin:/usr/bin::/bin") == "/usr/bin:/bin"


def test_a_text_in_one_line():
    assert printable("a\x1b[31m\nb\u202ec") == "a [31m b c"
