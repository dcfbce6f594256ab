"""The user's own files that a Python file imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.target.local_imports import local_imports


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(path: Path) -> list[str]:
    found = local_imports(path)
    return [file.relative_to(found.root).as_posix() for file in found.files]


def test_imports_are_followed_from_file_to_file(tmp_path: Path) -> None:
    write(
        tmp_path, train="import os, numpy\nimport a\n", a="from b import c\n", b="def f():\n    import d\n", d="", e=""
    )
    assert names(tmp_path / "train.py") == ["a.py", "b.py", "d.py", "train.py"]


def test_packages_come_with_their_own_files(tmp_path: Path) -> None:
    write(tmp_path, train="import pack.inner.deep\n")
    write(tmp_path / "pack", init="", deep="")
    for folder in ("pack", "pack/inner"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "__init__.py").write_text("")
    write(tmp_path / "pack" / "inner", deep="from . import beside\nfrom ..upper import thing\n", beside="")
    write(tmp_path / "pack", upper="")
    assert names(tmp_path / "train.py") == [
        "pack/__init__.py",
        "pack/inner/__init__.py",
        "pack/inner/beside.py",
        "pack/inner/deep.py",
        "pack/upper.py",
        "train.py",
    ]


def test_a_file_of_a_package_is_named_from_its_root(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    write(tmp_path / "pack", train="import helper\n", helper="")
    assert "pack/helper.py" in names(tmp_path / "pack" / "train.py")


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\n",
        "from importlib import import_module\n",
        "exec('x = 1')\n",
        "__import__('a')\n",
        "import sys\nsys.path.insert(0, 'x')\n",
        "from sys import path\n",
        "import runpy\n",
        "def broken(:\n",
    ],
)
def test_what_may_run_other_code_is_not_known(text: str, tmp_path: Path) -> None:
    write(tmp_path, train="import a\n", a=text)
    assert local_imports(tmp_path / "train.py").unknown is not None


def test_a_circle_ends(tmp_path: Path) -> None:
    write(tmp_path, train="import a\n", a="import train\n")
    found = local_imports(tmp_path / "train.py")
    assert (len(found.files), found.unknown) == (2, None)
