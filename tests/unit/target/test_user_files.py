"""The user's own files, and what may have taken their place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pipeprof.pipelines.target import user_files
from pipeprof.pipelines.target.user_files import is_users, read_source

OF_PROTOBUF = "google/protobuf/__init__.py,sha256=x,1\ngoogle/protobuf/internal/tests/one.py,,\nprotobuf.pth,,\n"
OF_TFDS = "tfds/__init__.py,sha256=x,1\ntfds/core/load.py,,\nsix.py,,\n"


def test_a_file_is_read_and_what_never_ends_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "input.py"
    source.write_text("a = 1\n")
    assert read_source(source) == b"a = 1\n"
    monkeypatch.setattr(user_files, "_MOST_SOURCE", 3)
    assert read_source(source) == b""
    source.unlink()
    os.mkfifo(source)
    assert read_source(source) == b""
    with pytest.raises(FileNotFoundError):
        read_source(tmp_path / "none.py")


@pytest.mark.parametrize(
    ("metadata", "theirs", "own"),
    [
        # Packages without an `__init__.py` are those that a record lists.
        (
            {"protobuf-6.33.dist-info/RECORD": OF_PROTOBUF},
            "google/protobuf/__init__.py google/protobuf/message.py google/protobuf/internal/tests/one.py",
            "google/mine/__init__.py google/mine.py protobuf.py some-project/google/protobuf/message.py",
        ),
        # `pip install --target` also puts them into the folder that the user's own file lies in.
        (
            {"tfds-4.9.dist-info/RECORD": OF_TFDS},
            "tfds/__init__.py tfds/core/__init__.py tfds/core/load.py six.py",
            "tfds_of_mine.py garden/beds/roses.py",
        ),
        # Images that are made small have metadata, and no RECORD.
        (
            {
                "cpu_of_it-2.20.dist-info/WHEEL": "", "cpu_of_it-2.20.dist-info/top_level.txt": "framework\n",
                "flit_like-1.0.dist-info/WHEEL": "",
            },
            "framework/__init__.py framework/python/data/ops.py flit_like.py",
            "train.py cpu_of_it.py frameworks/__init__.py",
        ),
        # Of `pip install -e` and `setup.py dist_info` nothing was copied there.
        (
            {"mine.egg-info/SOURCES.txt": "mine/__init__.py\n", "mine-1.0.dist-info/METADATA": ""},
            "",
            "mine/__init__.py mine/data.py",
        ),
        # A framework without metadata is one where Python imports it.
        ({}, "libraries/torch/__init__.py", "models/torch/__init__.py libraries/others/__init__.py"),
    ],
)  # fmt: skip
def test_what_an_installer_put_there_is_not_the_users(
    metadata: dict[str, str], theirs: str, own: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "libraries"), *sys.path])
    files = dict.fromkeys([*theirs.split(), *own.split()], "")
    for file, text in {**metadata, **files}.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    assert [file for file in files if is_users(str(tmp_path / file))] == own.split()


def test_files_of_libraries_and_generated_ones_are_not_the_users(tmp_path: Path) -> None:
    generated = str(tmp_path / "__autograph_generated_fileabc.py")
    others = (pytest.__file__, str(sys.modules["json"].__file__), user_files.__file__, "<string>", generated)
    assert [file for file in others if is_users(file)] == []
