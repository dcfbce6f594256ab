"""Upper bounds: which stages are handed out again, when they are needless, and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument
from pipeprof.profiles.advise.facts.stages import pays
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.protocol.turns import Built, TurnEnded
from pipeprof.profiles.tries.bounds import bound_finding, bounds_of, is_reached
from pipeprof.profiles.tries.combine import Contender, TriedChange
from pipeprof.profiles.tries.race import RaceResult, Status
from pipeprof.profiles.verify import ceiling

RECORDED = sorted(path.stem for path in (Path(__file__).parents[2] / "recorded" / "profiles").glob("*.json"))
MB = 1_000_000


@pytest.mark.parametrize("name", RECORDED)
def test_the_stages_are_those_that_a_trial_of_each_would_replace(recorded: Callable[[str], Profile], name: str) -> None:
    profile = recorded(name)
    wanted = {}
    for stages in ceiling.further_bounds(profile, ()) if pays(profile) else ():
        job = ceiling.replay_job(profile, ceiling.to_replay(profile, stages), 10**9)
        if not isinstance(job, str):
            wanted[stages] = job
    assert {one.proposal.covers: one.replay for one in bounds_of(profile, 10**9)} == wanted


def result(gain: float, status: Status = "kept", own: float = 0.0, error: float = 0.005) -> RaceResult:
    block = TurnEnded(100, 1.0, None, 0.2, 1000 * MB)
    free = TurnEnded(round(100 * gain), 1.0 - own, None, 0.1, 1000 * MB, own_seconds=own)
    built = dict.fromkeys(("A1", "A2", "C1"), Built([], True, 100 * MB, 0.1, 0.1))
    evidence = Evidence(built, [{"A1": block, "A2": block, "C1": free}] * 3, arm=("C1",))
    return RaceResult(status, "", Comparison(Interval(math.log(gain), error, 10, 3)), evidence)


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    return recorded("input-bound")


def said(profile: Profile, found: RaceResult) -> Any:
    (bound, *_) = bounds_of(profile, None)
    return bound_finding(profile, TriedChange(bound, found, 1), [], 0.05)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (result(3.0), "ceiling"),
        (result(1.2, "no gain"), "rejected"),
        (result(0.8, "no gain"), "unverified"),
        (result(1.5, "undecided", error=0.1), "unverified"),
        (result(6.0, error=0.5), "unverified"),
        (RaceResult("refused", "writes files"), "unverified"),
    ],
)
def test_what_a_bound_is(profile: Profile, found: RaceResult, status: str) -> None:
    assert said(profile, found).status == status


def test_a_bound_has_its_stages_and_the_cores_of_the_rest(profile: Profile) -> None:
    measured = said(profile, result(3.0)).measured
    (bound, *_) = bounds_of(profile, None)
    assert bound.replay is not None
    assert measured["replayed"] == bound.replay.stages
    assert measured["speedup"] == pytest.approx(3.0)
    assert measured["other_cpu_ms_per_batch"] > 0


def test_where_handing_out_takes_most_of_the_time_it_counts(profile: Profile) -> None:
    finding = said(profile, result(3.0, own=0.8))
    assert finding.status == "ceiling"
    assert finding.measured["at_least"]
    assert finding.measured["speedup"] == pytest.approx(3.0)


def kept(gain: float, stage: str, proposal: Proposal | None = None) -> TriedChange:
    edits = (SetArgument(stage, "map", "num_parallel_calls", 8),)
    return TriedChange(Contender(proposal or Proposal("a", "a", edits)), result(gain), 1)


def test_a_change_of_the_stage_reaches_its_bound(profile: Profile) -> None:
    assert is_reached(profile, ["stages.0"], [kept(2.5, "stages.0")], 3.0)
    assert not is_reached(profile, ["stages.0"], [kept(2.0, "stages.0")], 3.0)
    assert not is_reached(profile, ["stages.0"], [kept(2.9, "stages.1")], 3.0)
    cache = Proposal("c", "c", (InsertStage("cache", {}, "stages.0"),), stage="stages.0")
    assert not is_reached(profile, ["stages.0"], [kept(2.9, "stages.0", cache)], 3.0)


def test_before_it_is_measured_much_of_a_free_pipeline_is_enough(profile: Profile) -> None:
    assert profile.steps is not None
    profile.steps.dispatch = "sync"
    profile.headspace = Headspace.model_construct(speedup=4.0, share=0.75, replayed_ms=1.0)
    assert is_reached(profile, ["stages.0"], [kept(2.5, "stages.0")])
    assert not is_reached(profile, ["stages.0"], [kept(2.0, "stages.0")])
    profile.steps.dispatch = None
    assert is_reached(profile, ["stages.0"], [replace(kept(1.1, "stages.0"), race=2)])
