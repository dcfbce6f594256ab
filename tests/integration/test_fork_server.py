"""A real fork server: copies that end with its guard, found by their family's mark, as heavy as others."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import psutil
import pytest

from pipeprof.profiles.harness.fork_server import CopiedProcess, Copies
from pipeprof.profiles.host.run_family import RunFamily, marked

SECONDS = 120.0


def is_readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], SECONDS)[0])


class Worker:
    """A worker that waits for its job, with its pipes: of commands, messages, prints and stacks."""

    def __init__(self, servers: Copies) -> None:
        self.family = RunFamily()
        self.pipes: list[int] = []
        for _ in range(4):
            self.pipes += os.pipe()
        self.process = servers.start(is_readable, self.pipes, self.family, {})
        for theirs in (0, 3, 5, 7):
            os.close(self.pipes[theirs])

    def end(self) -> int:
        self.family.end(self.process.pid)
        status = self.process.wait()
        self.family.__exit__()
        for ours in (1, 2, 4, 6):
            os.close(self.pipes[ours])
        return status


def test_a_copy_has_a_guard_as_its_parent_and_carries_the_mark_of_its_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a server imports before it is copied counts for nothing here: its TensorFlow is empty.
    (tmp_path / "tensorflow.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    servers = Copies()
    one, other = Worker(servers), Worker(servers)
    try:
        assert isinstance(one.process, CopiedProcess)
        pid = one.process.pid
        assert psutil.Process(pid).ppid() == one.process.guard.pid
        assert os.getpgid(pid) == os.getsid(pid) == pid
        assert pid in {process.pid for process in marked(one.family.mark)}
        assert pid not in {process.pid for process in marked(other.family.mark)}
        assert one.process.poll() is None
    finally:
        assert (one.end(), other.end()) == (-signal.SIGKILL, -signal.SIGKILL)
    servers.close()
    assert one.process.poll() == -signal.SIGKILL
    assert marked(one.family.mark) == []
