"""Upper bounds: which stages are handed out again, when they are needless, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from itertools import starmap
from typing import Any

import pytest
from unit.tries.workers import change, result

from pipeprof.pipelines.changes.chain import Replay
from pipeprof.pipelines.changes.edits import InsertStage, SetEnvironment, VectoriseMap
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.advise.text.bound_advice import bottleneck_finding
from pipeprof.profiles.advise.upper_bounds import suspect_bottleneck, upper_bounds
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace, OpCost, PythonCost, Stage
from pipeprof.profiles.tries.bounds import bound_finding, is_for_a_step_only, is_reached, open_bound
from pipeprof.profiles.tries.combine import Contender, TriedChange
from pipeprof.profiles.tries.race import RaceResult


def row(id_: str, op: str, elements: int | None = None, share: float | None = 0.0, **facts: Any) -> Stage:
    return Stage(id=id_, op=op, origin="written", elements=elements, share=share, **facts)


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    """A run of 100 steps: range, a slow map, a filter that keeps two of three, batch(10), prefetch."""
    found = recorded("input-bound")
    found.target.kind = "function"
    found.steps.count, found.steps.dispatch = 100, "sync"
    found.host.cores, found.headspace, found.findings = 2.0, Headspace.of(20.0, 4.0, 4), []
    found.stages = [
        row("source", "range", 1501),
        row("stages.0", "map", 1500, 0.9, name="decode"),
        row("stages.1", "filter", 1000, 0.05),
        row("stages.2", "batch", 100, 0.05),
        row("stages.3", "prefetch", 100),
    ]
    found.verdict.bound, found.verdict.stage = "input", "stages.0"
    return found


def rows(profile: Profile) -> list[Stage]:
    return profile.stages or []


def covered(profile: Profile) -> list[tuple[str, ...]]:
    return [proposal.covers for proposal, _ in upper_bounds(profile, None)]


def replayed(profile: Profile, limit: int | None = None) -> Replay:
    return next(replay for _, replay in upper_bounds(profile, limit))


def test_the_bottleneck_and_costly_python_are_worth_a_bound(profile: Profile) -> None:
    assert covered(profile) == [("stages.0",)]
    rows(profile)[2].python = [PythonCost(function="keep", ms_per_batch=9.0, share=1.0)]
    rows(profile)[2].share = 0.4
    assert covered(profile) == [("stages.0",), ("stages.1",)]


def test_a_stage_is_replaced_with_the_filters_that_drop_what_it_gives(profile: Profile) -> None:
    """A filter keeps two of three; another one, after a map, passes all."""
    stages = rows(profile)
    assert replayed(profile, 1_000_000_000) == Replay(("stages.0", "stages.1"), 3, 10.0, 3, 2, 100_000_000)
    stages[2].elements = 1499
    assert replayed(profile).stages == ("stages.0",)
    stages[2].elements = 1000
    stages[3] = stages[3].model_copy(update={"op": "map", "elements": 1000})
    stages[4] = stages[4].model_copy(update={"op": "filter", "elements": 500})
    assert replayed(profile).stages == ("stages.0", "stages.1", "stages.2", "stages.3")
    # What stacks elements of several inputs cannot be part of a replay.
    stages[3].op = "zip"
    assert covered(profile) == []


def twins_of(profile: Profile, count: int = 4) -> tuple[str, ...]:
    """A pipeline that concatenates parts, each with a map that one line makes; the costliest is named."""
    load = {"name": "load", "location": Location(file="parts.py", line=7, column=4)}
    stages = [row("source", "range", 50), row("stages.0", "map", 50, 0.2, **load)]
    for number in range(1, count):
        inner = f"stages.{number}.inputs.1"
        stages += [
            row(f"stages.{number}", "concatenate", 50 + 50 * number),
            row(f"{inner}.source", "range", 50),
            row(f"{inner}.stages.0", "map", 50, 0.2 + 0.01 * number, **load),
        ]
    profile.stages = [*stages, row(f"stages.{count}", "batch", 20)]
    profile.verdict.stage, profile.steps.count = f"stages.{count - 1}.inputs.1.stages.0", 20
    return tuple(stage.id for stage in stages if stage.op == "map")


def test_stages_of_one_line_have_one_bound(profile: Profile) -> None:
    twins = twins_of(profile)
    assert covered(profile) == [twins]
    job = replayed(profile)
    assert (job.stages, job.per_batch, job.inputs, job.outputs) == ((*twins,), 10.0, 1, 1)
    finding = bottleneck_finding(profile, twins, [rejected(twins[1])])
    assert finding.title == "Make the 4 stages of load cheaper"
    assert finding.sentence == "1 change tried at the 4 stages of load, none helped"


@pytest.mark.parametrize(("kept", "together"), [(200, True), (120, False)])
def test_twins_before_a_filter_that_passes_all(profile: Profile, kept: int, together: bool) -> None:
    twins = twins_of(profile)
    rows(profile)[-1:] = [row("stages.4", "filter", kept), row("stages.5", "batch", 20)]
    assert any(set(twins) <= set(replay.stages) for _, replay in upper_bounds(profile, None)) is together


def test_a_bottleneck_in_one_of_several_inputs_has_a_bound_of_its_own(profile: Profile) -> None:
    twins = twins_of(profile, 2)
    rows(profile)[1].name = "other"
    assert covered(profile) == [twins[1:]]


def test_stages_of_one_line_with_little_of_the_work_have_a_bound_with_those_before_them(profile: Profile) -> None:
    stages = [row("source", "sample_from_datasets", share=None)]
    ops = [("normalize", "map", 0.09), ("tokenize", "map", 0.08), ("long", "filter", 0.02), ("chunk", "flat_map", 0.1)]
    for side in ("source.inputs.0", "source.inputs.1"):
        stages.append(row(f"{side}.source", "TextLineDataset", 90, None))
        for at, (name, op, share) in enumerate(ops):
            place = Location(file="texts.py", line=at + 1, column=9)
            stages.append(row(f"{side}.stages.{at}", op, 90, share, name=name, location=place))
    profile.stages = [*stages, row("stages.0", "batch", 9, None)]
    profile.verdict.stage = "source.inputs.1.stages.3"
    together = covered(profile)[0]
    assert together == tuple(one.id for one in stages if one.name)
    assert bottleneck_finding(profile, together, []).title == "Make the 4 stages from normalize to chunk cheaper"
    for stage in profile.stages:
        stage.share = 0.3 if stage.name == "chunk" else stage.share
    assert covered(profile)[0] == tuple(one.id for one in stages if one.name == "chunk")


def test_stages_that_could_not_be_read_have_one_bound(profile: Profile) -> None:
    rows(profile)[1].share, rows(profile)[2].share = None, None
    for stage, one in ((None, True), ("stages.2", False)):
        profile.verdict.stage = stage
        assert (("stages.0", "stages.1") in covered(profile)) is one


BUSY, IDLE = {"cpu_seconds": 1.9}, {"cpu_seconds": 0.1}


def said(profile: Profile, found: RaceResult, settle: float = 0.0) -> Any:
    bound = next(starmap(Contender, upper_bounds(profile, None)))
    return bound_finding(profile, TriedChange(bound, found, 1), [], settle)


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
    finding = said(profile, found)
    assert (finding.status, finding.title) == (status, "Make decode and filter cheaper"), "both are replaced"
    if status == "unverified":
        assert open_bound(profile, finding).partition("\n")[0].count("decode") == 1, "a bound names its stages once"
    if finding.measured is not None:
        assert finding.measured["replayed"] == ["stages.0", "stages.1"]
        assert finding.measured["speedup"] == pytest.approx(found.change.value, abs=1e-3)


@pytest.mark.parametrize(("own", "least"), [(0.4, False), (0.8, True)])
def test_where_handing_out_takes_most_of_the_time_it_counts(profile: Profile, own: float, least: bool) -> None:
    """Of 1 s of steps, so much is that of the replay: without it, 3.0 times as many."""
    finding = said(profile, result(3.0, turn={"seconds": 1.0 - own, "own_seconds": own}))
    assert (finding.status, "at_least" in finding.measured) == ("ceiling", least)
    assert said(profile, result(1.0, turn={"seconds": 0.2, "own_seconds": 0.8})).measured is None


def test_the_machine_has_an_upper_bound_of_its_own(profile: Profile) -> None:
    """1.9 of 2 cores busy, 500 steps/s: 3.8 ms of CPU time per batch; the step takes 0.8 ms."""
    profile.headspace = Headspace.of(20.0, 0.8, 4)
    found = said(profile, result(5.0, turn=BUSY)).measured
    assert found["other_cpu_ms_per_batch"] == pytest.approx(3.8)
    assert found["cores_needed"] == pytest.approx(4.75)
    assert "the rest needs 4.7 cores; this machine has 2" in found["conclusion"]
    # CPU time of steps that do not count is left out.
    assert said(profile, result(5.0, turn=BUSY), 1.0).measured["other_cpu_ms_per_batch"] == pytest.approx(1.9)
    assert "conclusion" not in said(profile, result(5.0, turn=IDLE)).measured


def test_without_a_step_no_cores_are_needed(profile: Profile) -> None:
    profile.steps.dispatch = None
    found = said(profile, result(5.0, turn=BUSY)).measured
    assert "cores_needed" not in found
    assert "conclusion" not in found


def test_the_cpu_time_of_a_replay_is_no_part_of_everything_else(profile: Profile) -> None:
    """The replay kept 1.9 of 2 cores busy; of the run's own CPU time, the stage and what is inside took nearly all."""
    profile.steps.dispatch = None
    stages = rows(profile)
    stages[1].cpu_ms_per_batch = 12.0
    stages.append(row("stages.0.stages.0", "map", cpu_ms_per_batch=7.0, depth=1))
    for total, rest in ((20.0, 1.0), (24.0, 3.8)):
        profile.cpu.total_ms = total
        found = said(profile, result(5.0, turn=BUSY)).measured
        assert found["other_cpu_ms_per_batch"] == pytest.approx(rest)


