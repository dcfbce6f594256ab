"""The processes of a run, found by their mark and ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from unit.host.fake_proc import make_process

from pipeprof.profiles.host import run_family
from pipeprof.profiles.host.run_family import MARK, MOST_ROUNDS, RunFamily, end_family, folder_prefix, marked


def process(proc: Path, pid: int, environment: bytes, **stat: object) -> None:
    make_process(proc, pid, **stat)
    (proc / str(pid) / "environ").write_bytes(environment)


def mark(*values: str) -> bytes:
    return b"A=b\0" + f"{MARK}={' '.join(values)}".encode() + b"\0C=d\0"


@pytest.fixture
def killed(monkeypatch):
    found: list[tuple[str, int]] = []

    def kill(pid: int, number: int) -> None:
        assert number == signal.SIGKILL
        found.append(("process", pid))

    monkeypatch.setattr(run_family.os, "kill", kill)
    monkeypatch.setattr(run_family, "end_group", lambda pid: found.append(("group", pid)))
    return found


def test_only_processes_with_the_mark_are_found(tmp_path):
    process(tmp_path, 10, mark("mine"))
    process(tmp_path, 11, mark("other"))
    process(tmp_path, 12, mark("outer", "mine"))
    process(tmp_path, 13, b"B=mine\0")
    process(tmp_path, 14, mark("mine2"))
    process(tmp_path, 15, b"")
    process(tmp_path, os.getpid(), mark("mine"))
    make_process(tmp_path, 16)
    assert marked("mine", tmp_path) == {10, 12}


def test_group_descendants_and_marked_ones_are_killed(tmp_path, killed):
    process(tmp_path, 10, mark("mine"))
    process(tmp_path, 11, b"", parent=10)
    process(tmp_path, 12, mark("mine"), parent=1)
    process(tmp_path, 13, b"", parent=1)
    end_family("mine", 10, tmp_path)
    assert killed[0] == ("group", 10)
    assert {pid for kind, pid in killed if kind == "process"} == {10, 11, 12}


def test_one_that_forks_while_it_is_killed_is_looked_for_again(tmp_path, killed, monkeypatch):
    process(tmp_path, 10, mark("mine"))

    def fork(pid: int, _number: int) -> None:
        killed.append(("process", pid))
        if pid < 13:
            process(tmp_path, pid + 1, mark("mine"))

    monkeypatch.setattr(run_family.os, "kill", fork)
    end_family("mine", None, tmp_path)
    assert [pid for _, pid in killed] == [10, 11, 12, 13]


def test_the_looking_ends(tmp_path, killed, monkeypatch):
    process(tmp_path, 10, mark("mine"))

    def fork(pid: int, _number: int) -> None:
        killed.append(("process", pid))
        process(tmp_path, pid + 1, mark("mine"))

    monkeypatch.setattr(run_family.os, "kill", fork)
    end_family("mine", None, tmp_path)
    assert len(killed) == MOST_ROUNDS


@pytest.mark.usefixtures("killed")
def test_a_process_that_is_gone_or_belongs_to_somebody_else_is_no_error(tmp_path, monkeypatch):
    for pid, error in ((10, ProcessLookupError), (11, PermissionError)):
        process(tmp_path, pid, mark("mine"))

        def fail(_pid: int, _number: int, error: type[OSError] = error) -> None:
            raise error

        monkeypatch.setattr(run_family.os, "kill", fail)
        end_family("mine", None, tmp_path)


def test_without_a_guard_the_run_goes_on(monkeypatch):
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(run_family.subprocess, "Popen", refuse)
    monkeypatch.setenv(MARK, "outer")
    with RunFamily() as family:
        family.lead(1)
        assert family.environment[MARK].startswith("outer ")


def test_temporary_folders_that_its_processes_left_are_removed(tmp_path, killed, monkeypatch):
    monkeypatch.setattr(run_family, "settled_temporary_folder", lambda: tmp_path)
    monkeypatch.setenv(MARK, "outer mine")
    for name in (f"{folder_prefix()}x1", f"{folder_prefix('other')}x2", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trace").touch()
    end_family("mine", None, tmp_path / "proc")
    assert {path.name for path in tmp_path.iterdir()} == {f"{folder_prefix('other')}x2", "mine"}
    assert killed == []
