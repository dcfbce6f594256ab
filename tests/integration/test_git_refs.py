"""Trees of git refs."""

import subprocess

import pytest

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.judge.git_refs import RefTarget, check_out, is_dirty, parse_ref


def git(folder, *arguments):
    user = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *user, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "work"
    (root / "specs").mkdir(parents=True)
    (root / "specs" / "a.yaml").write_text("one")
    (root / "code.py").write_text("VALUE = 1")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    (root / "specs" / "a.yaml").write_text("two")
    (root / "specs" / "photos").mkdir()
    (root / "specs" / "photos" / "1.jpg").write_text("data")
    (root / "specs" / "new.py").write_text("VALUE = 2")
    return root


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("git:main", RefTarget("main", None)),
        ("git:v1.2:a/b.yaml", RefTarget("v1.2", "a/b.yaml")),
        ("git:HEAD~1:train.py:make", RefTarget("HEAD~1", "train.py:make")),
        ("spec.yaml", None),
    ],
)
def test_refs_are_read(text, found):
    assert parse_ref(text) == found


def test_the_tree_of_a_ref_has_its_code_and_the_data_of_the_work_tree(repository, tmp_path):
    into = tmp_path / "ref"
    into.mkdir()
    tree = check_out("HEAD", repository / "specs" / "a.yaml", into)
    assert (into / "specs" / "a.yaml").read_text() == "one"
    assert (into / "specs" / "photos" / "1.jpg").read_text() == "data"
    assert not (into / "specs" / "new.py").exists()
    assert tree.work_tree == repository
    assert len(tree.commit) == 40
    assert (repository / "specs" / "a.yaml").read_text() == "two"


def test_a_ref_that_does_not_exist_is_named(repository, tmp_path):
    with pytest.raises(ProfileError, match="git:nowhere: no such branch, tag or commit"):
        check_out("nowhere", repository, tmp_path)


def test_outside_of_git_there_is_no_ref(tmp_path):
    with pytest.raises(ProfileError, match="is in no git repository"):
        check_out("main", tmp_path, tmp_path)


def test_a_dirty_work_tree_is_seen(repository, tmp_path):
    assert is_dirty(repository / "code.py") is True
    git(repository, "commit", "-qam", "second")
    assert is_dirty(repository / "code.py") is False
    assert is_dirty(tmp_path) is None
