"""Upper bounds: which stages are replaced by a replay, with what, and what the measurement says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipeprof.pipelines.changes.available import why_no_replay
from pipeprof.pipelines.changes.edits import (
    HandWritten,
    InsertStage,
    MoveStage,
    ReplaceStages,
    SetEnvironment,
    VectoriseMap,
)
from pipeprof.profiles.advise.bound_advice import advice_for
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Edit, Finding, Kept, Predicted, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace, OpCost, PythonCost, Stage
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.protocol.turns import Built, ReplayJob, TurnEnded
from pipeprof.profiles.verify.ceiling import (
    advise_again,
    bottleneck_finding,
    bound_of,
    describe_open_bound,
    drop_needless,
    further_bounds,
    inside_of,
    is_for_a_step_only,
    is_left_less,
    is_reached,
    replay_job,
    stages_to_replay,
    suspect_bottleneck,
    to_replay,
    told_by_rule,
    with_twins,
    write_bound,
)
from pipeprof.profiles.verify.judge_edit import judge
from pipeprof.profiles.verify.trials import Trial

Recorded = Callable[[str], Profile]


@pytest.fixture
def profile(recorded: Recorded) -> Profile:
    """A run of 100 steps: range, a slow map, a filter that keeps two of three, batch(10), prefetch."""
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    assert found.verdict is not None
    found.target.kind = "function"
    found.steps.count, found.steps.dispatch = 100, "sync"
    found.host.cores = 2.0
    found.headspace = Headspace.of(20.0, 4.0, 4)
    rows: list[tuple[str, str, int, float]] = [
        ("source", "range", 1501, 0.0),
        ("stages.0", "map", 1500, 0.9),
        ("stages.1", "filter", 1000, 0.05),
        ("stages.2", "batch", 100, 0.05),
        ("stages.3", "prefetch", 100, 0.0),
    ]
    found.stages = [
        Stage(id=id_, op=op, origin="written", elements=count, share=share, name="decode" if op == "map" else None)
        for id_, op, count, share in rows
    ]
    found.verdict.bound, found.verdict.stage = "input", "stages.0"
    found.findings = []
    return found


def line_of(*ops: str) -> list[tuple[str, str]]:
    return [("source", ops[0]), *((f"stages.{index}", op) for index, op in enumerate(ops[1:]))]


@pytest.mark.parametrize(
    ("ops", "stages", "reason"),
    [
        (("range", "map", "batch", "prefetch"), ["stages.0"], None),
        (("range", "map", "batch", "prefetch"), ["stages.0", "stages.1"], None),
        (("from_generator", "map", "batch"), ["source"], None),
        (("TFRecordDataset", "interleave", "batch"), ["stages.0"], None),
        (("range", "map", "shuffle", "repeat", "cache", "batch"), ["stages.0"], None),
        (("range", "map", "filter"), ["stages.0"], "filter after it depends on the values, which a replay repeats"),
        (("range", "map", "unique"), ["stages.0"], "unique after it depends on the values, which a replay repeats"),
        (("range", "map", "group_by_window"), ["stages.0"], None),
        (("range", "map", "bucket_by_sequence_length"), ["stages.0"], None),
        (("range", "map", "prefetch", "map", "batch"), ["stages.0", "stages.1", "stages.2"], None),
        (("range", "shuffle", "repeat", "map", "batch"), ["source", "stages.0", "stages.1", "stages.2"], None),
        (
            ("range", "map", "repeat", "map", "batch"),
            ["stages.0", "stages.1", "stages.2"],
            "repeat computes nothing that a replay could replace",
        ),
        (
            ("range", "map", "prefetch"),
            ["stages.0", "stages.1"],
            "prefetch computes nothing that a replay could replace",
        ),
        (("list_files", "interleave"), ["source"], "interleave after it depends on the values, which a replay repeats"),
        (("range", "shuffle"), ["stages.0"], "shuffle computes nothing that a replay could replace"),
        (("range", "map", "cache"), ["stages.1"], "cache computes nothing that a replay could replace"),
        (("range", "map", "repeat"), ["stages.1"], "repeat computes nothing that a replay could replace"),
        (("range", "interleave"), ["stages.0.stages.0"], "it is not shown by the graph"),
        (("range", "map", "batch", "map"), ["stages.0", "stages.2"], None),
    ],
)
def test_where_a_replay_is_possible(ops: tuple[str, ...], stages: list[str], reason: str | None) -> None:
    assert why_no_replay(line_of(*ops), stages) == reason


def test_a_replay_has_what_the_run_has_measured(profile: Profile) -> None:
    job = replay_job(profile, ["stages.1"], 1_000_000_000)
    assert job == ReplayJob(["stages.1"], 3, 10.0, 3, 2, 100_000_000, None)
    assert isinstance(source := replay_job(profile, ["stages.2"], None), ReplayJob)
    assert (source.inputs, source.outputs, source.most_bytes) == (10, 1, 256_000_000)


def test_a_spec_says_what_its_stages_are(profile: Profile) -> None:
    profile.target.kind = "spec"
    job = replay_job(profile, ["stages.1"], None)
    assert isinstance(job, ReplayJob)
    assert job.ops is not None
    assert job.ops[:2] == [("source", "range"), ("stages.0", "map")]


def test_what_is_not_possible_has_its_reason(profile: Profile) -> None:
    assert replay_job(profile, ["stages.0"], None) == "filter after it depends on the values, which a replay repeats"


def test_a_finding_names_what_its_edit_replaces(profile: Profile) -> None:
    line = main_line(profile)
    by_hand = Edit.model_validate(
        {"kind": "HandWritten", "stages": ["stages.0", "stages.1"], "yaml": "", "python": "", "summary": ""}
    )
    run = Finding(rule="a", title="a", status="unverified", stage="stages.0", edit=[by_hand])
    assert stages_to_replay(run, line) == ("stages.0", "stages.1")
    inside = Finding(rule="a", title="a", status="unverified", stage="stages.0.stages.3")
    assert stages_to_replay(inside, line) == ("stages.0",)
    assert stages_to_replay(Finding(rule="a", title="a", status="unverified"), line) == ()


def test_a_cache_is_bounded_with_all_that_it_saves(profile: Profile) -> None:
    edit = documents_of([InsertStage("cache", {}, "stages.1"), InsertStage("shuffle", {"buffer_size": 9}, "stages.1")])
    cache = Finding(rule="a", title="a", status="unverified", stage="stages.1", edit=edit)
    assert stages_to_replay(cache, profile.stages or ()) == ("source", "stages.0", "stages.1")


def test_the_bottleneck_and_costly_python_are_worth_a_bound(profile: Profile) -> None:
    assert further_bounds(profile, []) == [("stages.0",)]
    assert profile.stages is not None
    profile.stages[2].python = [PythonCost(function="keep", ms_per_batch=9.0, share=1.0)]
    assert further_bounds(profile, []) == [("stages.0",)]
    profile.stages[2].share = 0.4
    assert further_bounds(profile, []) == [("stages.0",), ("stages.1",)]


@pytest.mark.parametrize("status", ["kept", "ceiling"])
def test_what_a_finding_has_settled_is_not_measured_again(profile: Profile, status: Any) -> None:
    assert (
        further_bounds(
            profile, [Finding(rule="a", title="a", status=status, stage="stages.0", measured={"speedup": 4.0})]
        )
        == []
    )
    rejected = Finding(rule="a", title="a", status="rejected", stage="stages.0")
    assert further_bounds(profile, [rejected]) == [("stages.0",)]
    rejected.measured = {"replayed": ["stages.0"]}
    assert further_bounds(profile, [rejected]) == []


@pytest.mark.parametrize(
    ("speedup", "dispatch", "bounds"), [(1.5, "sync", [("stages.0",)]), (8.0, "sync", []), (1.5, None, [])]
)
def test_a_change_that_leaves_most_of_the_gain_leaves_the_bound_worth_knowing(
    profile: Profile, speedup: float, dispatch: Any, bounds: list[tuple[str, ...]]
) -> None:
    assert profile.steps is not None
    profile.steps.dispatch, profile.headspace = dispatch, Headspace.of(20.0, 2.0, 4)
    kept = Finding(rule="a", title="a", status="kept", stage="stages.0", measured={"speedup": speedup})
    assert further_bounds(profile, [kept]) == bounds
    profile.findings = [kept]
    ceiling = Finding(rule="b", title="b", status="ceiling", stage="stages.0")
    assert further_bounds(profile, [kept, ceiling]) == []


def evidence_of(speedup: float, *, cpu_seconds: float = 0.1, rounds: int = 6) -> Evidence:
    """Blocks of 1 s: 100 steps as it is, `speedup` times as many with the replay."""

    def block(steps: float, wobble: float) -> TurnEnded:
        return TurnEnded(round(steps), 1.0 + wobble, None, cpu_seconds, None)

    found = Evidence({name: Built([], False, None, 0.1, 0.1) for name in ("A1", "B1", "B2", "A2")})
    for number in range(rounds):
        wobble = 0.002 * (number % 3)
        base, other = block(1000, wobble), block(1000 * speedup, 0.002 - wobble / 2)
        found.rounds.append({"A1": base, "A2": base, "B1": other, "B2": other})
    return found


def trial_of(speedup: float, **more: Any) -> Trial:
    evidence = evidence_of(speedup, **more)
    judgement = judge(evidence, None, for_memory=False)
    return Trial(judgement.status, judgement.reason, evidence, judgement)


def bounded(profile: Profile, speedup: float, cpu_seconds: float = 0.1) -> Finding:
    finding = Finding(rule="a", title="Rewrite decode", status="unverified", stage="stages.0", family="speed")
    trial = trial_of(speedup, cpu_seconds=cpu_seconds)
    assert trial.evidence is not None
    write_bound(finding, trial, ["stages.0"], bound_of(profile, trial.evidence, 0.0, ["stages.0"]), "decode")
    return finding


def test_a_gain_without_the_stage_is_an_upper_bound(profile: Profile) -> None:
    found = bounded(profile, 4.0)
    assert found.status == "ceiling"
    assert found.measured is not None
    assert found.measured["replayed"] == ["stages.0"]
    assert found.reason is not None
    assert found.reason.startswith("4")
    assert found.reason.endswith("; no edit is known that reaches it")
    assert "conclusion" not in found.measured


def test_no_gain_without_the_stage_rejects_the_finding(profile: Profile) -> None:
    found = bounded(profile, 1.0)
    assert found.status == "rejected"
    assert found.reason is not None
    assert found.reason.startswith("even without decode no gain: ")


def test_a_bound_of_little_is_no_reason_for_advice() -> None:
    finding = Finding(rule="measured", title="a", status="unverified", stage="stages.0", family="speed")
    trial = replace(trial_of(1.12), status="unverified", reason="processes differ")
    write_bound(finding, trial, ["stages.0"], None, "decode")
    assert finding.status == "rejected"
    assert str(finding.reason).startswith("even without decode no more than 1.13×: 1.12× (")
    more = replace(trial, evidence=evidence_of(2.0), judgement=trial_of(2.0).judgement)
    write_bound(finding, more, ["stages.0"], None, "decode")
    assert str(finding.reason).startswith("2.00×")
    assert str(finding.reason).endswith(", undecided")


def test_two_pairs_are_no_upper_bound() -> None:
    """One measured so was 1.69, where a plain loop without the stages was 1.9 to 2.9 times as fast."""
    finding = Finding(rule="measured", title="a", status="unverified", stage="stages.0", family="speed")
    trial = trial_of(2.0)
    assert trial.judgement is not None
    assert trial.judgement.speedup is not None
    judgement = replace(trial.judgement, speedup=replace(trial.judgement.speedup, pairs=2))
    trial = replace(trial, status="unverified", reason="too few pairs to decide", judgement=judgement)
    write_bound(finding, trial, ["stages.0"], None, "decode")
    assert finding.reason == "unknown upper bound of decode: too few pairs to decide"


def test_a_stage_that_is_cheaper_than_a_replay_has_no_bound(profile: Profile) -> None:
    found = bounded(profile, 0.8)
    assert found.status == "unverified"
    assert found.reason is not None
    assert found.reason.startswith("no upper bound: decode costs less than a replay of it, 0.8")


def test_a_bound_in_which_a_replay_is_most_of_the_time_is_none(profile: Profile) -> None:
    del profile
    for own, bounded_by in ((0.4, True), (20.0, False)):
        trial = trial_of(4.0)
        assert trial.evidence is not None
        for blocks in trial.evidence.rounds:
            for name in ("B1", "B2"):
                blocks[name] = replace(blocks[name], own_seconds=own)
        finding = Finding(rule="a", title="a", status="unverified", stage="stages.0")
        write_bound(finding, trial, ["stages.0"], None, "decode")
        assert (finding.status == "ceiling") is bounded_by
        if not bounded_by:
            assert finding.reason == "no upper bound: of the time without decode, most is that of its replay"
            assert finding.measured is None
            # With a replay that takes less, it is known how fast the rest is at least: with what the replay takes.
            for blocks in trial.evidence.rounds:
                for name in ("B1", "B2"):
                    blocks[name] = replace(blocks[name], own_seconds=2.0)
            write_bound(finding, trial, ["stages.0"], None, "decode")
            assert (finding.status, finding.measured["at_least"]) == ("ceiling", True)
            assert 1 < finding.measured["low"] < finding.measured["speedup"] < 4.0
            assert "pairs" not in finding.measured
            assert finding.reason.startswith("at least ")
            assert finding.reason.endswith(", what it gives handed out")
            # However little the difference of the two is known: what was measured is.
            wide = replace(trial.judgement.speedup, mean=math.log(60.0), error=0.5)
            unsure = Finding(rule="a", title="a", status="unverified", stage="stages.0")
            judgement = replace(trial.judgement, speedup=wide)
            write_bound(unsure, replace(trial, judgement=judgement), ["stages.0"], None, "decode")
            assert (unsure.status, unsure.measured) == ("ceiling", finding.measured)


def test_a_bound_that_is_known_within_a_wide_interval_only_is_none() -> None:
    finding = Finding(rule="a", title="a", status="unverified", stage="stages.0")
    trial = trial_of(4.0)
    assert trial.judgement is not None
    assert trial.judgement.speedup is not None
    speedup = replace(trial.judgement.speedup, mean=math.log(15.3), error=0.8, freedom=5)
    wide = replace(trial.judgement, speedup=speedup)
    write_bound(finding, replace(trial, judgement=wide), ["stages.0"], None, "decode")
    assert finding.status == "unverified"
    assert str(finding.reason).startswith("no upper bound: without decode it lies between ")


def test_what_cannot_be_measured_stays_unverified(profile: Profile) -> None:
    finding = Finding(rule="a", title="a", status="unverified")
    write_bound(finding, Trial("rejected", "the edited pipeline raised: no"), ["stages.0"], None, "decode")
    assert (finding.status, finding.measured) == ("unverified", None)
    assert finding.reason == "no upper bound: the edited pipeline raised: no"
    del profile


def test_the_machine_has_an_upper_bound_of_its_own(profile: Profile) -> None:
    # 1.9 of 2 cores busy, 500 steps/s: 3.8 ms of CPU time per batch; the step takes 0.8 ms.
    profile.headspace = Headspace.of(20.0, 0.8, 4)
    found = bounded(profile, 0.5, cpu_seconds=1.9)
    assert found.measured is not None
    assert found.measured["other_cpu_ms_per_batch"] == pytest.approx(3.8, abs=0.02)
    assert found.measured["cores_needed"] == pytest.approx(4.75, abs=0.03)
    expected = "then the cores are the limit: with a step of 0.800 ms the rest needs 4.7 cores; this machine has 2"
    assert found.measured["conclusion"] == expected


def test_without_a_step_the_machine_has_a_rate(profile: Profile) -> None:
    assert profile.steps is not None
    profile.steps.dispatch = None
    found = bounded(profile, 0.5, cpu_seconds=1.9)
    assert found.measured is not None
    assert "cores_needed" not in found.measured
    assert found.measured["conclusion"] == "then the cores are the limit: the rest takes 3.80 ms of CPU per batch"


def test_no_rest_is_stated_that_the_cores_had_no_time_for(profile: Profile) -> None:
    """In the trial's processes all took twice as long: 3.8 ms of CPU for a batch, which takes 1 ms in the run then."""
    assert profile.steps is not None
    profile.steps.dispatch = None
    profile.steps.interval_ms = replace(profile.steps.interval_ms, mean=0.5)
    found = bounded(profile, 0.5, cpu_seconds=1.9)
    assert found.measured is not None
    assert found.measured["conclusion"] == "then the cores are the limit"


