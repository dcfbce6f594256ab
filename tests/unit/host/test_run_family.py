"""The processes of a run, found by their mark and ended."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import psutil
import pytest
from unit.host.fake_proc import make_process, proc

from pipeprof.pipelines.host_files import TEMPORARY, settle_temporary_folder
from pipeprof.profiles.host import run_family
from pipeprof.profiles.host.run_family import MARK, RunFamily, end_family, folder_prefix, marked

__all__ = ["proc"]


def process(proc: Path, pid: int, environment: bytes, **stat: object) -> None:
    make_process(proc, pid, **stat)
    (proc / str(pid) / "environ").write_bytes(environment)


def mark(*values: str) -> bytes:
    return b"A=b\0" + f"{MARK}={' '.join(values)}".encode() + b"\0C=d\0"


@pytest.fixture
def killed(monkeypatch, proc):
    """Groups and processes that were killed, and pauses in which killed ones ended."""
    found: list[tuple[str, int]] = []
    dying: list[int] = []

    def kill(pid: int, number: int) -> None:
        assert number == signal.SIGKILL
        found.append(("process", pid))
        dying.append(pid)

    def pause(_seconds: float) -> None:
        found.append(("pause", len(dying)))
        while dying:
            shutil.rmtree(proc / str(dying.pop()))

    monkeypatch.setattr(run_family.os, "kill", kill)
    monkeypatch.setattr(run_family.time, "sleep", pause)
    monkeypatch.setattr(run_family, "end_group", lambda pid: found.append(("group", pid)))
    return found


def numbers(killed):
    return [pid for kind, pid in killed if kind == "process"]


def test_only_processes_with_the_mark_are_found(proc):
    process(proc, 10, mark("mine"))
    process(proc, 11, mark("other"))
    process(proc, 12, mark("outer", "mine"))
    process(proc, 13, b"B=mine\0")
    process(proc, 14, mark("mine2"))
    process(proc, 15, b"")
    process(proc, os.getpid(), mark("mine"))
    make_process(proc, 16)
    assert {process.pid for process in marked("mine")} == {10, 12}


@pytest.mark.parametrize(
    ("guard", "parents"),
    [
        (None, {10: 1, 11: 10, 12: 1, 13: 1}),
        # Whatever the guard has become the parent of, and not the guard.
        (9, {9: 1, 10: 9, 11: 9, 12: 11, 13: 1}),
    ],
)
def test_group_descendants_and_marked_ones_are_killed(proc, killed, guard, parents):
    for pid, parent in parents.items():
        process(proc, pid, mark("mine") if parent == 1 and pid != 13 else b"", parent=parent)
    end_family("mine", 10, guard)
    assert killed[0] == ("group", 10)
    assert set(numbers(killed)) == {10, 11, 12}


@pytest.mark.parametrize(("last", "found"), [(13, 4), (1000, 20)], ids=["until the last", "not without end"])
def test_one_that_forks_while_it_is_killed_is_looked_for_again(proc, killed, monkeypatch, last, found):
    process(proc, 10, mark("mine"))
    kill = run_family.os.kill

    def fork(pid: int, number: int) -> None:
        kill(pid, number)
        if pid < last:
            process(proc, pid + 1, mark("mine"))

    monkeypatch.setattr(run_family.os, "kill", fork)
    monkeypatch.setattr(run_family, "MOST_ROUNDS", 20)
    end_family("mine")
    assert numbers(killed) == list(range(10, 10 + found))


@pytest.mark.parametrize(
    ("appears", "ended"),
    [
        # Until a killed process has ended, its children may be listed nowhere.
        ({"pid": 11, "parent": 9}, [10, 11]),
        # One that was given the number of a killed one is another.
        ({"pid": 10, "parent": 1, "start": 888}, [10]),
    ],
)
def test_orphans_that_appear_with_the_end_of_their_parent_are_killed_and_no_others(
    proc, killed, monkeypatch, appears, ended
):
    process(proc, 9, b"")
    process(proc, 10, b"", parent=9, start=777)
    pause = run_family.time.sleep

    def appear(seconds: float) -> None:
        pause(seconds)
        if ("process", 11) not in killed:
            process(proc, environment=b"", **appears)

    monkeypatch.setattr(run_family.time, "sleep", appear)
    end_family("mine", None, 9)
    assert numbers(killed) == ended


def test_a_process_that_is_gone_or_belongs_to_somebody_else_is_no_error(proc, killed, monkeypatch):
    for pid, error in ((10, ProcessLookupError), (11, PermissionError)):
        process(proc, pid, mark("mine"))

        def fail(_pid: int, _number: int, error: type[OSError] = error) -> None:
            raise error

        monkeypatch.setattr(run_family.os, "kill", fail)
        end_family("mine")
    # Nor is it waited for.
    assert killed == []


def test_a_process_that_may_not_be_looked_at_is_killed(proc, killed, monkeypatch):
    def refuse(process: psutil.Process) -> str:
        raise psutil.AccessDenied(process.pid)

    process(proc, 10, mark("mine"))
    monkeypatch.setattr(psutil.Process, "status", refuse)
    end_family("mine")
    assert numbers(killed) == [10]


def test_a_leader_that_cannot_be_started_is_an_error(monkeypatch):
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(run_family.subprocess, "Popen", refuse)
    before = len(list(Path("/dev/fd").iterdir()))
    with RunFamily() as family, pytest.raises(OSError, match="temporarily"):
        family.start(["python"], (0, 1, 2), ())
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_run_inside_a_run_belongs_to_both(monkeypatch):
    monkeypatch.setenv(MARK, "outer")
    family = RunFamily()
    assert family.environment[MARK] == f"outer {family.mark}"


def test_its_processes_write_nothing_to_find_their_temporary_folder(tmp_path, monkeypatch):
    """One that is killed while Python tries the folder leaves a file there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    variables = RunFamily().environment
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_get_default_tempdir", lambda: pytest.fail("the folder is tried"))
    monkeypatch.setenv(TEMPORARY, variables[TEMPORARY])
    settle_temporary_folder()
    assert tempfile.tempdir == str(tmp_path)
    assert TEMPORARY not in os.environ


def test_temporary_folders_that_its_processes_left_are_removed(tmp_path, killed, monkeypatch):
    monkeypatch.setattr(run_family, "settled_temporary_folder", lambda: tmp_path)
    monkeypatch.setenv(MARK, "outer mine")
    for name in (f"{folder_prefix()}x1", f"{folder_prefix('other')}x2", "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trace").touch()
    end_family("mine")
    assert {path.name for path in tmp_path.iterdir()} == {f"{folder_prefix('other')}x2", "mine", "stat"}
    assert killed == []
