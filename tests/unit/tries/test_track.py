"""Contenders as jobs, the time that they take, and what ends a track."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from unit.tries.workers import PACE, SLOW, Workers, change

from pipeprof.pipelines.changes.chain import Replay
from pipeprof.pipelines.changes.edits import InsertStage, SetEnvironment
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.advise.facts.caching import filling
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import JobMaker, Version
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import Silent, make_options
from pipeprof.profiles.tries import track as session
from pipeprof.profiles.tries.combine import Contender
from pipeprof.profiles.tries.track import TrackClosedError, WorkerTrack

CALLS = Contender(change("calls"))
CACHE = Contender(Proposal("cache", "cache", (InsertStage("cache", {}, "stages.1"),)))
BOUND = Contender(Proposal("x"), Replay(("stages.0",), 3, 1.0, 1, 1, 1))
PREFETCH = Contender(Proposal("prefetch", "prefetch", (InsertStage("prefetch", {"buffer_size": 1}, "stages.2"),)))


def track_of(workers: Workers, file: Path, profile: Profile, **more: Any) -> WorkerTrack:
    settings = make_options(parse_target(f"{file}:make"), None, ["pipeprof"])
    jobs = JobMaker(settings, memory_limit=None, digest_seconds=1.0, data_progress=Silent().data)
    options = {"team": cast("Any", workers), "left": lambda: 1000.0, **more}
    track = WorkerTrack(pace=PACE, jobs=jobs, progress=Silent(), profile=profile, **options)
    track.running.rounds.cores = None
    return track


def test_a_function_gets_its_changes_in_its_recorded_calls(file: Path, profile: Profile) -> None:
    workers = Workers({**SLOW, "C1": 20.0, "C2": 20.0})
    environment = Contender(Proposal("a", "a", (SetEnvironment("A", "1"),)))
    found = track_of(workers, file, profile).race(Version(), {"C1": CALLS, "C2": environment})
    assert [one.status for one in found.values()] == ["kept", "kept"]
    assert [len(workers.jobs[name].edits) for name in ("A1", "C1", "C1+", "C2")] == [0, 1, 1, 0]
    turns = workers.jobs["C2"].turns
    assert turns.environment == [("A", "1")]


def test_the_base_is_started_anew_where_it_is_another_pipeline(file: Path, profile: Profile) -> None:
    workers = Workers({**SLOW, "C1": 9.0})
    track, start = track_of(workers, file, profile), Version()
    track.race(start, {"C1": CALLS})
    track.race(start, {"C1": PREFETCH})
    track.race(start.then(CALLS.proposal.edits), {"C1": PREFETCH})
    assert workers.started == ["A1", "A2", "C1", "C1", "A1", "A2", "C1"]
    assert [len(workers.jobs[name].edits) for name in ("A1", "C1")] == [1, 2]


def test_an_upper_bound_hands_out_what_stages_gave(file: Path, profile: Profile) -> None:
    workers = Workers({**SLOW, "C1": 20.0})
    track_of(workers, file, profile).race(Version(), {"C1": BOUND})
    turns = workers.jobs["C1"].turns
    assert turns.replay == BOUND.replay
    assert workers.started == ["A1", "A2", "C1"]


def test_a_cache_takes_the_epoch_in_which_it_fills(file: Path, profile: Profile) -> None:
    track = track_of(Workers(SLOW), file, profile)
    fill = filling(profile, CACHE.proposal.edits)
    assert fill.seconds > 0
    assert track.seconds_of([CACHE]) == pytest.approx(track.seconds_of([CALLS]) + fill.trial_seconds)


@pytest.mark.parametrize(
    ("contender", "proves", "needed"),
    [
        (CALLS, False, PACE.seconds_of(1)),
        (CALLS, True, 2 * PACE.seconds_of(1)),
        (BOUND, False, PACE.seconds_of(1) - PACE.again_seconds),
    ],
)
def test_a_race_begins_where_it_can_be_decided_seen_again_and_proven(
    contender: Contender, proves: bool, needed: float, file: Path, profile: Profile
) -> None:
    for left, fits in ((needed + 0.1, True), (needed - 0.1, False)):
        track = track_of(Workers(SLOW), file, profile, left=lambda left=left: left, proves=proves)
        assert track.fits([contender]) is fits


def test_a_race_leaves_the_proof_its_time(file: Path, profile: Profile) -> None:
    workers = Workers({**SLOW, "C1": [9.0, 13.0, 11.0]})
    left = PACE.seconds_of(1) + PACE.again_seconds
    track = track_of(workers, file, profile, left=lambda: left, proves=True)
    assert track.race(Version(), {"C1": CALLS})["C1"].late


def test_a_file_that_has_changed_closes_the_track(file: Path, profile: Profile) -> None:
    track = track_of(Workers({**SLOW, "C1": 20.0}), file, profile)
    file.write_text("def make(): return 1\n")
    with pytest.raises(TrackClosedError, match="changed"):
        track.race(Version(), {"C1": CALLS})


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