def test_the_cpu_time_of_a_replay_is_no_part_of_everything_else(profile: Profile) -> None:
    """The replay kept 1.9 of 2 cores busy; of the run's own CPU time, the stage and what is inside took nearly all."""
    assert profile.steps is not None
    assert profile.cpu is not None
    assert profile.stages is not None
    profile.steps.dispatch = None
    profile.cpu.total_ms, profile.stages[1].cpu_ms_per_batch = 20.0, 12.0
    profile.stages[2] = profile.stages[2].model_copy(update={"id": "stages.0.stages.0", "cpu_ms_per_batch": 7.0})
    found = bounded(profile, 0.5, cpu_seconds=1.9)
    assert found.measured is not None
    assert found.measured["other_cpu_ms_per_batch"] == pytest.approx(1.0)
    assert "conclusion" not in found.measured
    profile.cpu.total_ms = 24.0
    found = bounded(profile, 0.5, cpu_seconds=1.9)
    assert found.measured is not None
    assert found.measured["other_cpu_ms_per_batch"] == pytest.approx(3.8, abs=0.02)
    assert "conclusion" in found.measured


def test_cpu_time_of_steps_that_are_not_counted_is_left_out(profile: Profile) -> None:
    evidence = evidence_of(1.0, cpu_seconds=0.4)
    whole, part = bound_of(profile, evidence, 0.0, []), bound_of(profile, evidence, 1.0, [])
    assert whole is not None
    assert part is not None
    assert part.cpu_ms == pytest.approx(whole.cpu_ms / 2, rel=0.01)
    assert bound_of(profile, Evidence(), 0.0, []) is None


