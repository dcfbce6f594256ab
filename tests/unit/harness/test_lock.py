"""The lock between measuring commands; two holders in one process stand for two processes, as ``flock`` has it."""

import fcntl
import json
import os
import tempfile
from pathlib import Path

import pytest

from pipeprof.profiles.harness import lock
from pipeprof.profiles.harness.lock import LockTimeoutError, lock_folder, measuring_lock


class Clock:
    """Time passes by waiting only; ``then`` happens at a given second."""

    def __init__(self, **then):
        self.now = 500.0
        self.waits = []
        self.then = {500.0 + int(second[1:]): action for second, action in then.items()}

    def __call__(self):
        return self.now

    def wait(self, seconds):
        assert seconds > 0
        self.waits.append(seconds)
        self.now += seconds
        for second in [second for second in self.then if second <= self.now]:
            self.then.pop(second)()


def test_it_says_who_has_it(tmp_path):
    with measuring_lock(["pipeprof", "run", "a.yaml"], folder=tmp_path / "x") as state:
        assert (state.held, state.waited_seconds, state.warning) == (True, 0.0, None)
        told = json.loads((tmp_path / "x" / "measure.lock").read_text())
        assert told == {"pid": os.getpid(), "command": ["pipeprof", "run", "a.yaml"]}
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o700


def test_it_can_be_had_again_afterwards_also_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), measuring_lock(["a long command line"] * 50, folder=tmp_path):
        _ = 1 / 0
    with measuring_lock(["short"], folder=tmp_path) as state:
        assert state.held
        assert json.loads((tmp_path / "measure.lock").read_text())["command"] == ["short"]


def test_each_holder_is_named_once_to_the_one_that_waits():
    notes = []
    waiting = lock.waiting_note(notes.append, 60.0)
    for pid in (None, 17, 17, 18, 17):
        waiting(pid, 0.25)
    assert notes == [
        f"waiting up to 60 s for another pipeprof{who} to finish measuring" for who in ("", " (pid 17)", " (pid 18)")
    ]


def test_a_second_one_gives_up_after_the_limit(tmp_path):
    clock, told = Clock(), []
    with measuring_lock(folder=tmp_path):
        with (
            pytest.raises(LockTimeoutError) as caught,
            measuring_lock(folder=tmp_path, waiting=lambda *what: told.append(what), wait=clock.wait, clock=clock),
        ):
            pytest.fail("two have the lock")
        with pytest.raises(LockTimeoutError), measuring_lock(folder=tmp_path, limit=0, wait=clock.wait, clock=clock):
            pytest.fail("the first one has lost the lock")
    assert str(caught.value) == (
        f"another pipeprof (pid {os.getpid()}) is measuring; waited 60 s; --max-time waits longer"
    )
    assert caught.value.exit_code == 1
    assert sum(clock.waits) == pytest.approx(60)
    assert min(clock.waits) >= 0.2
    assert told[0] == (os.getpid(), 0.0)
    assert [seconds for _, seconds in told] == sorted(seconds for _, seconds in told)


def test_a_second_one_goes_on_when_the_first_has_ended(tmp_path):
    first = measuring_lock(["first"], folder=tmp_path)
    first.__enter__()
    clock = Clock(s7=lambda: first.__exit__(None, None, None))
    with measuring_lock(["second"], folder=tmp_path, wait=clock.wait, clock=clock) as state:
        assert state.held
        assert state.waited_seconds == pytest.approx(7)
        assert json.loads((tmp_path / "measure.lock").read_text())["command"] == ["second"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "\udcff"])
def test_a_holder_that_has_not_written_yet_is_nameless(tmp_path, text):
    (tmp_path / "measure.lock").write_text(text, errors="surrogateescape")
    clock = Clock()
    with (tmp_path / "measure.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with (
            pytest.raises(LockTimeoutError, match=r"^another pipeprof is measuring; waited 1 s"),
            measuring_lock(folder=tmp_path, limit=1, wait=clock.wait, clock=clock),
        ):
            pytest.fail("two have the lock")


def test_what_an_ended_process_wrote_is_no_lock(tmp_path):
    (tmp_path / "measure.lock").write_text('{"pid": 1, "command": []}')
    with measuring_lock(folder=tmp_path) as state:
        assert (state.held, state.waited_seconds) == (True, 0.0)


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    with measuring_lock(folder=tmp_path / "file" / "x") as state:
        assert not state.held
        assert "file/x" in state.warning
        assert "Not a directory" in state.warning


def test_a_folder_that_somebody_else_planted_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with measuring_lock(folder=tmp_path / "link") as state:
        assert not state.held
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: (tmp_path / "own").stat().st_uid + 1)
    with measuring_lock(folder=tmp_path / "own") as state:
        assert not state.held


def test_a_link_in_the_lock_files_place_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / "measure.lock").symlink_to(tmp_path / "precious")
    with measuring_lock(["x"], folder=tmp_path) as state:
        assert not state.held
    assert (tmp_path / "precious").read_text() == "keep me"


def test_a_file_system_without_locks_is_a_warning(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with measuring_lock(folder=tmp_path) as state:
        assert not state.held
        assert state.warning.endswith("No locks available")


def test_where_the_lock_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/scratch")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert lock_folder() == tmp_path / "pipeprof"
    for unusable in ("", "relative", str(tmp_path / "gone")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        assert lock_folder(7) == Path("/scratch/pipeprof-7")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert lock_folder() == Path(f"/scratch/pipeprof-{os.getuid()}")
