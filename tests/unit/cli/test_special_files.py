"""Devices and pipes where a file is expected are refused: nothing is read without end, nothing is replaced."""

import os
from pathlib import Path

import pytest

from pipeprof.cli.output import plan_outputs
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.profiles.document.store import load_profile


def pipe_in(folder, name):
    path = folder / name
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("name", ["report.txt", "profile.json"])
@pytest.mark.parametrize("force", [False, True])
def test_out_does_not_replace_a_pipe_or_a_link_to_a_device(name, force, tmp_path):
    pipe, link = pipe_in(tmp_path, name), tmp_path / f"link-{name}"
    link.symlink_to("/dev/null")
    for path in (pipe, link):
        with pytest.raises(UsageError, match="device or a pipe"):
            plan_outputs([str(path)], None, json=False, force=force)
        assert link.is_symlink()
        assert pipe.is_fifo()


def test_a_device_or_a_pipe_is_no_profile(tmp_path):
    for path in (pipe_in(tmp_path, "profile.json"), Path("/dev/zero")):
        with pytest.raises(ProfileError, match="is a device or a pipe"):
            load_profile(path)


def test_a_device_or_a_pipe_is_no_spec(tmp_path):
    for path in (pipe_in(tmp_path, "spec.yaml"), Path("/dev/zero")):
        with pytest.raises(UsageError, match=r"not a regular file; `pipeprof check -` reads"):
            check_spec(path)