def test_a_stage_is_replaced_with_the_filters_that_drop_what_it_gives(profile: Profile) -> None:
    """A filter keeps two of three; another one, after a map, passes all."""
    assert profile.stages is not None
    assert to_replay(profile, ["stages.0"]) == ("stages.0", "stages.1")
    assert to_replay(profile, ["stages.1"]) == ("stages.1",)
    profile.stages[2].elements = 1499
    assert to_replay(profile, ["stages.0"]) == ("stages.0",)
    profile.stages[2].elements = 1000
    profile.stages[3] = profile.stages[3].model_copy(update={"op": "map", "elements": 1000})
    profile.stages[4] = profile.stages[4].model_copy(update={"op": "filter", "elements": 500})
    assert to_replay(profile, ["stages.0"]) == ("stages.0", "stages.1", "stages.2", "stages.3")
    # What stacks elements of several inputs cannot be part of a replay.
    profile.stages[3].op = "zip"
    assert to_replay(profile, ["stages.0"]) == ("stages.0",)


def test_a_bottleneck_states_what_was_tried_and_what_is_inside(profile: Profile) -> None:
    assert profile.stages is not None
    profile.stages[1].ops = [
        OpCost(op="Cast", ms_per_batch=0.2),
        OpCost(op="EagerPyFunc", ms_per_batch=30.0),
        OpCost(op="Add", ms_per_batch=0.0),
    ]
    profile.stages[1].python = [PythonCost(function="crop", ms_per_batch=21.0, share=1.0)]
    tried = [
        Finding(rule="measured", title="", status="rejected", stage="stages.0"),
        Finding(rule="measured", title="", status="rejected", stage="stages.0.stages.1"),
        Finding(rule="measured", title="", status="rejected", stage="stages.2"),
        Finding(rule="measured", title="", status="unverified", stage="stages.0"),
    ]
    found = bottleneck_finding(profile, ["stages.0"], tried)
    assert found.sentence == (
        "2 changes tried at decode, none helped. Inside: EagerPyFunc 30.0 ms and Cast 0.200 ms per batch, in Python "
        "crop() 21.0 ms"
    )
    # Python may draw random numbers.
    assert found.change == "write its Python as TensorFlow ops, called in the map itself"
    assert inside_of(profile.stages[:1]) == ""


