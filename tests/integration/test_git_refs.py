"""Trees of git refs: what is in them, and that no code of a checkout runs on the way."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from integration.repositories import begin, commit_all, embedded_repository, git

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.git import calls as git_module
from pipeprof.profiles.git import tree as tree_module
from pipeprof.profiles.git.calls import TREES, git_calls
from pipeprof.profiles.git.refs import commit_of
from pipeprof.profiles.git.tree import RefTree, check_out, is_dirty

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def planted(tmp_path):
    """A script as a checkout could hold it: running it leaves a file."""
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\nid > {tmp_path}/RAN\ncat\n")
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    root = tmp_path_factory.mktemp("committed")
    (root / "specs").mkdir()
    (root / "specs" / "a.yaml").write_text("one")
    return begin(root, code_py="VALUE = 1")


@pytest.fixture
def repository(committed, tmp_path):
    root = shutil.copytree(committed, tmp_path / "work")
    (root / "specs" / "a.yaml").write_text("two")
    (root / "specs" / "photos").mkdir()
    (root / "specs" / "photos" / "1.jpg").write_text("data")
    (root / "specs" / "new.py").write_text("VALUE = 2")
    return root


@pytest.fixture
def calls():
    with git_calls() as calls:
        yield calls


@pytest.fixture
def tree_of(calls):
    def tree(root, ref="HEAD") -> RefTree:
        return check_out(calls, ref, root, calls.folder / "a")

    return tree


def test_the_tree_of_a_ref_has_its_code_and_the_data_of_the_work_tree(repository, calls):
    tree = check_out(calls, "HEAD", repository / "specs" / "a.yaml", calls.folder / "a")
    assert (tree.folder / "specs" / "a.yaml").read_text() == "one"
    assert (tree.folder / "specs" / "photos" / "1.jpg").read_text() == "data"
    assert not (tree.folder / "specs" / "new.py").exists()
    assert tree.work_tree == repository
    assert len(tree.commit) == 40
    assert (repository / "specs" / "a.yaml").read_text() == "two"


def test_three_dots_name_the_commit_that_both_have(repository):
    def at(ref):
        # Each command looks at the repository anew.
        with git_calls() as calls:
            return (check_out(calls, ref, repository, calls.folder / "a").folder / "specs" / "a.yaml").read_text()

    git(repository, "branch", "other")
    commit_all(repository, "mine")
    git(repository, "checkout", "-q", "other")
    (repository / "specs" / "a.yaml").write_text("theirs")
    commit_all(repository, "theirs")
    git(repository, "checkout", "-q", "-")
    assert (at("other"), at("other...")) == ("theirs", "one")
    git(repository, "checkout", "-q", "--orphan", "alone")
    git(repository, "commit", "-q", "--allow-empty", "-m", "alone")
    with pytest.raises(ProfileError, match=r"git:other\.\.\.: no commit that HEAD and other share"):
        at("other...")
    with pytest.raises(ProfileError, match="git:nowhere: no such branch"):
        at("nowhere...")


@pytest.mark.parametrize(
    ("here", "reads"),
    [
        (".", {"code.py": "VALUE = 1", "specs/a.yaml": "one"}),
        ("specs", {"../code.py": "VALUE = 1", "a.yaml": "one", "photos/1.jpg": "data"}),
        ("specs/photos", {"../../code.py": "VALUE = 1", "../a.yaml": "one", "1.jpg": "data"}),
        ("new", {"../code.py": "VALUE = 1"}),
        ("..", {"work/code.py": "VALUE = 1", "beside.txt": "beside"}),
        ("../home", {}),
    ],
)
def test_the_current_folder_has_its_place_in_the_tree(here, reads, repository, calls, monkeypatch):
    (repository / "code.py").write_text("VALUE = 3")
    (repository.parent / "beside.txt").write_text("beside")
    (repository / "new").mkdir()
    (repository / "new" / "b.yaml").write_text("new")
    git(repository, "add", "new")
    monkeypatch.chdir(repository / here)
    tree = check_out(calls, "HEAD", repository, calls.folder / "a")
    place = tree.current_folder()
    assert {name: (place.resolve() / name).read_text() for name in reads} == reads
    assert not (place / "b.yaml").exists()
    assert (place == Path.cwd()) is (not reads)
    assert (repository / "specs" / "photos" / "1.jpg").read_text() == "data"


def commit_named(name, repository):
    # Each command looks at the repository anew.
    with git_calls() as calls:
        view = calls.find(repository)
        return commit_of(calls, view, name)


@pytest.fixture
def two_commits(repository):
    """A branch `main`, that of a remote one commit behind, and a detached HEAD one commit ahead of both."""
    git(repository, "branch", "-m", "main")
    git(repository, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(repository, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    commit_all(repository, "second")
    git(repository, "checkout", "-q", "--detach")
    git(repository, "commit", "-q", "--allow-empty", "-m", "third")
    return repository


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("refs/tags/main", "main"),
        ("refs/tags/main", "main~1"),
        ("refs/tags/main", "main..."),
        ("refs/tags/origin/main", "origin/main"),
        ("refs/heads/origin/main", "origin/main"),
        ("refs/origin/main", "origin/main"),
        ("refs/tags/origin", "origin"),
    ],
)
def test_a_name_of_two_commits_is_refused_with_the_full_names(other, name, two_commits):
    git(two_commits, "update-ref", other, "HEAD")
    with pytest.raises(ProfileError, match=r"is ambiguous") as refused:
        commit_named(name, two_commits)
    full = [part.removeprefix("git:") for part in str(refused.value).split() if part.startswith("git:refs/")]
    assert other in full
    assert all(commit_named(one, two_commits) for one in full)


def test_a_tag_is_not_the_branch_of_a_remote_that_has_no_branch_here(two_commits):
    git(two_commits, "branch", "-D", "main")
    git(two_commits, "tag", "main")
    with pytest.raises(ProfileError, match=r"is ambiguous.*git:refs/remotes/origin/main"):
        commit_named("main", two_commits)


def test_a_ref_called_like_a_commit_is_not_taken_for_it(two_commits):
    first = git(two_commits, "rev-parse", "HEAD~1")
    git(two_commits, "tag", first[:8])
    with pytest.raises(ProfileError, match=r"is ambiguous"):
        commit_named(first[:8], two_commits)
    assert commit_named(first[:9], two_commits) == first


def test_a_name_of_one_commit_is_that_commit(two_commits):
    git(two_commits, "tag", "v1", "main")
    git(two_commits, "branch", "v1", "main")
    git(two_commits, "update-ref", "refs/tags/HEAD", "HEAD~2")
    assert commit_named("v1", two_commits) == git(two_commits, "rev-parse", "refs/heads/main")
    assert commit_named("HEAD", two_commits) == git(two_commits, "rev-parse", "@")
    assert commit_named("origin/main", two_commits) == git(two_commits, "rev-parse", "refs/remotes/origin/main")


def test_a_commit_is_not_replaced_by_another_one(two_commits):
    first, second = git(two_commits, "rev-parse", "main~1"), git(two_commits, "rev-parse", "main")
    git(two_commits, "replace", first, second)
    with git_calls() as calls:
        tree = check_out(calls, first, two_commits, calls.folder / "a")
        assert (tree.folder / "specs" / "a.yaml").read_text() == "one"


def test_outside_of_git_there_is_no_ref(tmp_path, tree_of):
    with pytest.raises(ProfileError, match="is in no git repository"):
        tree_of(tmp_path, "main")


def test_a_dirty_work_tree_is_seen(repository, tmp_path, calls):
    assert is_dirty(calls, repository / "code.py") is True
    git(repository, "commit", "-qam", "second")
    assert is_dirty(calls, repository / "code.py") is False
    assert is_dirty(calls, tmp_path) is None


# What a checkout can hold, and what must not run.


def move_the_repository_away(root):
    """What stays is a file .git, as a work tree and a submodule have it, that leads to a folder of the tree."""
    shutil.move(root / ".git", root / "store")


def lose_a_file(root):
    """It is to come from the remote of the partial clone."""
    blob = git(root, "rev-parse", "HEAD:code.py")
    (root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()


@dataclass(frozen=True)
class Plant:
    """What a checkout holds; in its texts are the paths of the checkout and of a script in it.

    Attributes:
        settings: Of the repository.
        files: By their names.
        scripts: Copies of the script.
        user: Settings of the user.
        first: What happens before the files are written.
        refused: Why no tree is made.
    """

    settings: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()
    user: dict[str, str] = field(default_factory=dict)
    first: Callable[[Path], None] = lambda _root: None
    refused: str | None = None

    def put(self, root: Path, script: Path) -> None:
        def filled(text: str) -> str:
            return text.format(root=root, script=script, ran=root.parent / "RAN")

        for name, value in self.settings.items():
            git(root, "config", filled(name), filled(value))
        self.first(root)
        for name, text in {"specs/a.yaml": "three", **self.files}.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(filled(text))
        for name in self.scripts:
            (root / name).parent.mkdir(exist_ok=True)
            shutil.copy(script, root / name)
        for name, value in self.user.items():
            git(root, "config", "--global", name, filled(value))


MONITOR = "[core]\n fsmonitor = {script}\n"
EMBEDDED = embedded_repository("{script}")
PLANTS = {
    "an embedded repository": Plant(files=EMBEDDED),
    "a monitor": Plant({"core.fsmonitor": "{script}"}),
    "hooks": Plant(
        scripts=tuple(
            f".git/hooks/{name}"
            for name in ("post-index-change", "post-checkout", "reference-transaction", "pre-auto-gc")
        )
    ),
    "a path of hooks": Plant({"core.hooksPath": "hooks"}, scripts=("hooks/post-index-change",)),
    "filters": Plant(
        {"filter.x.clean": "{script}", "filter.x.smudge": "{script}", "filter.y.process": "{script}"},
        {".gitattributes": "*.yaml filter=x\n*.py filter=y\n"},
    ),
    "attributes of the repository": Plant(
        {"filter.x.clean": "{script}"}, {".git/info/attributes": "* filter=x\n"}
    ),
    "an included file": Plant(
        {"include.path": "../git.cfg"},
        {"git.cfg": f'{MONITOR}[filter "x"]\n clean = {{script}}\n', ".gitattributes": "* filter=x\n"},
    ),
    "a file included for a path": Plant(
        {"includeIf.gitdir:{root}/.path": "{root}/git.cfg"}, {"git.cfg": MONITOR}
    ),
    "settings of the work tree": Plant({"extensions.worktreeConfig": "true"}, {".git/config.worktree": MONITOR}),
    "drivers": Plant(
        dict.fromkeys(
            (
                "diff.external", "diff.x.textconv", "merge.x.driver", "core.pager", "core.sshCommand",
                "core.alternateRefsCommand",
            ),
            "{script}",
        )
        | {f"alias.{name}": "!{script}" for name in ("status", "rev-parse", "ls-files", "read-tree")},
        {".gitattributes": "* diff=x merge=x\n"},
    ),
    "a pointer to a planted repository": Plant(
        files={".git": "gitdir: store\n", "store/config": "[core]\n bare = false\n fsmonitor = {script}\n"},
        scripts=("store/hooks/post-index-change",),
        first=move_the_repository_away,
    ),
    "a pointer in a folder": Plant(
        files={**EMBEDDED, "specs/.git": "gitdir: .\n"}, refused="no such branch, tag or commit"
    ),
    "a partial clone whose remote is a command": Plant(
        {
            "core.repositoryformatversion": "1", "extensions.partialClone": "origin",
            "remote.origin.url": "ext::{script}", "remote.origin.promisor": "true", "protocol.ext.allow": "always",
        },
        first=lose_a_file,
        refused="this clone is partial",
    ),
    "filters of a file that the user includes": Plant(
        files={
            "git.cfg": '[filter "x"]\n clean = {script}\n smudge = {script}\n', ".gitattributes": "*.yaml filter=x\n"
        },
        user={"include.path": "{root}/git.cfg"},
    ),
    "traces of a file that the user includes": Plant(
        files={"git.cfg": "[trace2]\n eventTarget = {ran}\n normalTarget = {ran}\n"},
        user={"include.path": "{root}/git.cfg"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_nothing_that_a_checkout_holds_runs(name, repository, planted, calls, tmp_path):
    commit_all(repository)
    PLANTS[name].put(repository, planted)
    near = repository / "specs" / "a.yaml"
    for ref in ("HEAD", "HEAD~1"):
        if PLANTS[name].refused:
            with pytest.raises(ProfileError, match=PLANTS[name].refused):
                check_out(calls, ref, near, calls.folder / f"at-{ref}")
        else:
            check_out(calls, ref, near, calls.folder / f"at-{ref}")
    is_dirty(calls, near)
    assert not (tmp_path / "RAN").exists()


@pytest.mark.parametrize("name", ["a monitor", "an included file"])
def test_the_plants_run_under_plain_git(name, repository, planted, tmp_path):
    PLANTS[name].put(repository, planted)
    subprocess.run(["git", "status"], cwd=repository, capture_output=True)
    assert (tmp_path / "RAN").exists()


def test_a_submodule_is_looked_into_without_its_configuration(repository, planted, calls, tmp_path):
    inner = begin(tmp_path / "inner", lib_txt="one")
    git(repository, "submodule", "add", "-q", str(inner), "sub")
    commit_all(repository)
    git(repository / "sub", "config", "core.fsmonitor", str(planted))
    assert is_dirty(calls, repository / "code.py") is False
    (repository / "sub" / "lib.txt").write_text("two")
    assert is_dirty(calls, repository / "code.py") is True
    tree = check_out(calls, "HEAD", repository, calls.folder / "a")
    assert (tree.folder / "sub" / "lib.txt").read_text() == "one"
    assert not (tmp_path / "RAN").exists()


def test_a_submodule_that_is_not_here_is_named(repository, tmp_path, calls):
    inner = begin(tmp_path / "inner", lib_txt="one")
    git(repository, "submodule", "add", "-q", str(inner), "sub")
    commit_all(repository)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repository), "clone")
    tree = check_out(calls, "HEAD", clone, calls.folder / "a")
    assert "git submodule update --init sub" in (tree.refusal(tree.folder / "sub" / "lib.txt", data=True) or "")


def test_a_program_named_git_in_the_checkout_does_not_run(repository, planted, calls, tmp_path, monkeypatch):
    shutil.copy(planted, repository / "git")
    monkeypatch.chdir(repository)
    monkeypatch.setenv("PATH", f":.:{os.environ['PATH']}")
    is_dirty(calls, repository)
    assert not (tmp_path / "RAN").exists()


# Filters: the user's own do not run either.


@pytest.mark.parametrize("kind", ["smudge", "process", "clean", None])
def test_a_file_that_needs_a_filter_is_withheld(kind, repository, planted, tree_of, tmp_path):
    if kind is not None:
        git(repository, "config", "--global", f"filter.x.{kind}", str(planted))
    (repository / ".gitattributes").write_text("*.yaml filter=x\n*.py -filter\n")
    commit_all(repository)
    (tmp_path / "RAN").unlink(missing_ok=True)
    tree = tree_of(repository)
    name = "specs/a.yaml"
    assert tree.withheld == {name: "goes through the filter x, which is not run"}
    assert not (tree.folder / name).exists()
    assert (tree.folder / "code.py").read_text() == "VALUE = 1"
    assert not (tmp_path / "RAN").exists()


def test_the_attributes_that_count_are_those_of_the_ref(repository, home, tree_of):
    commit_all(repository)
    (home / ".config" / "git").mkdir(parents=True)
    (home / ".config" / "git" / "attributes").write_text("*.py filter=x\n")
    (repository / ".gitattributes").write_text("*.yaml filter=x\n")
    git(repository, "add", ".gitattributes")
    assert tree_of(repository).withheld == {}


def test_bytes_are_those_that_are_stored(repository, calls):
    (repository / ".gitattributes").write_text("*.yaml text eol=crlf ident\ncode.py working-tree-encoding=UTF-16\n")
    (repository / "specs" / "a.yaml").write_bytes(b"$Id$\r\nb\r\n")
    (repository / "specs" / "a.yaml").chmod(0o755)
    (repository / "code.py").write_bytes("VALUE = 1".encode("utf-16"))
    commit_all(repository)
    tree = check_out(calls, "HEAD", repository, calls.folder / "a")
    assert (tree.folder / "specs" / "a.yaml").read_bytes() == b"$Id$\nb\n"
    assert os.access(tree.folder / "specs" / "a.yaml", os.X_OK)
    assert not os.access(tree.folder / "code.py", os.X_OK)
    assert (tree.folder / "code.py").read_bytes() == b"VALUE = 1"


FILTERS = [
    "tools/evil.sh",
    "sh evil",
    "sh [e]vil",
    "python3 -m evil",
    "python3 -Em evil",
    "PYTHONPATH=. python3 -c 'import evil'",
    "$PWD/evil",
    "sh {root}/evil",
    "make",
    "sh %f",
    "BASH_ENV=evil bash /dev/null",
    "eval 'sh evil'",
    "echo evi l | tr -d ' ' | xargs sh",
]


def test_filters_run_where_no_file_of_the_checkout_is(repository, planted, calls, tmp_path):
    (repository / "tools").mkdir()
    shutil.copy(planted, repository / "tools" / "evil.sh")
    shutil.copy(planted, repository / "evil")
    (repository / "evil.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'w')")
    (repository / "Makefile").write_text(f"all:\n\ttouch {tmp_path / 'RAN'}\n")
    files = [repository / f"{number}.yaml" for number in range(len(FILTERS))]
    for file in files:
        shutil.copy(planted, file)
    (repository / ".gitattributes").write_text("".join(f"{file.name} filter=x{file.stem}\n" for file in files))
    commit_all(repository)
    for file, command in zip(files, FILTERS, strict=True):
        file.write_text("new")
        for kind in ("clean", "smudge"):
            git(repository, "config", "--global", f"filter.x{file.stem}.{kind}", command.format(root=repository))
    check_out(calls, "HEAD", repository, calls.folder / "a")
    is_dirty(calls, repository)
    assert not (tmp_path / "RAN").exists()


def test_a_change_of_a_file_that_needs_a_filter_is_not_told(repository, calls):
    (repository / ".gitattributes").write_text("*.yaml filter=x\n")
    commit_all(repository)
    (repository / "specs" / "a.yaml").write_text("Three")
    assert is_dirty(calls, repository) is False
    (repository / "code.py").write_text("VALUE = 3")
    assert is_dirty(calls, repository) is True


# Trees that git would not have written.


def tree_object(root, *entries):
    """Store a tree as it is, and a commit with it; return the commit."""
    data = b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(found)) for mode, name, found in entries)
    tree = git(root, "hash-object", "-t", "tree", "--literally", "-w", "--stdin", given=data)
    return tree, git(root, "commit-tree", tree, "-m", "x")


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GIT", b"../../x", b""])
def test_a_path_that_leads_out_of_the_tree_is_refused(name, repository, calls, tmp_path):
    blob = git(repository, "rev-parse", "HEAD:code.py")
    inner, _ = tree_object(repository, (b"100644", b"x", blob))
    for entry in ((b"40000", name, inner), (b"100644", name, blob)):
        _, commit = tree_object(repository, entry)
        with pytest.raises(ProfileError, match=r"which leads out of it|cannot be read"):
            check_out(calls, commit, repository, calls.folder / entry[0].decode())
    assert {path.name for path in tmp_path.iterdir()} == {"home", "work"}


@pytest.mark.parametrize("below", [b"100644", b"120000"])
def test_nothing_is_written_through_a_link_of_the_same_tree(below, repository, calls, tmp_path):
    blob = git(repository, "rev-parse", "HEAD:code.py")
    link = git(repository, "hash-object", "-w", "--stdin", given=str(tmp_path / "out").encode())
    (tmp_path / "out").mkdir()
    inner, _ = tree_object(repository, (below, b"x", blob))
    _, commit = tree_object(repository, (b"120000", b"a", link), (b"40000", b"a", inner))
    with pytest.raises(ProfileError, match=r"cannot be written|behind a link"):
        check_out(calls, commit, repository, calls.folder / "a")
    assert list((tmp_path / "out").iterdir()) == []


# Links.


def test_a_link_that_leaves_the_tree_is_followed_only_where_the_work_tree_has_it(repository, tmp_path, calls):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "x.txt").write_text("data")
    (tmp_path / "datasets" / "helper.py").write_text("VALUE = 1")
    (repository / "data").symlink_to("../datasets")
    commit_all(repository)
    tree = check_out(calls, "HEAD", repository, calls.folder / "a")
    assert (tree.folder / "data" / "x.txt").read_text() == "data"
    assert not (tree.folder / "data" / "helper.py").exists()
    assert tree.refusal(tree.folder / "data" / "x.txt", data=True) is None
    assert "only data is read there" in (tree.refusal(tree.folder / "data" / "base.yaml", data=False) or "")
    (repository / "data").unlink()
    other = check_out(calls, "HEAD", repository, calls.folder / "b")
    assert not (other.folder / "data").is_symlink()
    assert "which the work tree does not have" in (other.refusal(other.folder / "data" / "x.txt", data=True) or "")


def test_nothing_is_planted_through_a_link_of_the_ref(repository, tmp_path, calls):
    outside = tmp_path / "shared"
    outside.mkdir()
    (repository / "data").symlink_to(outside)
    commit_all(repository)
    git(repository, "checkout", "-qb", "pr")
    git(repository, "rm", "-q", "--cached", "data")
    (repository / "data").unlink()
    (repository / "data").mkdir()
    (repository / "data" / "tracked").touch()
    commit_all(repository)
    (repository / "data" / "new.jpg").touch()
    check_out(calls, "main", repository, calls.folder / "a")
    assert list(outside.iterdir()) == []


def test_a_chain_of_links_is_followed_to_its_end(repository, tmp_path, calls):
    (tmp_path / "secret").write_text("secret")
    (repository / "b").symlink_to(tmp_path / "secret")
    (repository / "a").symlink_to("b")
    (repository / "inside").symlink_to("specs/a.yaml")
    commit_all(repository)
    for name in ("a", "b"):
        (repository / name).unlink()
    tree = check_out(calls, "HEAD", repository, calls.folder / "a")
    assert not (tree.folder / "a").exists()
    assert not (tree.folder / "b").exists()
    assert (tree.folder / "inside").read_text() == "two"


# Git LFS.


def lfs_repository(root, content=b"object"):
    name = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize {len(content)}\n"
    (root / "x.bin").write_text(pointer)
    (root / "plain.txt").write_text(pointer)
    (root / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    commit_all(root)
    return root / ".git" / "lfs" / "objects" / name[:2] / name[2:4] / name


@pytest.mark.parametrize("stored", [None, b"short", b"object"])
def test_a_pointer_of_lfs_is_data_where_its_object_is_stored(stored, repository, tree_of):
    place = lfs_repository(repository)
    if stored is not None:
        place.parent.mkdir(parents=True)
        place.write_bytes(stored)
    tree = tree_of(repository)
    assert (tree.folder / "plain.txt").read_text().startswith("version ")
    if stored == b"object":
        assert (tree.folder / "x.bin").read_bytes() == stored
    else:
        assert not (tree.folder / "x.bin").exists()
        assert "git lfs fetch" in (tree.refusal(tree.folder / "x.bin", data=True) or "")


def test_an_object_of_lfs_in_the_work_tree_is_no_change(repository, calls):
    lfs_repository(repository)
    (repository / "x.bin").write_bytes(b"object")
    assert is_dirty(calls, repository) is False
    (repository / "x.bin").write_bytes(b"change")
    assert is_dirty(calls, repository) is True


# Refs that are not there, work trees, and the environment.


@pytest.mark.parametrize(
    ("options", "ref", "message"),
    [
        (["--depth", "1"], "main~1", "fetch-depth: 0"),
        (["--depth", "1"], "other", "git fetch origin other"),
        (["--depth", "1"], "origin/other", "git fetch origin other:refs/remotes/origin/other"),
        (["--branch", "other"], "main", "origin/main is there: git:origin/main"),
        (["--branch", "other", "--single-branch"], "main", "git fetch origin main"),
        (["--branch", "other", "--origin", "fork"], "main", "fork/main is there: git:fork/main"),
        (["--branch", "other", "--origin", "fork", "--single-branch"], "main", "git fetch fork main"),
        (["--branch", "other", "--origin", "f;id", "--single-branch"], "main", "git fetch 'f;id' 'main:"),
    ],
)
def test_a_ref_that_a_clone_lacks_is_answered_with_the_line_that_gets_it(options, ref, message, repository, tmp_path):
    commit_all(repository)
    git(repository, "branch", "other")
    git(tmp_path, "clone", "-q", *options, f"file://{repository}", "clone")
    with git_calls() as calls, pytest.raises(ProfileError) as refused:
        check_out(calls, ref, tmp_path / "clone", calls.folder / "a")
    assert message in str(refused.value)


def test_refs_of_a_linked_work_tree_are_found(repository, calls, tmp_path):
    git(repository, "commit", "-qam", "second")
    git(repository, "tag", "v1")
    git(tmp_path, "clone", "-q", str(repository), "clone")
    clone = tmp_path / "clone"
    git(clone, "tag", "-f", "v1")
    git(clone, "branch", "pr")
    git(clone, "worktree", "add", "-q", "-b", "linked", "--track", "../linked", "origin/main")
    for number, ref in enumerate(("HEAD", "main", "HEAD@{0}", "v1", "origin/main", "@{upstream}", "pr")):
        tree = check_out(calls, ref, tmp_path / "linked", calls.folder / f"{number}")
        assert (tree.folder / "specs" / "a.yaml").read_text() == "two", ref
        assert tree.work_tree == tmp_path / "linked"


@pytest.mark.parametrize("kind", ["fifo", "folder", "huge", "words"])
def test_a_damaged_head_is_named_each_time(kind, repository, calls):
    head = repository / ".git" / "HEAD"
    head.unlink()
    if kind == "fifo":
        os.mkfifo(head)
    elif kind == "folder":
        head.mkdir()
    else:
        head.write_text("x" * 100_000 if kind == "huge" else "what")
    for _ in range(2):
        with pytest.raises(ProfileError, match="names neither a branch nor a commit"):
            calls.find(repository)
    assert is_dirty(calls, repository) is None


# Each of them would show by itself.
VARIABLES = [
    "GIT_DIR=.git GIT_INDEX_FILE=/nowhere GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.fsmonitor"
    " GIT_CONFIG_VALUE_0={planted} GIT_NAMESPACE=x GIT_LITERAL_PATHSPECS=1 GIT_PREFIX=specs/",
    "GIT_DIR=/nowhere GIT_WORK_TREE=/ GIT_CONFIG_PARAMETERS='core.fsmonitor={planted}'"
    " GIT_ALTERNATE_OBJECT_DIRECTORIES=/nowhere GIT_SHALLOW_FILE=/nowhere GIT_ATTR_SOURCE=x",
    "GIT_OBJECT_DIRECTORY=/nowhere GIT_EXTERNAL_DIFF={planted} GIT_PAGER={planted} GIT_SSH_COMMAND={planted}"
    " GIT_TRACE={trace} GIT_TRACE2_EVENT={trace} GIT_DEFAULT_HASH=sha256 GIT_CEILING_DIRECTORIES=/nowhere",
]


@pytest.mark.parametrize("variables", VARIABLES)
def test_variables_of_git_change_nothing(variables, repository, planted, tmp_path, monkeypatch):
    monkeypatch.chdir(repository / "specs")
    for variable in variables.split():
        name, _, value = variable.partition("=")
        monkeypatch.setenv(name, value.format(planted=planted, trace=tmp_path / "RAN"))
    with git_calls() as calls:
        assert (check_out(calls, "HEAD", repository, calls.folder / "a").folder / "code.py").exists()
        assert is_dirty(calls, repository) is True
    assert not (tmp_path / "RAN").exists()


def test_a_work_tree_that_the_environment_names(repository, tmp_path, monkeypatch):
    shutil.move(repository / ".git", tmp_path / "store")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    with git_calls() as calls:
        assert (check_out(calls, "HEAD", repository, calls.folder / "a").folder / "code.py").exists()


def test_another_users_repository_is_refused_until_it_is_trusted(repository, calls, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ProfileError, match=r"belongs to another user.*safe\.directory"):
        calls.find(repository)
    git(repository, "config", "--global", "--add", "safe.directory", str(repository))
    with git_calls() as trusting:
        assert trusting.find(repository) is not None


def test_a_git_that_is_too_old_is_refused(repository, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    old = tmp_path / "bin" / "git"
    old.write_text("#!/bin/sh\necho git version 2.25.1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with git_calls() as calls, pytest.raises(ProfileError, match=r"git version 2\.25\.1 is too old.*2\.32"):
        calls.find(repository)


@pytest.mark.parametrize("named", ["folder", "."])
def test_the_temporary_folder_may_be_in_the_work_tree(named, repository, monkeypatch):
    (repository / "folder").mkdir()
    monkeypatch.chdir(repository)
    monkeypatch.setattr(tempfile, "tempdir", named)
    # Linked with the code beside it left out: entry by entry.
    (repository / "folder" / "own.py").touch()
    (repository / "folder" / "1.jpg").touch()
    with git_calls() as calls:
        tree = check_out(calls, "HEAD", repository, calls.folder / "a")
        assert (tree.folder / "specs" / "a.yaml").read_text() == "one"
        assert (tree.folder / "folder" / "1.jpg").exists()
    assert not list(repository.rglob(f"{TREES}*"))


def test_without_a_temporary_folder_only_a_ref_is_out_of_reach(repository, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(repository / "nowhere"))
    with git_calls() as calls:
        assert is_dirty(calls, repository) is None
        with pytest.raises(ProfileError, match="TMPDIR"):
            check_out(calls, "HEAD", repository, Path("a"))


@pytest.mark.parametrize("name", ["packed-refs", "index", "objects/info/alternates", "shallow"])
def test_a_device_or_a_pipe_in_place_of_a_file_of_git_is_refused(name, repository, calls):
    path = repository / ".git" / name
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero")
    with pytest.raises(ProfileError, match=f"{name} is no file"):
        calls.find(repository)


def test_a_pipe_among_the_refs_or_attributes_ends_with_a_limit(repository, monkeypatch):
    monkeypatch.setattr(git_module, "MOST_SECONDS", 3.0)
    monkeypatch.setattr(tree_module, "_MOST_SECONDS", 1.0)
    os.mkfifo(repository / ".gitattributes")
    with git_calls() as calls:
        assert is_dirty(calls, repository) is None
        assert (check_out(calls, "HEAD", repository, calls.folder / "a").folder / "code.py").exists()
        os.mkfifo(repository / ".git" / "refs" / "heads" / "pipe")
        with pytest.raises(ProfileError, match="git has 3 s in all; --max-time gives it more"):
            check_out(calls, "pipe", repository, calls.folder / "b")


# Time and signals.


def test_a_command_whose_time_is_over_starts_no_git(repository):
    with git_calls(-1.0) as calls, pytest.raises(ProfileError, match="was not started: the command ran out of time"):
        calls.find(repository)


def test_the_folders_of_a_command_are_removed_without_following_links(repository, tmp_path):
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "kept").chmod(0o444)
    with git_calls() as calls:
        tree = check_out(calls, "HEAD", repository, calls.folder / "a")
        closed = tree.folder / "closed"
        closed.mkdir()
        (closed / "link").symlink_to(tmp_path / "kept")
        closed.chmod(0o500)
        folder = calls.folder
    assert not folder.exists()
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o444
