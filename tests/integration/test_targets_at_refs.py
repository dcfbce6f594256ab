"""``compare`` and ``gate`` against a git ref, from the command line to where both sides are read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from integration.repositories import begin, commit_all, embedded_repository, git

from pipeprof.cli.commands import compare as compare_command
from pipeprof.cli.commands import gate as gate_command
from pipeprof.cli.main import invoke
from pipeprof.profiles.git import calls as git_module
from pipeprof.profiles.git.calls import git_calls
from pipeprof.profiles.git.tree import check_out

SPEC = "version: 1\nsource: {range: {stop: 100000000}}\nstep: none\n"
TEXT = 'version: 1\nsource: {TextLineDataset: {filenames: "%s"}}\nstep: none\n'
READ = 77
"""Exit code where both sides were read."""


@pytest.fixture(autouse=True)
def repository(home, monkeypatch):
    """An empty repository that is the current folder, below a folder with neighbours."""
    root = home.parent / "near" / "work"
    root.mkdir(parents=True)
    (home.parent / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(home.parent / "tmp"))
    monkeypatch.chdir(root)
    git(root, "init", "-q")
    return root


@pytest.fixture
def pipeprof(monkeypatch, capsys):
    """Run a command up to where it would measure; returns its code and what it wrote."""

    measured = []
    for command in (compare_command, gate_command):
        monkeypatch.setattr(command, "measure", lambda *_: measured.append(True))

    def run(*arguments):
        measured.clear()
        code = invoke([*arguments])
        code = READ if measured else code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out + said.err

    return run


def gate(pipeprof, target="spec.yaml", against="git:main"):
    return pipeprof("gate", target, "--against", against, "--measure")


FUNCTION = """import json
import tensorflow as tf


def make():
    return tf.data.Dataset.range(1000).batch(json.load(open("config.json"))["batch"])