def test_a_filter_that_passes_nearly_all_elements_does_so_with_those_of_a_replay(profile: Profile) -> None:
    assert replay_job(profile, ["stages.0"], None) == "filter after it depends on the values, which a replay repeats"
    assert profile.stages is not None
    profile.stages[2].elements = 1450
    job = replay_job(profile, ["stages.0"], None)
    assert isinstance(job, ReplayJob)
    assert job.passing == ["stages.1"]


def test_stages_that_use_the_cores_about_as_much_are_replaced_together(profile: Profile) -> None:
    rows = [("map", 0.3, 9.0), ("prefetch", 0.01, 0.1), ("map", 0.3, 8.5), ("map", 0.3, 8.0), ("batch", 0.05, 0.2)]
    profile.stages = [Stage(id="source", op="range", origin="written", elements=1500, share=0.0)]
    profile.stages += [
        Stage(id=f"stages.{at}", op=op, origin="written", elements=1500, share=share, cpu_ms_per_batch=cpu)
        for at, (op, share, cpu) in enumerate(rows)
    ]
    assert profile.verdict is not None
    profile.verdict.stage = "stages.0"
    stages = ("stages.0", "stages.1", "stages.2", "stages.3")
    assert further_bounds(profile, []) == [stages]
    profile.verdict.stage = None
    assert further_bounds(profile, []) == [stages]
    profile.verdict.stage = "stages.0"
    found = bottleneck_finding(profile, stages, [])
    assert found.title == "Make the 4 stages from map to map cheaper"
    assert found.change is not None
    assert found.change.startswith("the 4 stages from map to map: do less in them, on whole batches")
    one_kept = Finding(rule="a", title="a", status="kept", stage="stages.2", measured={"speedup": 9.0})
    assert further_bounds(profile, [one_kept]) == [("stages.0",)]
    profile.stages[1].share = 0.6
    assert further_bounds(profile, []) == [("stages.0",)]