def kept(gain: float, stage: str, proposal: Proposal | None = None) -> TriedChange:
    return TriedChange(Contender(proposal or change("a", stage)), result(gain), 1)


@pytest.mark.parametrize(
    ("gain", "at", "bound", "dispatch", "reached"),
    [
        *((2.5, "stages.0", 3.0, "sync", True), (2.0, "stages.0", 3.0, "sync", False)),
        (2.9, "stages.1", 3.0, "sync", False),
        # Before it is measured, much of a free pipeline is enough.
        *((3.1, "stages.0", None, "sync", True), (2.9, "stages.0", None, "sync", False)),
        (1.1, "stages.0", None, None, True),
    ],
)
def test_a_change_of_the_stage_reaches_its_bound(
    profile: Profile, gain: float, at: str, bound: float | None, dispatch: Any, reached: bool
) -> None:
    profile.steps.dispatch = dispatch
    assert is_reached(profile, ["stages.0"], [kept(gain, at)], *([bound] if bound else [])) is reached
    cache = Proposal("c", "c", (InsertStage("cache", {}, "stages.0"),), stage="stages.0")
    assert not is_reached(profile, ["stages.0"], [kept(gain, at, cache)], 3.0)


def rejected(stage: str, *edits: Any) -> Finding:
    return Finding(rule="cache", title="a", status="rejected", stage=stage, edit=documents_of(edits) or None)


