"""The user's own files, and what may have taken their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeprof.pipelines.target import user_files
from pipeprof.pipelines.target.user_files import read_source
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