def test_what_a_function_makes_is_replaced_with_the_stage_that_calls_it(profile: Profile) -> None:
    rows = {
        "source": ("range", 0.0, 0.1),
        "stages.0": ("flat_map", 0.2, 4.0),
        "stages.0.source": ("from_tensor_slices", 0.1, 4.0),
        "stages.1": ("batch", 0.4, 8.5),
    }
    profile.stages = [
        Stage(
            id=address,
            op=op,
            origin="written",
            elements=1500,
            share=share,
            cpu_ms_per_batch=cpu,
            depth=address.count(".") // 2,
        )
        for address, (op, share, cpu) in rows.items()
    ]
    assert profile.verdict is not None
    profile.verdict.stage = None
    assert further_bounds(profile, []) == [("stages.0", "stages.1")]


def test_what_is_inside_a_stage_is_not_its_few_known_ops_where_these_are_little_of_it(profile: Profile) -> None:
    assert profile.stages is not None
    stage = profile.stages[1]
    stage.ops, stage.time_ms_per_batch = [OpCost(op="ResizeBilinear", ms_per_batch=1.0)], 100.0
    assert inside_of([stage]) == "other small ops and copies 99.0 ms and ResizeBilinear 1.00 ms per batch"
    stage.loops = True
    assert inside_of([stage]) == "a loop of small ops and copies 99.0 ms and ResizeBilinear 1.00 ms per batch"
    advice = advice_for(profile, stage)
    assert advice is not None
    assert advice.text.startswith("replace its loop by ops on whole tensors")


def test_what_is_inside_of_a_stage_that_joins_datasets_is_what_makes_them(profile: Profile) -> None:
    decode, side = OpCost(op="DecodeJpeg", ms_per_batch=30.0), "source.inputs.{}.stages.0"
    profile.stages = [
        Stage(
            id="source", op="zip", origin="written", ops=[OpCost(op="Pack", ms_per_batch=0.1)], time_ms_per_batch=4.0
        ),
        Stage(id=side.format(0), op="map", origin="written", name="load", ops=[decode], time_ms_per_batch=31.0),
        Stage(id=side.format(1), op="map", origin="written", name="load", ops=[decode], time_ms_per_batch=31.0),
        Stage(id="source.inputs.2.stages.0", op="map", origin="written", name="words", time_ms_per_batch=9.0),
        Stage(id="stages.0", op="batch", origin="written"),
    ]
    found = bottleneck_finding(profile, ["source"], [])
    assert found.sentence == "Inside: DecodeJpeg 60.0 ms, words 9.00 ms and Pack 0.100 ms per batch"


@pytest.mark.parametrize(("speedup", "op", "cached", "reached"), [
    (4.5, "skip", False, True),
    (2.0, "skip", False, False),
    (4.5, "shuffle", False, False),
    (4.5, "skip", True, False),
])  # fmt: skip
def test_a_change_that_has_nearly_all_of_a_bound_leaves_nothing_of_it(
    profile: Profile, speedup: float, op: str, cached: bool, reached: bool
) -> None:
    bound = Finding(rule="measured", title="a", status="ceiling", stage="stages.0")
    bound.measured = {"speedup": 5.0, "replayed": ["stages.0"]}
    kept = Finding(rule="b", title="b", status="kept", stage="stages.1", measured={"speedup": speedup})
    kept.edit, kept.cache = documents_of([MoveStage("stages.1", op, "stages.0")]), Kept() if cached else None
    assert is_reached(profile, bound, [kept]) is reached


def test_a_proven_change_leaves_no_advice_on_what_it_removes(profile: Profile) -> None:
    kept = Finding(rule="b", title="b", status="kept", stage="stages.1", measured={"speedup": 2.0})
    kept.edit = documents_of([MoveStage("stages.1", "skip", "stages.0")])
    profile.findings = [kept]
    assert is_left_less(profile, ["stages.0"])
    assert not is_left_less(profile, ["stages.2"])
    kept.edit = documents_of([ReplaceStages(("stages.2",))])
    assert is_left_less(profile, ["stages.2"])
    kept.cache = Kept()
    assert not is_left_less(profile, ["stages.2"])