"""


def write_function(repository):
    (repository / "train.py").write_text(FUNCTION)
    (repository / "config.json").write_text('{"batch": 1024}')
    (repository / "spec.yaml").write_text(TEXT % "docs/lines.txt")
    (repository / "docs").mkdir()
    (repository / "docs" / "lines.txt").write_text("line\n")
    (repository / "docs" / "page.md").write_text("words\n")
    commit_all(repository)


@pytest.mark.parametrize("target", ["train.py:make", "spec.yaml"])
@pytest.mark.parametrize("against", ["git:main", "git:main...", "itself"])
def test_one_target_among_the_same_files_passes_unmeasured(target, against, repository, pipeprof):
    write_function(repository)
    (repository / "docs" / "page.md").write_text("other words\n")
    (repository / "data.bin").write_text("not in git")
    (repository / "pipeprof-out").mkdir()
    code, said = pipeprof("gate", target, "--against", target if against == "itself" else against)
    assert (code, said.split(":")[0]) == (0, "Passed")


def test_two_refs_with_the_same_files_pass_unmeasured(repository, pipeprof):
    write_function(repository)
    git(repository, "commit", "-q", "--allow-empty", "-m", "more")
    assert pipeprof("gate", "git:main:train.py:make", "--against", "git:main~1:train.py:make")[0] == 0
    (repository / "config.json").write_text('{"batch": 1}')
    commit_all(repository)
    assert pipeprof("gate", "git:main:train.py:make", "--against", "git:main~1:train.py:make")[0] == READ


CONFIG = {"config.json": '{"batch": 1}'}
OF_SUBMODULE = {"sub/config.json": '{"batch": 1}'}
MODULE = {"json.py": "def load(_):\n    return {'batch': 1}\n"}
CHANGES: dict[str, tuple[list[str], dict[str, str], list[str]]] = {
    "not committed": ([], CONFIG, []),
    "committed": (["checkout -q -b topic"], CONFIG, ["commit -qam more"]),
    "hidden by assume-unchanged": (["update-index --assume-unchanged config.json"], CONFIG, []),
    "hidden by skip-worktree": (["update-index --skip-worktree config.json"], CONFIG, []),
    "a new module": ([], MODULE, []),
    "an ignored module": ([], {".git/info/exclude": "*.py\n", **MODULE}, []),
    "another commit of a submodule": ([], OF_SUBMODULE, ["-C sub commit -qam more"]),
    "a changed submodule": ([], OF_SUBMODULE, []),
    "no longer tracked": (["rm -q --cached config.json"], CONFIG, []),
}
"""Commands of git, what files hold then, and commands of git after that."""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("target", ["train.py:make", "spec.yaml"])
def test_any_file_that_differs_is_measured(change, target, repository, pipeprof, tmp_path):
    inner = begin(tmp_path / "inner", config_json="{}")
    git(repository, "submodule", "add", "-q", str(inner), "sub")
    write_function(repository)
    assert pipeprof("gate", target, "--against", "git:main")[0] == 0
    before, files, after = CHANGES[change]
    for command in before:
        git(repository, *command.split())
    for name, text in files.items():
        (repository / name).write_text(text)
    for command in after:
        git(repository, *command.split())
    assert pipeprof("gate", target, "--against", "git:main")[0] == READ


def test_a_document_that_a_spec_reads_is_measured(repository, pipeprof):
    write_function(repository)
    (repository / "docs" / "lines.txt").write_text("line\nline\n")
    assert pipeprof("gate", "spec.yaml", "--against", "git:main")[0] == READ
    assert pipeprof("gate", "train.py:make", "--against", "git:main")[0] == 0


def test_a_ref_that_is_not_there_or_lacks_the_function_is_named_as_it_was_typed(repository, pipeprof):
    write_function(repository)
    code, said = pipeprof("compare", "spec.yaml", "git:nowhere:spec.yaml")
    assert (code, "no such branch, tag or commit" in said) == (6, True)
    code, said = pipeprof("compare", "spec.yaml", "git:main:train.py:none")
    assert (code, "no function 'none' in git:main:train.py" in said) == (2, True)


def test_two_files_and_two_functions_are_two_targets(repository, pipeprof):
    write_function(repository)
    for name in ("train.py", "spec.yaml"):
        shutil.copy(repository / name, repository / f"other_{name}")
    assert pipeprof("gate", "train.py:make", "--against", "other_train.py:make")[0] == READ
    assert pipeprof("gate", "spec.yaml", "--against", "other_spec.yaml")[0] == READ
    (repository / "train.py").write_text(f"{FUNCTION}\n\nother = make\n")
    assert pipeprof("gate", "train.py:make", "--against", "train.py:other")[0] == READ


def test_an_embedded_repository_runs_nothing(repository, pipeprof, tmp_path):
    for name, text in embedded_repository(f"id > {tmp_path}/RAN; false").items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    for name in ("spec.yaml", "specs/spec.yaml"):
        (repository / name).write_text(SPEC)
    commit_all(repository)
    for against in ("spec.yaml", "git:main"):
        code, said = pipeprof("gate", "specs/spec.yaml", "--against", against, "--no-python", "--measure")
        assert code == READ, said
    assert pipeprof("compare", "spec.yaml", "specs/spec.yaml", "--no-python")[0] == READ
    assert pipeprof("gate", "specs/spec.yaml", "--self-test")[0] == READ
    assert not (tmp_path / "RAN").exists()


def test_what_lies_beside_the_repository_is_read_from_there(repository, pipeprof):
    (repository.parent / "data").mkdir()
    (repository.parent / "data" / "x.txt").write_text("line\n")
    (repository / "spec.yaml").write_text(TEXT % "../data/x.txt")
    (repository / "glob.yaml").write_text(TEXT % "../data/*.txt")
    commit_all(repository)
    for name in ("spec.yaml", "glob.yaml"):
        code, said = gate(pipeprof, name)
        assert code == READ, said


def test_what_is_missing_beside_the_repository_is_named_where_it_would_be(repository, pipeprof):
    (repository / "spec.yaml").write_text(TEXT % "../data/x.txt")
    commit_all(repository)
    (repository / "spec.yaml").write_text(SPEC)
    code, said = gate(pipeprof)
    assert code == 6
    assert f"git:main:spec.yaml:2:39: ../data/x.txt: no such file in {repository}" in said
    assert "pipeprof-trees" not in said


@pytest.mark.parametrize("kind", ["spec", "python", "target", "cache"])
def test_nothing_but_data_is_read_through_a_link_out_of_the_tree(kind, repository, pipeprof, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("root:x:0:0:root\n")
    if kind in ("python", "target"):
        (outside / "f.py").write_text("def secret_name(x):\n    return x\n")
    (repository / "link").symlink_to(outside)
    texts = {
        "python": f"{SPEC}stages: [{{map: {{python: 'link/f.py:f'}}}}]\n",
        "cache": f"{SPEC}stages: [{{cache: {{filename: link/cache}}}}]\n",
    }
    (repository / "spec.yaml").write_text(texts.get(kind, SPEC))
    if kind == "spec":
        (repository / "spec.yaml").unlink()
        (repository / "spec.yaml").symlink_to(outside / "secret")
    commit_all(repository)
    target = "link/f.py:secret_name" if kind == "target" else "spec.yaml"
    (repository / "own.yaml").write_text(SPEC)
    code, said = pipeprof("compare", f"git:main:{target}", "own.yaml")
    assert code == 6, said
    assert "root:x" not in said
    assert "secret" not in said.replace(target, "").replace("outside/secret", "")
    assert "link" in said or "is in no git repository" in said


def test_a_function_that_may_read_what_the_ref_has_and_its_tree_has_not(repository, pipeprof):
    (repository / "f.py").write_text("def make():\n    pass\n")
    (repository / "data").symlink_to("/nowhere")
    commit_all(repository)
    (repository / "data").unlink()
    code, _ = gate(pipeprof, "f.py:make")
    assert code == READ
    saved = json.loads(next(Path("pipeprof-out").glob("gate-*.json")).read_text())
    found = {one["code"]: one["message"] for one in saved["warnings"]}
    assert found.keys() == {"dirty-tree", "not-at-ref"}
    assert "data is a link out of the tree, to /nowhere" in found["not-at-ref"]


def test_a_folder_for_results_that_is_a_link_of_the_checkout_is_not_used(repository, pipeprof, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (repository / "pipeprof-out").symlink_to(tmp_path / "elsewhere")
    (repository / "spec.yaml").write_text(SPEC)
    commit_all(repository)
    code, said = gate(pipeprof)
    assert code == READ
    assert "pipeprof-out" in said
    assert "a link, which is not followed" in said
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_named_gitignore_is_not_written_through(repository, pipeprof, tmp_path):
    (repository / "pipeprof-out").mkdir()
    (repository / "pipeprof-out" / ".gitignore").symlink_to(tmp_path / "new")
    (repository / "spec.yaml").write_text(SPEC)
    commit_all(repository)
    assert gate(pipeprof)[0] == READ
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", ["spec", "folder", "link"])
def test_what_git_does_not_track_is_read_as_data_alone(kind, repository, pipeprof, tmp_path):
    (repository / "own.yaml").write_text(SPEC)
    (tmp_path / "outside.yaml").write_text("SECRETKEY: root:x:0\n")
    if kind == "link":
        (repository / "at.yaml").symlink_to("later")
    commit_all(repository)
    if kind == "link":
        (repository / "later").symlink_to(tmp_path / "outside.yaml")
    elif kind != "spec":
        (repository / "later").mkdir()
        (repository / "later" / "at.yaml").write_text(SPEC)
    target = {"spec": "new.yaml", "folder": "later/at.yaml"}.get(kind, "at.yaml")
    (repository / "new.yaml").write_text(SPEC)
    code, said = pipeprof("compare", f"git:main:{target}", "own.yaml")
    assert code == 6, said
    assert "is not in git" in said
    assert "root:x" not in said


def test_a_submodule_in_the_place_of_a_link_is_not_looked_for_elsewhere(repository, pipeprof, tmp_path):
    other = begin(tmp_path / "other", rows_py="def private(x):\n    return x\n")
    head = git(other, "rev-parse", "HEAD")
    (repository / "at.yaml").write_text(f"{SPEC}stages: [{{map: {{python: 'sm/rows.py:private'}}}}]\n")
    (repository / "own.yaml").write_text(SPEC)
    git(repository, "add", "-A")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},sm")
    git(repository, "commit", "-qm", "x")
    (repository / "sm").symlink_to(other)
    code, said = pipeprof("compare", "git:main:at.yaml", "own.yaml")
    assert code == 6, said
    assert "submodule" in said


def test_a_target_that_needs_a_filter_is_named(repository, pipeprof, tmp_path):
    git(repository, "config", "--global", "filter.x.smudge", f"touch {tmp_path}/RAN")
    (repository / ".gitattributes").write_text("*.txt filter=x\n")
    (repository / "a.txt").write_text("line\n")
    (repository / "spec.yaml").write_text(TEXT % "a.txt")
    commit_all(repository)
    code, said = gate(pipeprof)
    assert code == 6
    assert "a.txt at git:main goes through the filter x, which is not run" in said
    assert not (tmp_path / "RAN").exists()


@pytest.fixture
def calls():
    with git_calls() as calls:
        yield calls


def test_data_is_read_through_a_link_that_the_work_tree_has_too(repository, pipeprof, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "x.txt").write_text("line\n")
    (repository / "data").symlink_to("../../datasets")
    (repository / "spec.yaml").write_text(TEXT % "data/x.txt")
    commit_all(repository)
    code, said = gate(pipeprof)
    assert code == READ, said
    (repository / "data").unlink()
    (repository / "data").symlink_to("../../home")
    (repository / "spec.yaml").write_text(SPEC)
    code, said = gate(pipeprof)
    assert code == 6
    assert "data at git:main is a link out of the tree, to ../../datasets, which the work tree does not have" in said


def test_an_object_of_lfs_that_is_not_here_is_no_data(repository, pipeprof):
    name = hashlib.sha256(b"line\n").hexdigest()
    (repository / "text").mkdir()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{name}\nsize 5\n"
    for file in ("a.txt", "b.txt"):
        (repository / "text" / file).write_text(pointer)
    (repository / ".gitattributes").write_text("*.txt filter=lfs\n")
    for file, path in (("spec.yaml", "text/a.txt"), ("glob.yaml", "text/*.txt"), ("other.yaml", "none")):
        (repository / file).write_text(TEXT % path if path != "none" else SPEC)
    commit_all(repository)
    assert gate(pipeprof, "other.yaml")[0] == READ
    for file in ("spec.yaml", "glob.yaml"):
        code, said = gate(pipeprof, file)
        assert code == 6, said
        assert "text/a.txt at git:main is kept by Git LFS, and its object is not in the local store" in said
    stored = repository / ".git" / "lfs" / "objects" / name[:2] / name[2:4] / name
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"line\n")
    assert gate(pipeprof, "glob.yaml")[0] == READ


def test_data_in_a_submodule(repository, pipeprof, tmp_path):
    inner = begin(tmp_path / "inner", x_txt="line\n")
    git(repository, "submodule", "add", "-q", str(inner), "sub")
    (repository / "spec.yaml").write_text(TEXT % "sub/x.txt")
    commit_all(repository)
    code, said = gate(pipeprof)
    assert code == READ, said
    shutil.rmtree(repository / "sub")
    (repository / "sub").mkdir()
    (repository / "spec.yaml").write_text(SPEC)
    code, said = gate(pipeprof)
    assert code == 6
    assert "git submodule update --init sub" in said


def test_code_is_that_of_the_ref_alone(repository, pipeprof, tmp_path, calls):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "helper.py").write_text("VALUE = 1\n")
    (tmp_path / "lib" / "x.txt").write_text("data\n")
    (repository / "lib").symlink_to(tmp_path / "lib")
    (repository / "f.py").write_text("def make():\n    pass\n")
    commit_all(repository)
    (repository / "new" / "deep").mkdir(parents=True)
    (repository / "new" / "deep" / "g.py").write_text("VALUE = 2\n")
    (repository / "new" / "deep" / "x.txt").write_text("line\n")
    tree = check_out(calls, "main", repository, calls.folder / "a")
    assert not (tree.folder / "lib" / "helper.py").exists()
    assert (tree.folder / "lib" / "x.txt").read_text() == "data\n"
    assert tree.refusal(tree.folder / "lib" / "x.txt", data=True) is None
    assert "only data is read there" in (tree.refusal(tree.folder / "lib" / "base.yaml", data=False) or "")
    assert not (tree.folder / "new" / "deep" / "g.py").exists()
    assert (tree.folder / "new" / "deep" / "x.txt").read_text() == "line\n"
    assert gate(pipeprof, "f.py:make")[0] == READ


@pytest.fixture
def hanging(repository, tmp_path, monkeypatch):
    """A git that hangs in its last call for a tree; the file that it leaves has its process."""
    (repository / "spec.yaml").write_text(SPEC)
    commit_all(repository)
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "git"
    script = f'[ "$1" = check-attr ] && echo $$ > {tmp_path}/pid && exec sleep 600\nexec {shutil.which("git")} "$@"\n'
    shim.write_text(f"#!/bin/sh\n{script}")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "pid"


def test_the_time_of_the_command_holds_for_git(hanging, pipeprof, monkeypatch):
    # However long all calls of git before it take: it has all of the time.
    monkeypatch.setattr(git_module, "time", SimpleNamespace(monotonic=lambda: 0.0, time=time.time))
    code, said = pipeprof("gate", "spec.yaml", "--against", "git:main", "--max-time", "3")
    assert code == 6
    assert "git check-attr did not end within" in said
    assert not is_running(hanging.read_text().strip())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_git(number, hanging):
    command = [sys.executable, "-m", "pipeprof", "gate", "spec.yaml", "--against", "git:main"]
    # Whoever starts the tests may ignore some of them, as `nohup` does.
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509
    )
    await_true(lambda: hanging.exists() and hanging.read_text().strip())
    process.send_signal(number)
    process.communicate()
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}[number]
    pid = hanging.read_text().strip()
    await_true(lambda: not is_running(pid))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def await_true(condition):
    """Wait for what happens soon; the test's own limit is the harness's."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen within a minute")
