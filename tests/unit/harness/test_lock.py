"""The lock between measuring commands; two holders in one process stand for two processes, as ``flock`` has it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.profiles.harness import process
from pipeprof.profiles.harness.process import LockTimeoutError, lock_folder, measuring_lock


class Clock:
    """Time passes by waiting only; `then` happens after so many seconds."""

    def __init__(self, seconds: float = 1e9, then: Callable[[], object] = lambda: None) -> None:
        self.now = 0.0
        self.at, self.then = seconds, then

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        if self.now >= self.at:
            self.at = 1e9
            self.then()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(process, "time", made)
    return made


def held(folder: Path, limit: float | None = 60.0, notes: list[str] | None = None) -> Any:
    return measuring_lock((notes if notes is not None else []).append, limit, folder=folder)


def test_it_says_who_has_it_and_can_be_had_again_after_an_error_or_a_death(tmp_path: Path) -> None:
    with held(tmp_path / "x") as warning:
        assert warning is None
        assert (tmp_path / "x" / "measure.lock").read_text() == str(os.getpid())
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o700
    with pytest.raises(ZeroDivisionError), held(tmp_path / "x"):
        _ = 1 / 0
    (tmp_path / "x" / "measure.lock").write_text("1234567")
    with held(tmp_path / "x", 0.0) as warning:
        assert warning is None
        assert (tmp_path / "x" / "measure.lock").read_text() == str(os.getpid())


def test_a_second_one_gives_up_after_the_limit(tmp_path: Path, clock: Clock) -> None:
    notes: list[str] = []
    pid = os.getpid()
    with held(tmp_path):
        with pytest.raises(LockTimeoutError) as caught, held(tmp_path, notes=notes):
            pytest.fail("two have the lock")
        with pytest.raises(LockTimeoutError), held(tmp_path, 0.0):
            pytest.fail("the first one has lost the lock")
    assert str(caught.value) == f"another pipeprof (pid {pid}) is measuring; waited 60 s; --max-time waits longer"
    assert caught.value.exit_code == 1
    assert clock.now == pytest.approx(60)
    assert notes == [f"waiting up to 60 s for another pipeprof (pid {pid}) to finish measuring"]


def test_a_second_one_goes_on_when_the_first_has_ended(tmp_path: Path, clock: Clock) -> None:
    first = held(tmp_path)
    first.__enter__()
    clock.at, clock.then = 7.0, lambda: first.__exit__(None, None, None)
    with held(tmp_path) as warning:
        assert warning is None
        assert clock.now == pytest.approx(7)


def test_what_ends_the_command_ends_its_wait(tmp_path: Path, clock: Clock) -> None:
    def go_on() -> None:
        if clock.now > 1:
            raise KeyboardInterrupt

    with held(tmp_path), pytest.raises(KeyboardInterrupt), measuring_lock(print, 60.0, folder=tmp_path, go_on=go_on):
        pytest.fail("two have the lock")


@pytest.mark.parametrize("text", ["", "{", "x", "\udcff"])
@pytest.mark.usefixtures("clock")
def test_a_holder_that_has_not_written_yet_is_nameless(tmp_path: Path, text: str) -> None:
    (tmp_path / "measure.lock").write_text(text, errors="surrogateescape")
    with (tmp_path / "measure.lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        said = r"^another pipeprof is measuring; waited 1 s"
        with pytest.raises(LockTimeoutError, match=said), held(tmp_path, 1.0):
            pytest.fail("two have the lock")


def test_a_folder_that_cannot_be_written_and_a_file_system_without_locks_are_warnings(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    with held(tmp_path / "file" / "x") as warning:
        assert "file/x" in warning
        assert "Not a directory" in warning
    with held(tmp_path / "file" / "x", None) as warning:
        assert warning is None

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(process.fcntl, "flock", refuse)
    with held(tmp_path) as warning:
        assert warning.endswith("No locks available")


def test_a_folder_that_somebody_else_planted_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with held(tmp_path / "link") as warning:
        assert warning
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: (tmp_path / "own").stat().st_uid + 1)
    with held(tmp_path / "own") as warning:
        assert warning


def test_a_link_in_the_lock_files_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / "measure.lock").symlink_to(tmp_path / "precious")
    with held(tmp_path) as warning:
        assert warning
    assert (tmp_path / "precious").read_text() == "keep me"


def test_where_the_lock_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/scratch")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert lock_folder() == tmp_path / "pipeprof"
    for unusable in ("", "relative", str(tmp_path / "gone")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", unusable)
        assert lock_folder(7) == Path("/scratch/pipeprof-7")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert lock_folder() == Path(f"/scratch/pipeprof-{os.getuid()}")