@pytest.mark.parametrize(("predicted", "left"), [(1.5, False), (9.0, True), (None, True)])
def test_what_a_proven_change_does_as_well_is_no_finding(profile: Profile, predicted: float | None, left: bool) -> None:
    kept = Finding(rule="a", title="a", status="kept", family="speed", measured={"speedup": 3.0})
    kept.edit = documents_of([ReplaceStages(("stages.0",))])
    other = Finding(rule="b", title="b", status="unverified", family="speed", stage="stages.0")
    other.edit, other.predicted = documents_of([HandWritten(("stages.0",), "", "")]), Predicted(speedup=predicted)
    profile.findings = [kept, other]
    assert drop_needless(profile, [], []) == ([] if left else [other])
    assert profile.findings == ([kept, other] if left else [kept])


def test_what_a_training_waits_for_is_suspected_where_no_rule_applies(profile: Profile) -> None:
    profile.findings = [
        Finding(rule="a", title="", status="unverified", family="speed", stage="stages.0", python="x = 1")
    ]
    suspect_bottleneck(profile)
    assert [finding.rule for finding in profile.findings] == ["a"]
    profile.findings = []
    suspect_bottleneck(profile)
    (found,) = profile.findings
    assert (found.rule, found.status, found.stage) == ("measured", "unverified", "stages.0")
    assert found.title == "Make decode cheaper"
    assert found.change
    threads = SetEnvironment("OMP_NUM_THREADS", "1")
    tuning = Finding(rule="b", title="", status="unverified", family="speed", stage="stages.0", recommendation="x")
    tuning.edit = documents_of([threads])
    profile.findings = [tuning]
    suspect_bottleneck(profile)
    assert [finding.rule for finding in profile.findings] == ["measured", "b"]


@pytest.mark.parametrize("bound", ["step", "balanced", None])
def test_a_training_that_does_not_wait_has_no_suspicion(profile: Profile, bound: Any) -> None:
    assert profile.verdict is not None
    profile.verdict.bound = bound
    suspect_bottleneck(profile)
    assert profile.findings == []


def test_a_rule_that_says_what_to_write_says_it_of_the_bound(profile: Profile) -> None:
    side, place = "source.inputs.{}.stages.0", "stages.0"
    profile.stages = [
        Stage(id="source", op="sample_from_datasets", origin="written", share=0.1),
        Stage(id=side.format(0), op="map", origin="written", share=0.2),
        Stage(id=side.format(1), op="map", origin="written", share=0.5),
        Stage(id=place, op="batch", origin="written", share=0.2),
    ]
    run = Finding(rule="a", title="Resample first", status="unverified", family="speed", stage=side.format(0))
    assert told_by_rule(profile, ["source"], [run]) is None
    run.recommendation = "Put load last"
    assert told_by_rule(profile, ["source"], [run]) is None
    run.edit = documents_of([HandWritten((side.format(0), side.format(1)), "", "")])
    assert told_by_rule(profile, ["source"], [run]) is run
    # A bound of speed is none of what saves memory.
    memory = {"family": "memory", "predicted": Predicted(speedup=None, peak_rss_delta_bytes=-9)}
    assert told_by_rule(profile, ["source"], [run.model_copy(update=memory)]) is None
    assert told_by_rule(profile, [place], [run]) is None
    assert told_by_rule(profile, ["source"], [run.model_copy(update={"rule": "measured"})]) is None


def test_stages_of_one_line_with_little_of_the_work_have_a_bound_with_those_before_them(profile: Profile) -> None:
    stages = [Stage(id="source", op="sample_from_datasets", origin="written")]
    rows = [("normalize", "map", 0.09), ("tokenize", "map", 0.08), ("long", "filter", 0.02), ("chunk", "flat_map", 0.1)]
    for side in ("source.inputs.0", "source.inputs.1"):
        stages += [Stage(id=f"{side}.source", op="TextLineDataset", origin="written", elements=90)]
        stages += [
            Stage(
                id=f"{side}.stages.{at}",
                op=op,
                origin="written",
                name=name,
                share=share,
                elements=90,
                location=Location(file="texts.py", line=at + 1, column=9),
            )
            for at, (name, op, share) in enumerate(rows)
        ]
    profile.stages = [*stages, Stage(id="stages.0", op="batch", origin="written", elements=9)]
    assert profile.verdict is not None
    profile.verdict.stage = "source.inputs.1.stages.3"
    (together, *_) = further_bounds(profile, [])
    assert together == tuple(one.id for one in stages if one.name)
    assert bottleneck_finding(profile, together, []).title == "Make the 4 stages from normalize to chunk cheaper"
    for stage in profile.stages:
        stage.share = 0.3 if stage.name == "chunk" else stage.share
    (together, *_) = further_bounds(profile, [])
    assert together == tuple(one.id for one in stages if one.name == "chunk")


