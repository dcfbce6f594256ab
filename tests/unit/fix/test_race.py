"""A race with scripted workers: order of the turns, who is given up, and who fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.experiment.team import MemberFailedError
from pipeprof.profiles.fix.race import BaseFailedError, Raced, Races, Rival
from pipeprof.profiles.fix.search import Aim, Decision, best_of
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded, TurnRequest
from pipeprof.profiles.tries.plan import Pace

PACE = Pace(TurnRequest("block", 0.35, 8, 0.05), TurnRequest("warm", 2.4), 6.0, 1.2, 1.6, step_seconds=0.03)
JOB = Job(kind="function", target="a.py:b", user_files=["a.py"])


def built(data: str = "x") -> Built:
    return Built([BatchDigest(data, [data], "int64")], True, 100, 1.0, 0.1)


@dataclass
class FakeTeam:
    """Workers with steady rates.

    Attributes:
        rates: Steps per second, by worker; a list is one for each block.
        starts: What a start gives, where it is not the usual.
        turns: Every turn given.
        requests: What was asked for in them.
        ended: Workers that were ended.
    """

    rates: Mapping[str, float | list[float]]
    starts: Mapping[str, Built | MemberFailedError] = field(default_factory=dict)
    turns: list[tuple[str, str]] = field(default_factory=list)
    requests: list[TurnRequest] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    fails: str | None = None
    crowded: MemberFailedError | None = None
    crowded_in: str = ""

    def start_each(self, jobs: Mapping[str, Job], *, seconds: float) -> dict[str, Built | MemberFailedError]:
        assert seconds >= 60.0
        if self.crowded is not None and self.crowded_in == "start" and len(jobs) > 1:
            return {**{name: built() for name in jobs}, self.crowded.name: self.crowded}
        if len(jobs) == 1:
            self.crowded = None
        return {name: self.starts.get(name, built()) for name in jobs}

    def start(self, jobs: Mapping[str, Job], *, seconds: float) -> dict[str, Built]:
        found = self.start_each(jobs, seconds=seconds)
        for outcome in found.values():
            if isinstance(outcome, MemberFailedError):
                raise outcome
        return {name: one for name, one in found.items() if isinstance(one, Built)}

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        assert seconds >= 60.0
        blocks = sum(1 for one, kind in self.turns if one == name and kind == "block")
        self.turns.append((name, request.kind))
        self.requests.append(request)
        if self.crowded is not None and self.crowded.name == name and self.crowded_in == "turn":
            raise self.crowded
        if name == self.fails and request.kind == "block":
            raise MemberFailedError(name, "raised: boom")
        rate = self.rates[name]
        steps = rate[blocks % len(rate)] if isinstance(rate, list) else rate
        return TurnEnded(round(steps * 1000), 1000.0, None, 0.1, 5000)

    def end(self, *names: str) -> None:
        self.ended += names or ("all",)


def race(team: FakeTeam, *names: str, left: Callable[[], float] = lambda: 60.0, pace: Pace = PACE) -> dict[str, Raced]:
    races = Races(team, pace, timeout=60.0, left=left, tick=lambda *_: None)  # type: ignore[arg-type]
    return races.run(lambda: {"A1": JOB, "A2": JOB}, {name: Rival(JOB, "same") for name in names})


def blocks_of(team: FakeTeam) -> list[str]:
    return [name for name, kind in team.turns if kind == "block"]


NOISY: list[float] = [10, 10.2, 9.9, 10.1, 10, 9.8, 10.1, 10]


def test_each_round_begins_and_ends_with_the_best_so_far_and_runs_backwards_next_time() -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C1": 20.0, "C2": 21.0})
    found = race(team, "C1", "C2")
    assert blocks_of(team)[:8] == ["A1", "C1", "C2", "A2", "A2", "C2", "C1", "A1"]
    ratio = found["C2"].ratio
    assert ratio is not None
    assert ratio.value == pytest.approx(2.1, rel=0.02)
    assert [name for name, kind in team.turns[:4]] == ["A1", "A2", "C1", "C2"]


def test_what_is_no_faster_is_given_up_after_three_rounds() -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C1": 8.0, "C2": 20.0})
    race(team, "C1", "C2")
    assert blocks_of(team).count("C1") == 3
    assert blocks_of(team).count("C2") == 3, "the only one left is clearly faster"


def test_a_cache_outruns_no_change_that_gains_in_each_epoch() -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C1": 11.5, "C2": 900.0})
    races = Races(team, PACE, timeout=60.0, left=lambda: 60.0, tick=lambda *_: None)  # type: ignore[arg-type]
    rivals = {"C1": Rival(JOB, "same"), "C2": Rival(JOB, "same", caches=True)}
    found = races.run(lambda: {"A1": JOB, "A2": JOB}, rivals)
    assert blocks_of(team).count("C1") >= 4, "it goes on until its own gain is known"
    decided = {name: Decision("faster", "") for name in found}
    steps = {"C1": Proposal("a", ""), "C2": Proposal("b", "", (InsertStage("cache", {}, None),))}
    assert best_of(decided, found, Aim(), steps) == "C1"


def test_a_small_gain_takes_a_fourth_round() -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C1": 8.0, "C2": 11.5})
    race(team, "C1", "C2")
    assert blocks_of(team).count("C2") == 4


def test_of_two_that_are_about_as_fast_none_is_ahead_after_three_rounds() -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C1": 20.0, "C2": 20.0})
    race(team, "C1", "C2")
    assert blocks_of(team).count("C2") == 4


def test_what_is_slower_after_six_rounds_is_given_up() -> None:
    team = FakeTeam({"A1": 10.0, "A2": 10.0, "C1": [8.0, 11.0]})
    race(team, "C1")
    assert blocks_of(team).count("C1") == 6


def test_a_machine_too_noisy_to_tell_is_measured_eight_times_at_most() -> None:
    team = FakeTeam({"A1": 10.0, "A2": 10.0, "C1": [8.0, 14.0]})
    found = race(team, "C1")
    assert blocks_of(team).count("C1") == 8
    assert len(found["C1"].ratios) == 8


def test_short_steps_have_short_blocks_and_as_many_more_rounds() -> None:
    team = FakeTeam({"A1": 10.0, "A2": 10.0, "C1": [8.0, 14.0]})
    race(team, "C1", pace=replace(PACE, step_seconds=0.001))
    assert blocks_of(team).count("C1") == 16
    assert {request.seconds for request in team.requests if request.kind == "block"} == {0.1}


def test_whole_epochs_are_not_cut_short() -> None:
    team = FakeTeam({"A1": 10.0, "A2": 10.0, "C1": 20.0})
    race(team, "C1", pace=replace(PACE, block=TurnRequest("block", 1.2, 600), step_seconds=0.002))
    assert {request.seconds for request in team.requests if request.kind == "block"} == {0.6}


def test_large_gains_that_differ_little_are_not_told_apart_for_long() -> None:
    team = FakeTeam({"A1": 10.0, "A2": 10.0, "C1": [300.0, 330.0], "C2": [330.0, 300.0]})
    race(team, "C1", "C2")
    assert blocks_of(team).count("C1") == 4
    small = FakeTeam({"A1": 10.0, "A2": 10.0, "C1": [13.0, 14.3], "C2": [14.3, 13.0]})
    race(small, "C1", "C2")
    assert blocks_of(small).count("C1") > 4


def test_the_time_ends_a_race_after_three_rounds() -> None:
    team = FakeTeam({"A1": 10.0, "A2": 10.0, "C1": [8.0, 14.0]})
    race(team, "C1", left=lambda: 0.0)
    assert blocks_of(team).count("C1") == 3


@pytest.mark.parametrize(
    ("outcome", "failure", "refused"),
    [
        (MemberFailedError("C1", "raised: boom"), "raised: boom", False),
        (MemberFailedError("C1", "stages.0: captures a tf.Variable", refused=True), "stages.0: captures", True),
        (built("other"), "it changes the data: batch 1 has different values than before", False),
    ],
)
def test_one_that_cannot_race_leaves_the_others(outcome: Any, failure: str, refused: bool) -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C2": 20.0}, {"C1": outcome})
    found = race(team, "C1", "C2")
    assert (found["C1"].failure or "").startswith(failure)
    assert found["C1"].refused == refused
    assert found["C2"].ratio is not None
    assert "C1" not in blocks_of(team)


def test_one_that_fails_in_its_turn_leaves_the_race() -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C1": 20.0, "C2": 20.0}, fails="C1")
    found = race(team, "C1", "C2")
    assert found["C1"].failure == "the changed pipeline raised: boom"
    assert found["C2"].failure is None


def test_a_pipeline_that_cannot_run_several_times_ends_the_race() -> None:
    failed = MemberFailedError("A2", "the pipeline writes files (cache)", refused=True)
    team = FakeTeam({"A1": 10.0, "C1": 20.0}, {"A2": failed})
    with pytest.raises(BaseFailedError, match="writes files"):
        race(team, "C1")
    assert "all" in team.ended


def test_the_best_so_far_lives_on_until_there_is_another_one() -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C1": 8.0})
    races = Races(team, PACE, timeout=60.0, left=lambda: 60.0, tick=lambda *_: None)  # type: ignore[arg-type]
    made: list[int] = []

    def base() -> dict[str, Job]:
        made.append(1)
        return {"A1": JOB, "A2": JOB}

    for _ in range(2):
        races.run(base, {"C1": Rival(JOB, "same")})
    assert len(made) == 1
    races.rebase()
    races.run(base, {"C1": Rival(JOB, "same")})
    assert len(made) == 2


def one_by_one(team: FakeTeam, *names: str) -> dict[str, Raced]:
    races = Races(team, PACE, timeout=60.0, left=lambda: 60.0, tick=lambda *_: None, alone=True)  # type: ignore[arg-type]
    return races.run(lambda: {"A1": JOB, "A2": JOB}, {name: Rival(JOB, "same") for name in names})


def test_where_memory_is_short_each_process_runs_alone() -> None:
    team = FakeTeam({"A1": NOISY, "A2": [11.0], "C1": 20.0, "C2": 21.0})
    found = one_by_one(team, "C1", "C2")
    assert list(dict.fromkeys(name for name, _ in team.turns)) == ["A1", "C1", "C2", "A2"]
    order = [name for name in team.ended if name != "all"]
    assert order[:4] == ["A1", "C1", "C2", "A2"]
    assert blocks_of(team) == [name for name in ("A1", "C1", "C2", "A2") for _ in range(4)]
    ratio = found["C2"].ratio
    assert ratio is not None
    assert ratio.value == pytest.approx(2.0, rel=0.02)


def test_one_that_cannot_run_alone_leaves_the_others() -> None:
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C2": 20.0, "C3": 20.0}, {"C1": MemberFailedError("C1", "raised: boom")})
    found = one_by_one(team, "C1", "C2", "C3")
    assert found["C1"].failure == "raised: boom"
    assert found["C2"].ratio is not None
    assert found["C3"].ratio is not None


@pytest.mark.parametrize("where", ["start", "turn"])
def test_processes_that_take_too_much_memory_together_run_one_by_one(where: str) -> None:
    crowded = MemberFailedError("C1", "reached the memory limit", crowded=True)
    team = FakeTeam({"A1": NOISY, "A2": NOISY, "C1": 20.0}, crowded=crowded, crowded_in=where)
    races = Races(team, PACE, timeout=60.0, left=lambda: 60.0, tick=lambda *_: None)  # type: ignore[arg-type]
    found = races.run(lambda: {"A1": JOB, "A2": JOB}, {"C1": Rival(JOB, "same")})
    assert races.alone
    assert found["C1"].ratio is not None
    assert found["C1"].failure is None
