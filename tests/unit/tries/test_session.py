"""What `run` and `fix` need around their races."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.tries import track as session
from pipeprof.profiles.tries.track import TrackClosedError


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InterruptedVerificationError(), ""),
        (TrackClosedError("input.py has changed"), "input.py has changed"),
        (PipeprofError("another command measures"), "another command measures"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "too many open files: a process may have "),
    ],
)
def test_what_ends_races_early_is_kept(error: Exception, words: str) -> None:
    found: list[Exception] = []
    with session.ending(found):
        raise error
    assert str(found[0]).startswith(words)


def test_a_fault_of_the_program_is_none_of_them() -> None:
    with pytest.raises(ValueError, match="broken"), session.ending([]):
        raise ValueError("broken")


def test_it_is_said_for_whom_the_tries_wait_until_a_signal_ends_that(monkeypatch: pytest.MonkeyPatch) -> None:
    class Notes(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    def lock(note: Any, _limit: float, *, go_on: Any) -> None:
        note("waiting for pid 17")
        go_on()
        signals.asked = "interrupted"
        go_on()

    notes: list[str] = []
    signals = Signals()
    monkeypatch.setattr(session, "measuring_lock", lock)
    settings: Any = SimpleNamespace(command=["pipeprof"], lock=True, patience=60.0)
    with pytest.raises(InterruptedVerificationError), session.measuring(settings, Notes(), signals, None):
        pass
    assert len(notes) == 1
    assert "pid 17" in notes[0]