def twins_of(profile: Profile, count: int = 4) -> tuple[str, ...]:
    """A pipeline that concatenates parts, each with a map that one line makes; the costliest is named."""
    place = Location(file="parts.py", line=7, column=4)

    def row(id_: str, op: str, elements: int, share: float = 0.0) -> Stage:
        located = {"name": "load", "location": place} if op == "map" else {}
        return Stage(id=id_, op=op, origin="written", elements=elements, share=share, **located)

    stages = [row("source", "range", 50), row("stages.0", "map", 50, 0.2)]
    for number in range(1, count):
        inner = f"stages.{number}.inputs.1"
        stages += [
            row(f"stages.{number}", "concatenate", 50 + 50 * number),
            row(f"{inner}.source", "range", 50),
            row(f"{inner}.stages.0", "map", 50, 0.2 + 0.01 * number),
        ]
    profile.stages = [*stages, row(f"stages.{count}", "batch", 20)]
    assert profile.verdict is not None
    assert profile.steps is not None
    profile.verdict.stage, profile.steps.count = f"stages.{count - 1}.inputs.1.stages.0", 20
    return tuple(stage.id for stage in stages if stage.op == "map")


def test_stages_of_one_line_have_one_bound(profile: Profile) -> None:
    twins = twins_of(profile)
    assert further_bounds(profile, []) == [twins]
    job = replay_job(profile, twins, None)
    assert isinstance(job, ReplayJob)
    assert (job.stages, job.per_batch, job.inputs, job.outputs) == ([*twins], 10.0, 1, 1)
    finding = bottleneck_finding(profile, twins, [Finding(rule="a", title="a", status="rejected", stage=twins[1])])
    assert finding.title == "Make the 4 stages of load cheaper"
    assert finding.sentence == "1 change tried at the 4 stages of load, none helped"
    finding.measured = {"replayed": [*twins]}
    assert further_bounds(profile, [finding]) == []
    alone = Finding(rule="a", title="a", status="unverified", stage=twins[-1])
    assert stages_to_replay(alone, profile.stages or ()) == twins[-1:]
    assert with_twins(profile, twins[-1:]) == twins
    assert with_twins(profile, ["source", twins[0]]) == ("source", twins[0])


def test_what_a_filter_needs_is_not_done_after_the_batch(profile: Profile) -> None:
    assert profile.stages is not None
    profile.stages[1].ops, profile.stages[1].time_ms_per_batch = [OpCost(op="AdjustHue", ms_per_batch=9.0)], 10.0
    assert "batches" not in str(bottleneck_finding(profile, ["stages.0"], []).change)


def test_advice_leaves_out_what_was_tried_without_a_gain(profile: Profile) -> None:
    assert profile.stages is not None
    profile.stages[2].op = "shuffle"
    profile.stages[1].ops, profile.stages[1].time_ms_per_batch = [OpCost(op="AdjustHue", ms_per_batch=9.0)], 10.0
    finding = bottleneck_finding(profile, ["stages.0"], [])
    finding.status = "ceiling"
    said = finding.change
    tried = Finding(rule="measured", title="a", status="unverified", stage="stages.0")
    tried.edit = documents_of([VectoriseMap("stages.0", "stages.2")])
    advise_again(profile, finding, [tried])
    assert finding.change == said
    assert "batches" in str(said)
    tried.status = "rejected"
    advise_again(profile, finding, [tried])
    assert str(finding.change).startswith("AdjustHue 90 %: adjust colours in the training step, on its device")


def test_advice_on_several_stages_stays_on_several_stages(profile: Profile) -> None:
    twins = twins_of(profile)
    for stage in profile.stages or ():
        if stage.id in twins:
            stage.ops, stage.time_ms_per_batch = [OpCost(op="AdjustHue", ms_per_batch=9.0)], 10.0
    finding = bottleneck_finding(profile, twins, [])
    finding.status, finding.measured = "ceiling", {"replayed": [*twins]}
    assert "batches" in str(finding.change)
    tried = Finding(rule="measured", title="a", status="rejected", stage=twins[1])
    tried.edit = documents_of([VectoriseMap(twins[1], f"stages.{len(twins)}")])
    advise_again(profile, finding, [tried])
    assert finding.title == "Make the 4 stages of load cheaper"
    assert "batches" not in str(finding.change)


def test_advice_on_stages_in_a_row_leaves_out_batches_that_did_not_help(profile: Profile) -> None:
    rows = ["stages.0", "stages.1"]
    finding = bottleneck_finding(profile, rows, [])
    finding.status, finding.measured = "ceiling", {"replayed": rows}
    title = finding.title
    assert "on whole batches if possible" in str(finding.change)
    tried = Finding(rule="measured", title="a", status="rejected", stage="stages.0")
    tried.edit = documents_of([VectoriseMap("stages.0", "stages.2")])
    advise_again(profile, finding, [tried])
    assert finding.title == title
    assert "do less in them or do their work once" in str(finding.change)


def test_what_was_tried_before_the_bound_is_no_advice_of_it(profile: Profile) -> None:
    assert profile.stages is not None
    profile.stages[2].op = "shuffle"
    profile.stages[1].ops, profile.stages[1].time_ms_per_batch = [OpCost(op="AdjustHue", ms_per_batch=9.0)], 10.0
    tried = Finding(rule="measured", title="a", status="rejected", stage="stages.0")
    tried.edit = documents_of([VectoriseMap("stages.0", "stages.2")])
    assert "batches" in str(bottleneck_finding(profile, ["stages.0"], []).change)
    assert "batches" not in str(bottleneck_finding(profile, ["stages.0"], [tried]).change)


