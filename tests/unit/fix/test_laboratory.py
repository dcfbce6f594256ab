"""What fits into a budget of seconds of measuring."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.profiles.advise.facts.caching import Filling
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.fix import laboratory as laboratories
from pipeprof.profiles.fix.laboratory import Laboratory, TimedTeam, pace_for
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.protocol.turns import TurnEnded, TurnRequest


def laboratory(profile: Profile, budget: float, **options: bool) -> Laboratory:
    pace = pace_for(profile, budget, 2.0, "sequential" if options.get("alone") else "alternating")
    team = SimpleNamespace(measured=0.0, end=lambda *_names: None)
    jobs = SimpleNamespace(timeout=60.0, changed_file=lambda: None)
    spent = min(4.0, 0.1 * budget)
    return Laboratory(team, pace, jobs, None, Silent(), budget=budget, spent=spent, most=4, profile=profile, **options)  # type: ignore[arg-type]


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    found = recorded("input-bound")
    assert found.steps is not None
    assert found.steps.interval_ms is not None
    found.steps.interval_ms.mean = 20.0
    return found


def test_the_time_left_grows_only_where_a_new_phase_is_named(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[float] = []
    lab = laboratory(profile, 60.0)
    monkeypatch.setattr(lab.progress, "ends_in", ends.append)
    monkeypatch.setattr(laboratories.time, "monotonic", lambda: lab._began)
    estimates = iter([14.0, 33.0, 9.0, 20.0])
    monkeypatch.setattr(lab, "_seconds_to_end", lambda: next(estimates))
    lab._begin("race 1")
    lab._tell(1, 8, None)
    lab._tell(2, 8, None)
    lab._begin("proving")
    assert ends == [14.0, 14.0, 9.0, 20.0]


@pytest.mark.parametrize(("budget", "rivals"), [(60.0, 4), (40.0, 4), (20.0, 2), (12.0, 1)])
def test_so_many_changes_race_side_by_side_and_can_be_proven(profile: Profile, budget: float, rivals: int) -> None:
    assert laboratory(profile, budget).fits([()] * rivals)


def test_a_budget_of_20_s_has_time_for_as_many_pairs_as_a_run_takes(profile: Profile) -> None:
    lab = laboratory(profile, 20.0)
    pace = pace_for(profile, 20.0, 2.0)
    assert lab.proof_seconds >= pace.round_seconds * QUICK.pairs / 2


def test_a_small_gain_is_left_time_for_more_pairs(profile: Profile) -> None:
    lab = laboratory(profile, 60.0)
    pace = pace_for(profile, 60.0, 2.0)
    as_it_is = lab.proof_seconds
    lab.taken("twice as fast", 2.0)
    assert lab.proof_seconds == as_it_is
    lab.taken("a little faster", 1.05)
    assert lab.proof_seconds >= as_it_is + pace.round_seconds * (QUICK.looks[1] - QUICK.pairs) / 2
    assert lab.fits([()])


def test_a_budget_that_is_too_small_names_one_that_is_not(profile: Profile) -> None:
    small = laboratory(profile, 4.0)
    assert not small.fits([()])
    assert laboratory(profile, float(small.least_budget)).fits([()])


def test_the_epoch_in_which_a_cache_fills_is_part_of_the_time(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = InsertStage("cache", {}, "stages.0")
    monkeypatch.setattr(laboratories, "filling", lambda _, edits: Filling(9, 4.0) if cache in edits else Filling())
    lab = laboratory(profile, 20.0)
    assert lab.fits([()])
    assert not lab.fits([(cache,)])
    # The budget that it names has time for that.
    enough = laboratory(profile, float(lab.least_budget))
    assert enough.fits([(cache,)])
    assert enough.least_budget < lab.least_budget


def test_one_process_at_a_time_has_time_for_four_changes(profile: Profile) -> None:
    assert laboratory(profile, 60.0, alone=True).fits([()] * 4)


def test_the_time_in_which_iterators_are_freed_is_no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def turn(_team: Team, name: str, _request: TurnRequest, *, seconds: float) -> TurnEnded:
        clock[0] += seconds
        if name == "fails":
            raise MemberFailedError(name, "ended")
        return TurnEnded(10, 1.0, None, 0.5, None, freeing_seconds=2.0)

    monkeypatch.setattr(Team, "turn", turn)
    monkeypatch.setattr(laboratories, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    team = TimedTeam(None, None)  # type: ignore[arg-type]
    team.turn("B1", TurnRequest("block"), seconds=5.0)
    assert team.measured == pytest.approx(3.0)
    with pytest.raises(MemberFailedError):
        team.turn("fails", TurnRequest("block"), seconds=1.0)
    assert team.measured == pytest.approx(4.0)


class Told(Silent):
    def __init__(self) -> None:
        self.words: list[str] = []
        self.left: list[float | None] = []

    def standing(self, words: str) -> None:
        self.words.append(words)

    def ends_in(self, seconds: float | None, _what: str = "") -> None:
        self.left.append(seconds)


def test_a_race_tells_the_best_so_far_what_is_ahead_of_it_and_the_time_left(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(laboratories, "time", SimpleNamespace(monotonic=lambda: now))
    lab = laboratory(profile, 60.0)
    lab.progress = told = Told()
    lab.taken("first change", 1.8)
    now += 20.0
    lab.team.measured = 10.0
    lab._races.tick(4, 8, Interval(math.log(1.2), 0.001, 7, 4))
    assert told.words == ["best 1.80×, 1.20× (1.20–1.20, 4 pairs)"]
    # Of 60 s of measuring 46 are left, and so far each took two seconds of the clock.
    assert told.left == [pytest.approx(92.0)]
    lab.end_at = now + 30.0
    lab._races.tick(1, 8, None)
    assert (told.words[-1], told.left[-1]) == ("best 1.80×", 30.0)
