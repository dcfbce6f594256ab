"""The user's own files, and what may have taken their place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pipeprof.pipelines.target import user_files
from pipeprof.pipelines.target.user_files import is_users, read_source
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.user_frames import with_sources


def test_a_file_is_read_and_what_never_ends_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "input.py"
    source.write_text("a = 1\n")
    assert read_source(source) == b"a = 1\n"
    monkeypatch.setattr(user_files, "_MOST_SOURCE", 3)
    assert read_source(source) == b""
    source.unlink()
    source.symlink_to("/dev/zero")
    assert read_source(source) == b""
    source.unlink()
    os.mkfifo(source)
    assert read_source(source) == b""
    with pytest.raises(FileNotFoundError):
        read_source(tmp_path / "none.py")


def test_a_frame_of_a_file_that_is_a_pipe_now_has_no_source(tmp_path: Path) -> None:
    pipe = tmp_path / "input.py"
    os.mkfifo(pipe)
    (frame,) = with_sources([ErrorFrame(str(pipe), 1, "make")])
    assert frame == ErrorFrame(str(pipe), 1, "make", None)


def files_of(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("")


def of_the_user(folder: Path, *files: str) -> list[str]:
    files_of(folder, *files)
    return [file for file in files if is_users(str(folder / file))]


def test_a_package_without_an_init_is_the_library_that_its_record_lists(tmp_path: Path) -> None:
    files_of(tmp_path, "protobuf-6.33.dist-info/RECORD")
    (tmp_path / "protobuf-6.33.dist-info" / "RECORD").write_text(
        "google/protobuf/__init__.py,sha256=x,1\ngoogle/protobuf/internal/tests/one.py,,\nprotobuf.pth,,\n"
    )
    theirs = ("google/protobuf/__init__.py", "google/protobuf/message.py", "google/protobuf/internal/tests/one.py")
    own = ("google/mine/__init__.py", "google/mine.py", "protobuf.py", "some-project/google/protobuf/message.py")
    assert of_the_user(tmp_path, *theirs, *own) == [*own]


def test_an_installed_package_whose_list_of_files_was_stripped_is_a_library(tmp_path: Path) -> None:
    """As images and archives that are made small have it: metadata, and no RECORD."""
    files_of(tmp_path, "cpu_of_it-2.20.dist-info/WHEEL", "flit_like-1.0.dist-info/WHEEL")
    (tmp_path / "cpu_of_it-2.20.dist-info" / "top_level.txt").write_text("framework\n")
    theirs = ("framework/__init__.py", "framework/python/data/ops.py", "flit_like.py")
    own = ("train.py", "cpu_of_it.py", "frameworks/__init__.py")
    assert of_the_user(tmp_path, *theirs, *own) == [*own]


def test_metadata_beside_a_projects_sources_makes_no_library_of_them(tmp_path: Path) -> None:
    """Of ``pip install -e`` and ``setup.py dist_info``: nothing was copied there, and a wheel leaves a WHEEL."""
    files_of(tmp_path, "mine.egg-info/SOURCES.txt", "mine-1.0.dist-info/METADATA")
    for place in ("mine.egg-info", "mine-1.0.dist-info"):
        (tmp_path / place / "top_level.txt").write_text("mine\n")
    (tmp_path / "mine.egg-info" / "SOURCES.txt").write_text("mine/__init__.py\nmine/data.py\n")
    assert of_the_user(tmp_path, "mine/__init__.py", "mine/data.py") == ["mine/__init__.py", "mine/data.py"]


def test_a_framework_without_metadata_is_one_where_python_imports_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "libraries"), *sys.path])
    files = ("libraries/torch/__init__.py", "models/torch/__init__.py", "libraries/others/__init__.py")
    assert of_the_user(tmp_path, *files) == [*files[1:]]


def test_what_an_installer_put_anywhere_is_not_the_users(tmp_path: Path) -> None:
    """As ``pip install --target`` does, also into the folder that the user's own file lies in."""
    files_of(tmp_path, "tfds-4.9.dist-info/RECORD")
    (tmp_path / "tfds-4.9.dist-info" / "RECORD").write_text(
        "tfds/__init__.py,sha256=x,1\ntfds/core/load.py,,\nsix.py,,\n"
    )
    theirs = ("tfds/__init__.py", "tfds/core/__init__.py", "tfds/core/load.py", "six.py")
    own = ("tfds_of_mine.py", "garden/beds/roses.py")
    assert of_the_user(tmp_path, *theirs, *own) == [*own]
    others = (
        pytest.__file__,
        sys.modules["json"].__file__,
        user_files.__file__,
        "<string>",
        "/tmp/__autograph_generated_fileabc.py",
    )
    assert [file for file in others if is_users(str(file))] == []
