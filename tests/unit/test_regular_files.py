"""Files of strangers are opened only if they are regular ones."""

import os
from pathlib import Path

import pytest

from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.host_files import read_regular
from pipeprof.pipelines.steps.recorded import read_step
from pipeprof.profiles.view.view import file_text


def test_a_file_is_read_up_to_a_size_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 4) == b"four"
    with pytest.raises(OSError, match="large"):
        read_regular(tmp_path / "link", 3)


def test_what_a_spec_or_a_profile_names_may_be_a_pipe_or_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        assert file_text(str(path)) == ""
        with pytest.raises(ProfileError, match="a device or a pipe"):
            read_step(path)