@pytest.mark.parametrize(("kept", "together"), [(200, True), (120, False)])
def test_twins_before_a_filter_that_passes_all(profile: Profile, kept: int, together: bool) -> None:
    twins = twins_of(profile)
    assert profile.stages is not None
    profile.stages[-1:] = [
        Stage(id="stages.4", op="filter", origin="written", elements=kept),
        Stage(id="stages.5", op="batch", origin="written", elements=20),
    ]
    assert with_twins(profile, twins[-1:]) == (twins if together else twins[-1:])


def test_a_bottleneck_in_one_of_several_inputs_has_a_bound_of_its_own(profile: Profile) -> None:
    twins = twins_of(profile, 2)
    assert profile.stages is not None
    profile.stages[1].name = "other"
    assert further_bounds(profile, []) == [twins[1:]]


def test_what_chooses_by_a_value_is_not_replayed() -> None:
    written = [("source.choice_dataset.source", "range"), ("source.choice_dataset.stages.0", "map")]
    reason = why_no_replay([*written, ("source", "choose_from_datasets")], ["source.choice_dataset.stages.0"])
    assert reason == "choose_from_datasets after it depends on the values, which a replay repeats"
    inside = [("source", "range"), ("stages.0", "interleave"), ("stages.0.source", "range")]
    reason = why_no_replay(inside, ["stages.0.source"])
    assert reason == "it is inside a function, whose datasets are made anew for each element"


def test_stages_that_could_not_be_read_have_one_bound(profile: Profile) -> None:
    assert profile.stages is not None
    assert profile.verdict is not None
    profile.stages[1].share, profile.stages[2].share, profile.verdict.stage = None, None, None
    assert further_bounds(profile, []) == [("stages.0", "stages.1")]
    profile.verdict.stage = "stages.2"
    assert ("stages.0", "stages.1") not in further_bounds(profile, [])


@pytest.mark.parametrize(("low", "advised"), [(0.24, False), (1.24, True), (None, True)])
def test_a_stage_whose_bound_shows_no_gain_gets_no_advice(profile: Profile, low: float | None, advised: bool) -> None:
    measured = {"speedup": 1.5, "low": low} if low is not None else None
    finding = Finding(
        rule="measured", title="a", status="unverified", stage="stages.0", reason="why", recommendation="do this",
        measured=measured,
    )  # fmt: skip
    assert describe_open_bound(profile, finding).endswith("   do this") is advised


def test_lines_that_replace_more_than_a_replay_can_have_no_bound_of_a_part(profile: Profile) -> None:
    """Of windows over an array, a replay takes the place of the stage that opens each, and the lines that of all."""
    ops = ["window", "flat_map", "map", "batch"]
    profile.stages = [Stage(id="source", op="range", origin="written", elements=1500, share=0.0)]
    profile.stages += [
        Stage(id=f"stages.{at}", op=op, origin="written", name="as_batch", elements=1500, share=share)
        for at, (op, share) in enumerate(zip(ops, (0.1, 0.6, 0.2, 0.1), strict=True))
    ]
    assert profile.verdict is not None
    profile.verdict.stage = "stages.1"
    lines = Finding(rule="a", title="Gather", status="unverified", family="speed", stage="stages.1", python="x = 1")
    lines.predicted = Predicted(speedup=10.0)
    lines.edit = documents_of([HandWritten(("stages.1",), "", "x = 1")])
    assert further_bounds(profile, [lines]) == [("stages.1",)]
    lines.edit = documents_of([HandWritten(tuple(f"stages.{at}" for at in range(4)), "", "x = 1")])
    assert further_bounds(profile, [lines]) == []
    lines.predicted = None
    assert further_bounds(profile, [lines]) == [("stages.1",)]


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
    assert profile.steps is not None
    profile.steps.dispatch = dispatch
    finding = bounded(profile, 4.0)
    finding.change = finding.recommendation = advice
    assert is_for_a_step_only(profile, finding) is apart
    assert describe_open_bound(profile, finding).endswith(f". {advice}. A run with --step tells whether that pays")


@pytest.mark.parametrize(("others_ms", "said"), [(0.1, True), (8.0, False)])
def test_what_is_left_without_stages_in_parts_is_opening_these(
    profile: Profile, others_ms: float, *, said: bool
) -> None:
    parts = [f"stages.{number}.inputs.1.stages.0" for number in range(1, 10)]
    joined = [Stage(id=f"stages.{number}", origin="written", op="concatenate") for number in range(1, 10)]
    maps = [Stage(id=one, origin="written", op="map", time_ms_per_batch=1.0) for one in ("stages.0", *parts)]
    profile.stages = [*maps, *joined, Stage(id="stages.10", origin="written", op="batch", time_ms_per_batch=others_ms)]
    finding = Finding(rule="a", title="Rewrite load", status="unverified", stage="stages.0", family="speed")
    trial = trial_of(2.0)
    assert trial.evidence is not None
    addresses = ["stages.0", *parts]
    write_bound(finding, trial, addresses, bound_of(profile, trial.evidence, 0.0, addresses), "the 10 stages of load")
    conclusion = str((finding.measured or {}).get("conclusion"))
    assert (
        conclusion == "then a batch takes 12.1 ms: other stages 0.100 ms, the rest probably opening the 10 parts"
    ) is said
