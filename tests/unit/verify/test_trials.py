"""Trials of edited pipelines, with workers that are made up: how many exist at a time, and in which order they run."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from pipeprof.profiles.document.findings import Finding, Unfinished
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.host.machine import CoresClock, Taken
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded, TurnRequest
from pipeprof.profiles.tries.plan import (
    IMPORT_SECONDS,
    LONG_TO_MAKE,
    ChosenMode,
    Mode,
    mode_of,
    pace_of,
    seconds_to_make,
    too_long,
)
from pipeprof.profiles.verify import trials as trials_module
from pipeprof.profiles.verify.judge_edit import Judgement, judge
from pipeprof.profiles.verify.trials import Trial, Trials, write_into

Recorded = Callable[[str], Profile]
GIB = 1 << 30
BUILT = Built([BatchDigest("data", ["row"], "int64")], False, 400 << 20, 0.1, 0.1)


class Workers:
    """Workers with made-up rates and peaks, of which only so many fit into the memory."""

    def __init__(self, speedup: float = 1.0, room: int = 4, noise: float = 0.005, saved: int = 0) -> None:
        self.said: list[str] = []
        self.dispatches: list[object] = []
        self.started: list[str] = []
        self.patience = 0.0
        self.batches = BUILT.batches
        self.alive: set[str] = set()
        self.most = 0
        self._rates = {"A1": 100.0, "A2": 100.0, "B1": 100.0 * speedup, "B2": 100.0 * speedup}
        self._room = room
        self._saved = saved
        self._draw = random.Random(1)
        self._noise = noise
        self.refuses: str | None = None
        self.raises: tuple[str, ...] = ()
        self.epochs: int | None = None
        self.own: list[bool] = []

    def start(self, jobs: Mapping[str, Any], *, seconds: float) -> dict[str, Built]:
        assert seconds > 0
        self.patience = seconds
        self.started += [name for name in jobs if name.startswith("A")]
        for name in jobs:
            if name == self.refuses:
                raise MemberFailedError(name, "the pipeline writes files (cache)", refused=True)
            if name in self.raises and self.epochs is None:
                raise MemberFailedError(name, "raised: a.csv; No such file or directory")
            self.alive.add(name)
            if len(self.alive) > self._room:
                raise MemberFailedError(name, "reached the memory limit", crowded=len(self.alive) > 1)
        self.most = max(self.most, len(self.alive))
        return dict.fromkeys(jobs, replace(BUILT, batches=self.batches))

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        assert name in self.alive
        assert seconds > 0
        if self.epochs is not None:
            # Those of one process.
            assert (name, self.alive) == ("B1", {"B1"})
            if len(self.own) == self.epochs:
                raise MemberFailedError(name, "the script came to its end", refused=True)
            self.own.append(request.own)
            name = "A1" if request.own else name
            if name in self.raises:
                raise MemberFailedError(name, "raised: no more data")
        if request.kind == "block":
            self.said.append(name)
            self.dispatches.append(request.dispatch)
        rate = self._rates[name] * self._draw.gauss(1, self._noise)
        peak = 2 * GIB - (self._saved if name.startswith("B") else 0)
        return TurnEnded(round(1000 * rate), 1000.0, None, 0.0, peak)

    def end(self, *names: str) -> None:
        self.alive -= set(names or self.alive)


class Cores(CoresClock):
    """The clock of a machine on which something else computes in some rounds."""

    def __init__(self, disturbed: Collection[int] = ()) -> None:
        super().__init__(lambda: None)
        self._disturbed = disturbed
        self._round = -1

    def taken(self, cpu_seconds: float) -> Taken:
        assert cpu_seconds == 0.0
        self._round += 1
        return Taken(0.4 if self._round in self._disturbed else 0.05)


def tried(
    recorded: Recorded,
    workers: Workers,
    mode: Mode,
    *,
    for_memory: bool = False,
    other: int | None = None,
    disturbed: Collection[int] = (),
    others: float = 0.0,
    clock: Callable[[], float] = lambda: 0.0,
    progress: Silent | None = None,
    **options: Any,
) -> tuple[Trial, Trials]:
    profile = recorded("input-bound")
    trials = Trials(
        cast("Team", workers),
        pace_of(profile, 60.0, 2.0, mode),
        lambda: dict.fromkeys(("A1", "A2"), cast("Any", None)),
        until=1000.0,
        timeout=60.0,
        progress=progress or Silent(),
        fewer=lambda fewer: pace_of(profile, 60.0, 2.0, fewer),
        clock=clock,
        cores=lambda: Cores(disturbed),
        **options,
    )
    jobs = dict.fromkeys(("B1", "B2"), cast("Any", None))
    return trials.measure(jobs, "same", for_memory=for_memory, other=other, others=others), trials


class Standings(Silent):
    def __init__(self) -> None:
        self.words: list[str] = []

    def standing(self, words: str) -> None:
        self.words.append(words)


def test_each_round_tells_the_ratio_so_far(recorded: Recorded) -> None:
    told = Standings()
    tried(recorded, Workers(speedup=1.5), "alternating", progress=told)
    assert told.words == ["1.5× so far"] * 3


def test_the_ratio_so_far_names_the_rounds_that_do_not_count(recorded: Recorded) -> None:
    told = Standings()
    tried(recorded, Workers(speedup=1.5), "alternating", progress=told, disturbed={1, 3})
    assert told.words[-1] == "1.5× so far, 2 rounds disturbed"
    assert told.words[2].endswith("1 round disturbed")


@pytest.mark.parametrize(
    ("speedup", "reason"),
    [(1.3, r"too few pairs to decide: 1\.\d+× .*: --budget 610"), (1.0, r"(too few pairs to decide|no gain): [^-]*")],
)
def test_a_gain_with_too_few_pairs_names_the_budget_that_has_enough(
    recorded: Recorded, speedup: float, reason: str
) -> None:
    """Four pairs took 999 s: the other two take half of that."""
    workers = Workers(speedup=speedup)
    trial, _ = tried(recorded, workers, "alternating", clock=lambda: 499.5 * len(workers.said) / 4)
    assert trial.judgement is not None
    assert trial.judgement.speedup is not None
    finding = Finding(rule="a", title="a", status="unverified")
    write_into(finding, trial, 60.0)
    assert re.fullmatch(reason, finding.reason or ""), finding.reason
    lacking = Unfinished(pairs=4, needed=6, budget_seconds=610) if speedup == 1.3 else None
    assert finding.unfinished == lacking
    write_into(finding, trial)
    assert "--budget" not in (finding.reason or "")


@pytest.mark.parametrize(("speedup", "noise", "lacks"), [(1.04, 0.03, True), (1.3, 0.5, False)])
def test_twelve_pairs_that_may_be_no_gain_lack_no_budget(
    recorded: Recorded, speedup: float, noise: float, lacks: bool
) -> None:
    workers = Workers(speedup=speedup, noise=noise)
    clock = lambda: 999.5 if len(workers.said) >= 24 else 0.0  # noqa: E731
    trial, _ = tried(recorded, workers, "alternating", clock=clock)
    assert trial.judgement is not None
    assert trial.judgement.speedup is not None
    assert (trial.status, trial.judgement.speedup.pairs) == ("unverified", 12)
    assert trial.judgement.speedup.value > 1.03
    assert (trial.judgement.speedup.low > 1) is lacks
    finding = Finding(rule="a", title="a", status="unverified")
    write_into(finding, trial, 60.0)
    assert (finding.unfinished is not None) is lacks


def test_no_budget_is_named_where_other_processes_take_the_pairs(recorded: Recorded) -> None:
    trial, _ = tried(
        recorded,
        workers := Workers(speedup=1.12, noise=0.1),
        "alternating",
        disturbed=range(4, 99),
        clock=lambda: float(len(workers.said)),
    )
    assert trial.evidence is not None
    assert (trial.evidence.left_out, len(trial.evidence.ratios())) == (7, 8)
    assert (trial.status, trial.missing_seconds, trial.late) == ("unverified", 0.0, False)
    assert trial.reason.endswith("; other processes disturbed 7 further rounds")


def test_a_proof_goes_on_to_the_pairs_that_decide_however_many_rounds_are_disturbed(recorded: Recorded) -> None:
    trial, _ = tried(
        recorded, Workers(speedup=1.12, noise=0.15), "alternating", disturbed=range(1, 99, 2), most_left_out=math.inf
    )
    assert trial.evidence is not None
    assert (trial.status, trial.evidence.left_out > 7, len(trial.evidence.ratios())) == ("unverified", True, 30)


def test_a_look_that_the_pairs_pass_at_once_is_taken_once(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """After two quiet rounds and six disturbed ones all of them count: 4 pairs become 16."""
    seen: list[tuple[int, int]] = []

    def judged(evidence: Evidence, semantics: Any, *, before: int = 0, **options: Any) -> Judgement:
        seen.append((len(evidence.ratios()), before))
        return judge(evidence, semantics, before=before, **options)

    monkeypatch.setattr(trials_module, "judge", judged)
    trial, _ = tried(recorded, Workers(speedup=1.5), "alternating", disturbed=range(2, 99))
    assert (trial.status, seen[-2:]) == ("kept", [(4, 4), (16, 4)])
    seen.clear()
    tried(recorded, Workers(speedup=1.04, noise=0.1), "alternating", disturbed=range(2, 99))
    assert (16, 4) in seen
    assert [before for _, before in seen] == [0, *(pairs for pairs, _ in seen[:-1])]


def test_no_budget_is_named_where_the_peak_fell_once(recorded: Recorded) -> None:
    class Once(Workers):
        def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
            ended = super().turn(name, request, seconds=seconds)
            return replace(ended, peak_bytes=GIB) if name == "B1" else ended

    workers = Once(speedup=1.3)
    trial, _ = tried(recorded, workers, "alternating", for_memory=True, clock=lambda: 499.5 * len(workers.said) / 4)
    assert trial.reason == "the peak was lower in one of two pairs of processes"
    assert (trial.status, trial.missing_seconds) == ("unverified", 0.0)


@pytest.mark.parametrize(("speedup", "pairs"), [(1.3, 6), (1.03, 8)])
def test_what_is_about_to_be_kept_takes_the_time_of_others(recorded: Recorded, speedup: float, pairs: int) -> None:
    """After two rounds there is time for a few more, or for what else is to be measured."""
    workers = Workers(speedup=speedup)
    trial, _ = tried(
        recorded, workers, "alternating", others=20.0, clock=lambda: 0.0 if len(workers.said) < 8 else 990.0
    )
    assert trial.judgement is not None
    assert trial.judgement.speedup is not None
    assert (trial.judgement.speedup.pairs, trial.status == "kept") == (pairs, speedup == 1.3)


@pytest.mark.parametrize(("others", "pairs"), [(0.0, 24), (20.0, 8)])
def test_a_close_answer_leaves_time_for_others(recorded: Recorded, others: float, pairs: int) -> None:
    workers = Workers(speedup=1.03)
    trial, _ = tried(recorded, workers, "alternating", others=others, clock=lambda: 985.0)
    assert trial.judgement is not None
    assert trial.judgement.speedup is not None
    assert trial.judgement.speedup.pairs == pairs


@pytest.mark.parametrize(("mode", "alive"), [("alternating", 4), ("pairs", 2), ("sequential", 1)])
def test_no_more_processes_exist_than_the_mode_has(recorded: Recorded, mode: Mode, alive: int) -> None:
    workers = Workers(speedup=2.0, room=alive)
    trial, trials = tried(recorded, workers, mode)
    assert (trial.status, workers.most, trials.mode) == ("kept", alive, mode)
    assert trial.evidence is not None
    assert trial.evidence.alone is (mode == "sequential")


def test_rounds_that_something_else_disturbs_do_not_count(recorded: Recorded) -> None:
    workers = Workers(speedup=2.0)
    trial, _ = tried(recorded, workers, "alternating", disturbed={1, 3})
    assert (trial.status, len(workers.said)) == ("kept", 4 * 5)
    assert trial.evidence is not None
    assert (len(trial.evidence.rounds), trial.evidence.left_out) == (3, 2)
    assert trial.judgement is not None
    assert trial.judgement.speedup is not None
    assert trial.judgement.speedup.pairs == 6


def test_a_machine_that_is_disturbed_again_and_again_ends_a_trial(recorded: Recorded) -> None:
    workers = Workers(speedup=1.12, noise=0.15)
    trial, _ = tried(recorded, workers, "alternating", disturbed=range(1, 99, 2))
    assert trial.evidence is not None
    assert trial.evidence.left_out == 7
    assert trial.status == "unverified"
    assert "14 pairs" in trial.reason


def test_pairs_take_turns_one_pair_after_the_other(recorded: Recorded) -> None:
    workers = Workers(speedup=2.0, room=2)
    trial, _ = tried(recorded, workers, "pairs")
    assert workers.said[:4] == ["A1", "B1", "B1", "A1"]
    assert workers.said[8:12] == ["B2", "A2", "A2", "B2"]
    assert trial.judgement is not None
    assert trial.judgement.speedup is not None
    assert trial.judgement.speedup.pairs == 8
    assert workers.alive == set()


def test_processes_run_one_after_the_other_back_and_forth(recorded: Recorded) -> None:
    workers = Workers(speedup=1.2, room=1, noise=0.04)
    trial, _ = tried(recorded, workers, "sequential")
    assert workers.said == ["A1", "B1", "B2", "A2", "A2", "B2", "B1", "A1"]
    assert (trial.status, trial.reason.count("4 pairs of processes")) == ("unverified", 1)


def test_a_large_gain_is_kept_from_two_pairs_of_processes(recorded: Recorded) -> None:
    workers = Workers(speedup=3.0, room=1)
    trial, _ = tried(recorded, workers, "sequential")
    assert workers.said == ["A1", "B1", "B2", "A2"]
    assert trial.status == "kept"
    assert "2 pairs of processes), one process after the other" in trial.reason


@pytest.mark.parametrize("seed", range(40))
def test_the_same_pipeline_is_not_kept_from_pairs_of_processes(recorded: Recorded, seed: int) -> None:
    workers = Workers(speedup=1.0, room=1, noise=0.02)
    workers._draw = random.Random(seed)
    assert tried(recorded, workers, "sequential")[0].status != "kept"


def test_no_gain_is_rejected_after_two_pairs_of_processes(recorded: Recorded) -> None:
    workers = Workers(speedup=0.7, room=1)
    trial, _ = tried(recorded, workers, "sequential")
    assert (trial.status, len(workers.said)) == ("rejected", 4)


def test_memory_is_decided_by_two_pairs_of_processes(recorded: Recorded) -> None:
    workers = Workers(speedup=0.9, room=1, saved=GIB)
    trial, _ = tried(recorded, workers, "sequential", for_memory=True)
    assert (trial.status, len(workers.said)) == ("kept", 4)
    assert trial.judgement is not None
    assert trial.judgement.saved_bytes == GIB
    assert "pairs of processes" in trial.reason


@pytest.mark.parametrize(("room", "mode"), [(3, "pairs"), (1, "sequential")])
def test_fewer_processes_at_a_time_where_they_take_more_than_there_is(
    recorded: Recorded, room: int, mode: Mode
) -> None:
    trial, trials = tried(recorded, Workers(speedup=2.0, room=room), "alternating")
    assert (trial.status, trials.mode) == ("kept", mode)


def test_one_process_that_takes_more_than_there_is_rejects_nothing_but_itself(recorded: Recorded) -> None:
    trial, _ = tried(recorded, Workers(room=0), "sequential")
    assert (trial.status, trial.evidence) == ("unverified", None)
    assert trial.reason == "not tried: the pipeline as it is reached the memory limit"


@pytest.mark.parametrize("name", ["A1", "B2"])
def test_what_a_worker_refuses_was_not_tried(recorded: Recorded, name: str) -> None:
    workers = Workers(speedup=2.0)
    workers.refuses = name
    trial, _ = tried(recorded, workers, "alternating")
    assert (trial.status, trial.evidence) == ("unverified", None)
    assert trial.reason == "not tried: the pipeline writes files (cache)"
    assert workers.alive == set()


def test_data_that_change_between_two_edits_are_not_blamed_on_the_second(recorded: Recorded) -> None:
    workers = Workers(speedup=2.0)
    _, trials = tried(recorded, workers, "alternating")
    workers.batches = [BatchDigest("new data", ["new row"], "int64")]
    jobs = dict.fromkeys(("B1", "B2"), cast("Any", None))
    assert trials.measure(jobs, "same", for_memory=False).status == "kept"
    assert workers.started == ["A1", "A2"] * 2


@pytest.mark.parametrize(
    ("raises", "status", "reason"),
    [
        (("A1", "A2", "B1", "B2"), "unverified", "not tried: the pipeline as it is raised: a.csv;"),
        (("B1", "B2"), "rejected", "the edited pipeline raised: a.csv;"),
    ],
)
def test_a_file_that_goes_between_two_edits_is_not_blamed_on_the_second(
    recorded: Recorded, raises: tuple[str, ...], status: str, reason: str
) -> None:
    workers = Workers(speedup=2.0)
    _, trials = tried(recorded, workers, "alternating")
    workers.raises = raises
    jobs = dict.fromkeys(("B1", "B2"), cast("Any", None))
    trial = trials.measure(jobs, "same", for_memory=False)
    assert (trial.status, trial.reason.partition(" No")[0]) == (status, reason)
    assert not workers.alive


def test_a_pipeline_that_takes_minutes_to_build_is_not_taken_to_hang(recorded: Recorded) -> None:
    profile = recorded("input-bound").model_copy(deep=True)
    workers = Workers(speedup=2.0)
    phase = next(phase for phase in profile.phases if phase.name == "build")
    phase.seconds = 300.0
    tried(lambda _name: profile, workers, "alternating")
    assert workers.patience > 4 * 300.0
    assert seconds_to_make(profile) > LONG_TO_MAKE


def test_the_mode_follows_the_peak_and_the_step(recorded: Recorded) -> None:
    profile = recorded("input-bound").model_copy(deep=True)
    profile.memory.peak_bytes = 2 * GIB
    assert mode_of(profile, None) == ChosenMode("alternating")
    assert mode_of(profile, 8 * GIB) == ChosenMode("alternating")
    assert mode_of(profile, 7 * GIB) == ChosenMode("pairs", "4 processes need 8.0 GiB, the limit is 7.0 GiB")
    assert mode_of(profile, 3 * GIB) == ChosenMode("sequential", "2 processes need 4.0 GiB, the limit is 3.0 GiB")
    profile.host.gpus = ["a GPU"]
    assert mode_of(profile, 8 * GIB).mode == "alternating"
    assert profile.device is not None
    profile.device.kind = "torch"
    assert mode_of(profile, None).mode == "sequential"


def test_a_budget_for_processes_one_by_one_counts_each_start(recorded: Recorded) -> None:
    paces = {mode: pace_of(recorded("input-bound"), 60.0, 2.0, mode) for mode in ("alternating", "sequential")}
    assert paces["sequential"].least_pairs(12) == 2
    assert paces["sequential"].seconds_of(4, first=False) == 2 * paces["sequential"].seconds_of(2, first=False)
    assert all(
        pace.seconds_of(4, first=True) >= IMPORT_SECONDS + pace.seconds_of(4, first=False) for pace in paces.values()
    )
    assert too_long(paces["sequential"], 10.0, 10.0, first=True, pairs=2) is not None


def test_a_kept_one_is_measured_in_the_other_mode_of_dispatch_by_the_same_processes(recorded: Recorded) -> None:
    workers = Workers(speedup=1.5)
    trial, _ = tried(recorded, workers, "alternating", other=1)
    assert trial.status == "kept"
    assert set(workers.dispatches[:12]) == {None}
    assert workers.dispatches[12:] == [1] * 16
    assert trial.other is not None
    assert len(trial.other.ratios()) == 6
    assert workers.started == ["A1", "A2"]


def test_one_that_is_rejected_is_measured_in_one_mode(recorded: Recorded) -> None:
    workers = Workers(speedup=1.0)
    trial, _ = tried(recorded, workers, "alternating", other=1)
    assert (trial.status, trial.other, set(workers.dispatches)) == ("rejected", None, {None})
