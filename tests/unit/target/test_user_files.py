"""The user's own files, and what may have taken their place."""

import os
import sys

import pytest

from pipeprof.pipelines.target import user_files
from pipeprof.pipelines.target.user_files import is_users, read_source


def test_a_file_is_read_and_what_never_ends_is_not(tmp_path, monkeypatch):
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


def test_a_framework_without_metadata_is_one_where_python_imports_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path / "libraries"), *sys.path])
    theirs = ("libraries/torch/__init__.py", "venv/site-packages/google/protobuf/message.py")
    own = ("models/torch/__init__.py", "libraries/others/__init__.py", "garden/beds/roses.py")
    for file in (*theirs, *own):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert [file for file in (*theirs, *own) if is_users(str(tmp_path / file))] == [*own]


def test_files_of_libraries_and_generated_ones_are_not_the_users(tmp_path):
    generated = str(tmp_path / "__autograph_generated_fileabc.py")
    others = (pytest.__file__, str(sys.modules["json"].__file__), user_files.__file__, "<string>", generated)
    assert [file for file in others if is_users(file)] == []