def test_a_bottleneck_states_what_was_tried_and_what_is_inside(profile: Profile) -> None:
    ops = {"Cast": 0.2, "EagerPyFunc": 30.0, "Add": 0.0}
    rows(profile)[1].ops = [OpCost(op=op, ms_per_batch=ms) for op, ms in ops.items()]
    rows(profile)[1].python = [PythonCost(function="crop", ms_per_batch=21.0, share=1.0)]
    tried = [rejected("stages.0"), rejected("stages.0.stages.1"), rejected("stages.2")]
    found = bottleneck_finding(profile, ["stages.0"], [*tried, Finding(rule="a", title="a", status="unverified")])
    assert found.sentence == (
        "2 changes tried at decode, none helped. Inside: EagerPyFunc 30.0 ms and Cast 0.200 ms per batch, in Python "
        "crop() 21.0 ms"
    )


def test_whole_batches_are_no_advice_where_they_did_not_help(profile: Profile) -> None:
    rows(profile)[1].ops = [OpCost(op="AdjustHue", ms_per_batch=9.0)]
    rows(profile)[1].time_ms_per_batch = 10.0
    tried = rejected("stages.0", VectoriseMap("stages.0", "stages.2"))
    for last, changes, advised in (("shuffle", [], True), ("shuffle", [tried], False), ("filter", [], False)):
        # What a filter needs is not done after the batch.
        rows(profile)[2].op = last
        assert ("batches" in str(bottleneck_finding(profile, ["stages.0"], changes).change)) is advised


def test_what_a_training_waits_for_is_suspected_where_nothing_else_is_known(profile: Profile) -> None:
    told = Finding(rule="a", title="", status="unverified", family="speed", stage="stages.0", python="x = 1")
    tuning = told.model_copy(update={"python": None, "recommendation": "x"})
    tuning.edit = documents_of([SetEnvironment("OMP_NUM_THREADS", "1")])
    for findings, bound, loops, suspected in (
        *(([], "input", True, 1), ([tuning], "input", True, 1), ([told], "input", True, 0)),
        *(([], "step", True, 0), ([], None, True, 0)),
        # Where nothing is known to do, there is nothing to say.
        ([], "input", False, 0),
    ):
        rows(profile)[1].loops = loops
        profile.findings, profile.verdict.bound = [*findings], bound
        suspect_bottleneck(profile)
        more = [one for one in profile.findings if one not in findings]
        assert [(one.status, one.stage) for one in more] == [("unverified", "stages.0")] * suspected


@pytest.mark.parametrize(("low", "advised"), [(0.24, False), (1.24, True), (None, True)])
def test_a_stage_whose_bound_shows_no_gain_gets_no_advice(profile: Profile, low: float | None, advised: bool) -> None:
    measured = {"speedup": 1.5, "low": low} if low is not None else None
    finding = Finding(rule="a", title="a", status="unverified", stage="stages.0", reason="why", measured=measured)
    finding.recommendation = "do this"
    assert open_bound(profile, finding).endswith("   do this") is advised


@pytest.mark.parametrize(
    ("advice", "dispatch", "apart"),
    [
        ("RFFT 47 %: transform in the training step, on its device", None, True),
        ("RFFT 47 %: transform in the training step, on its device", "sync", False),
        ("RFFT 47 %: transform in the training step, on its device; ReadFile 20 %: put them into records", None, False),
        ("", None, False),
    ],
)
def test_work_for_a_device_is_no_finding_where_there_is_no_step(
    profile: Profile, advice: str, dispatch: Any, apart: bool
) -> None:
    profile.steps.dispatch = dispatch
    finding = said(profile, result(4.0))
    finding.change = finding.recommendation = advice
    assert is_for_a_step_only(profile, finding) is apart
    assert advice in open_bound(profile, finding)
