"""What a gate may pass without a measurement: one target, and no other file that differs but documents."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.harness.settings import make_options
from pipeprof.profiles.judge.unchanged import why_unchanged
from pipeprof.profiles.protocol.options import Options, RefPlace

SPEC = "version: 1\nsource: {TextLineDataset: {filenames: %s}}\n"


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """The tree of a ref, and the work tree that it was written from."""
    work, tree = tmp_path / "work", tmp_path / "tree"
    for name, text in {
        "train.py": "def make():\n    pass\n\n\ndef other():\n    pass\n",
        "spec.yaml": SPEC % "data/a.txt",
        "config.json": "1024",
        "data/a.txt": "line\n",
        "README.md": "words",
        "docs/page.txt": "words\n",
        "docs/deep/page.rst": "words",
    }.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text)
    shutil.copytree(work, tree)
    return tree, work


def settings(root: Path, target: str, *, tree: Path | None = None) -> Options:
    at_ref = RefPlace(str(tree), str(tree), str(root)) if tree is not None else None
    file = (tree or root) / target
    loaded = load_spec(file) if target.endswith(".yaml") else None
    return make_options(parse_target(str(file)), loaded, at_ref=at_ref)


def why(roots: tuple[Path, Path], target: str = "train.py:make", tracked: tuple[str, ...] = ()) -> str | None:
    tree, work = roots
    return why_unchanged(settings(work, target, tree=tree), settings(work, target), [work / name for name in tracked])


def write(path: Path, text: str = "other") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("target", ["train.py:make", "spec.yaml"])
def test_documents_alone_may_differ(target, roots):
    assert why(roots, target)
    for name in ("README.md", "README", "CHANGELOG.rst", "LICENSE-MIT", "docs/page.txt", "docs/a/b/new.md"):
        write(roots[1] / name)
        assert why(roots, target)
    assert "README" in (why(roots, target) or "")
    (roots[1] / "config.json").unlink()
    assert why(roots, target) is None


@pytest.mark.parametrize(
    "name",
    [
        "config.json", "data/a.txt", "train.py", "new.py", "README.py", "README.json", "CHANGELOG.py", "docs/conf.py",
        "docs/data.csv", "docs2/a.md", "specs/README.md", "README/words.md", "requirements.txt",
    ],
)  # fmt: skip
@pytest.mark.parametrize("of", ["tree", "work"])
def test_any_other_file_may_be_read(name, of, roots):
    path = roots[of == "work"] / name
    if name.startswith("README/"):
        write(path)
    elif path.exists():
        # With the size and the times of the other one: git may be told not to look.
        before = path.stat()
        text = path.read_text()
        path.write_text(text.replace("pass", "None") if name.endswith(".py") else text[::-1])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        write(path)
    assert why(roots) is None


@pytest.mark.parametrize(
    "names",
    ["docs/page.txt", "'docs/*.txt'", "'docs/**/*.txt'", "'*/page.txt'", "[data/a.txt, ./docs/../docs/page.txt]"],
)
def test_a_document_that_the_spec_names_is_data(names, roots):
    for root in roots:
        write(root / "spec.yaml", SPEC % names)
    assert why(roots, "spec.yaml")
    write(roots[1] / "docs" / "page.txt")
    assert why(roots, "spec.yaml") is None


def test_a_document_behind_a_link_is_data(roots):
    for root in roots:
        (root / "data" / "link.txt").symlink_to("../docs/page.txt")
    assert why(roots)
    write(roots[1] / "docs" / "page.txt")
    assert why(roots) is None


def test_what_git_does_not_track_is_the_same_file(roots):
    tree, work = roots
    write(work / "data" / "new.bin")
    (tree / "data" / "new.bin").symlink_to(work / "data" / "new.bin")
    (work / "large").mkdir()
    (tree / "large").symlink_to(work / "large")
    assert why(roots)


@pytest.mark.parametrize("name", [".venv/lib/a.py", "venv/a.py", "__pycache__/a.pyc", "pipeprof-out/a.json"])
def test_an_environment_in_the_work_tree_is_that_of_both_sides_unless_git_tracks_it(name, roots):
    write(roots[1] / name)
    assert why(roots)
    assert why(roots, tracked=(name,)) is None
    write(roots[1] / "sub" / name)
    assert why(roots)
    write(roots[1] / "sub" / ".git", "gitdir: elsewhere")
    assert why(roots) is None


def test_an_object_of_lfs_is_compared_by_its_content(roots, tmp_path):
    tree, work = roots
    write(tmp_path / "store", "line\n")
    (tree / "data" / "a.txt").unlink()
    (tree / "data" / "a.txt").symlink_to(tmp_path / "store")
    assert why(roots)
    write(work / "data" / "a.txt", "enil\n")
    assert why(roots) is None


@pytest.mark.parametrize("kind", ["link", "pipe", "program", "folder"])
@pytest.mark.parametrize("name", ["README.md", "data/a.txt"])
def test_a_file_of_another_kind_differs(kind, name, roots):
    path = roots[1] / name
    if kind == "program":
        path.chmod(0o755)
    else:
        path.unlink()
        {"link": lambda: path.symlink_to("config.json"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    assert (why(roots) is None) is (kind != "program" or name != "README.md")


def test_two_trees_are_compared_with_each_other(roots, tmp_path):
    tree, work = roots
    other = shutil.copytree(tree, tmp_path / "other")
    sides = [settings(work, "train.py:make", tree=one) for one in (tree, other)]
    write(work / "config.json")
    assert why_unchanged(sides[0], sides[1], ())
    for name in ("config.json", "venv/a.py"):
        write(other / name)
        assert why_unchanged(sides[0], sides[1], ()) is None
        (other / name).unlink()
        shutil.copytree(tree, other, dirs_exist_ok=True)
    assert why_unchanged(sides[0], sides[1], ())


def test_another_target_is_measured(roots, monkeypatch):
    tree, work = roots
    shutil.copy(work / "train.py", work / "copy.py")
    (work / "steps").mkdir()
    shutil.copy(work / "spec.yaml", work / "copy.yaml")
    monkeypatch.chdir(work)
    made = settings(work, "train.py:make")
    assert why_unchanged(made, replace(made, target=parse_target("steps/../train.py:make")), ())
    for other in ("train.py:other", "copy.py:make"):
        assert why_unchanged(made, settings(work, other), ()) is None
    assert why_unchanged(settings(work, "spec.yaml"), settings(work, "copy.yaml"), ()) is None
    argued = replace(made, target=replace(made.target, arguments=(("size", "3"),)))
    assert why_unchanged(made, argued, ()) is None
    assert why_unchanged(settings(tree.parent / "elsewhere", "train.py:make", tree=tree), made, ()) is None
    script = replace(made, target=replace(made.target, kind="script", function=None))
    assert why_unchanged(script, script, ()) is None
