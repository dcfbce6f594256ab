"""What the searches have found, in the fields of the profile, and what an earlier run has proven."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.tries.workers import change, result

from pipeprof.cli.targets.saved import is_run_of
from pipeprof.pipelines.changes.chain import Replay
from pipeprof.profiles.advise.order import finding_of, proven_changes
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.findings import Finding, Fix, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import JobMaker, Version
from pipeprof.profiles.experiment.same_data import DataCheck
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.harness.settings import Silent
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.tries.combine import Contender, SearchStep, TriedChange, together
from pipeprof.profiles.tries.fix import FindBest
from pipeprof.profiles.tries.pace import pace_of
from pipeprof.profiles.tries.race import RaceResult
from pipeprof.profiles.tries.result import left_out, status_of, unfinished_of, write_into
from pipeprof.profiles.tries.run import RunResults
from pipeprof.profiles.tries.search import ManyRaces, OneRace
from pipeprof.profiles.wording import stage_name

NOT_THERE: Any = None
OTHER = change("b", "stages.1")
STATUSES = {
    **{"kept": "kept", "no gain": "rejected", "other data": "rejected", "failed": "rejected"},
    **{"undecided": "unverified", "refused": "unverified"},
}


def test_what_a_finding_is() -> None:
    assert {one: status_of(RaceResult(one)) for one in STATUSES} == STATUSES


def test_a_finding_has_the_interval_of_the_race() -> None:
    finding, found = finding_of(change("a")), result(1.5)
    write_into(finding, found, "alternating")
    assert finding.status == "kept"
    ends = [finding.measured[name] for name in ("speedup", "low", "high")]
    assert ends == pytest.approx([1.5, found.change.low, found.change.high], abs=1e-4)
    assert finding.measured["pairs"] == [1.5] * 3


def test_other_last_digits_and_another_order_are_in_the_class_of_the_change() -> None:
    digits, order = finding_of(change("a")), finding_of(change("b"))
    write_into(digits, result(1.5, data=DataCheck("rounding", 8, True)), "alternating")
    write_into(order, result(1.5, start={"compared": 100, "reordered": True}), "alternating")
    assert (digits.semantics, order.semantics) == ("values", "order")


def test_only_what_its_time_has_ended_is_unfinished() -> None:
    late = result(1.2, "undecided", late=True, rounds=4)
    found = unfinished_of(late, 30.0, 1.0)
    assert (found.pairs, found.needed, found.budget_seconds) == (4, 6, 40)
    assert unfinished_of(replace(late, late=False), 30.0, 1.0) is None
    assert unfinished_of(result(1.01, "undecided", late=True), 30.0, 1.0) is None
    assert unfinished_of(RaceResult("undecided", late=True), 30.0, 1.0) is None


def results(profile: Profile, settings: Options) -> RunResults:
    jobs = JobMaker(settings, memory_limit=None, digest_seconds=1.0, data_progress=Silent().data)
    return RunResults(profile, jobs, None, pace_of(profile, 60.0, None), 60.0, 0.0)


def searched(*tried: tuple[Proposal, RaceResult]) -> OneRace:
    search = OneRace(NOT_THERE, Version(), ())
    search.tried = [TriedChange(Contender(one), found, 1) for one, found in tried]
    return search


def test_a_run_reports_what_helps_and_counts_the_rest(profile: Profile, settings: Options) -> None:
    writing = results(profile, settings)
    search = searched(
        (change("a"), result(1.5)),
        (change("b", number=2), result(1.0, "no gain")),
        (change("c", number=3), result(1.1, "undecided")),
        (change("d", number=4), result(1.2, "undecided", late=True)),
        (OTHER, RaceResult("refused", "stages.0: writes files")),
    )
    for _ in range(2):
        writing.write(search, writing.pace)
    assert [(one.title, one.status) for one in profile.findings or ()] == [("a", "kept"), ("d", "unverified")]
    done = profile.verification
    assert (len(done.without_gain), len(done.undecided), done.tried) == (1, 1, 5)
    name = stage_name(next(one for one in profile.stages or () if one.id == "stages.0"))
    assert [(one.reason, len(one.changes)) for one in done.not_tried] == [(f"{name}: writes files", 1)]


def test_a_run_says_how_far_processes_of_one_pipeline_were_apart(profile: Profile, settings: Options) -> None:
    one, other = result(1.5), result(1.9)
    again = replace(one, again=result(1.2).evidence)
    copies = replace(other, compared=replace(other.compared, same=Interval(-0.5, 0.1, 4, 3)))
    for found, apart in ((one, 1.0), (again, 1.25), (copies, 1.6487)):
        writing = results(profile, settings)
        writing.write(searched((change("a"), found)), writing.pace)
        assert profile.verification.apart == apart


def test_what_a_bound_advises_is_said_once(profile: Profile, settings: Options) -> None:
    bound = (bounded(profile, settings, 3.0).findings or [])[0]
    said = Finding(rule="a", title="b", status="unverified", stage="stages.0")
    said.recommendation = f"{str(bound.recommendation).capitalize()}."
    other = [("unverified", "a"), ("ceiling", "measured")]
    cases: tuple[tuple[dict[str, str], Any], ...] = (
        ({}, [("ceiling", "a")]), ({"stage": "stages.1"}, other), ({"recommendation": "Read less."}, other),
    )  # fmt: skip
    for update, found in cases:
        profile.findings = [said.model_copy(update=update)]
        bounded(profile, settings, 3.0)
        assert [(one.status, one.rule) for one in profile.findings or ()] == found


def test_the_finding_that_proposes_a_change_is_written_into(profile: Profile, settings: Options) -> None:
    own = finding_of(replace(change("a"), rule="parallel-calls"))
    profile.findings = [own]
    writing = results(profile, settings)
    assert [one.proposal.edits for one in writing.contenders([])][:1] == [own.edits]
    writing.write(searched((change("a"), result(1.5))), writing.pace)
    assert profile.findings == [own]
    assert own.status == "kept"


def test_several_together_are_reported_where_they_are_better(profile: Profile, settings: Options) -> None:
    whole = together([change("a"), OTHER])
    for gain, titles in ((2.5, ["a", "b", whole.title]), (1.5, ["a", "b"])):
        profile.findings = []
        writing = results(profile, settings)
        search = searched((change("a"), result(1.5)), (OTHER, result(1.3)), (whole, result(gain)))
        writing.write(search, writing.pace)
        assert [one.title for one in profile.findings or ()] == titles


def test_what_may_not_be_tried_is_no_contender(profile: Profile, settings: Options) -> None:
    writing = results(profile, settings)
    contenders = writing.contenders([change("a"), change("b", number=2, semantics="values")])
    assert [one.proposal.title for one in contenders if not one.is_bound] == ["a"]


def bounded(profile: Profile, settings: Options, gain: float, *kept: float) -> Profile:
    """A run with the upper bound of the costliest stage, and with changes of it that were kept."""
    writing = results(profile, settings)
    stage = next(one for one in profile.stages or () if one.id == "stages.0")
    replay = Replay((stage.id,), 3, 1.0, 1, 1, 1)
    bound = Contender(Proposal("decode", stage=stage.id, covers=(stage.id,)), replay)
    search = searched(*((change("a"), result(one)) for one in kept))
    search.tried.append(TriedChange(bound, result(gain, "kept" if gain > 1 else "no gain"), 1))
    writing.write(search, writing.pace)
    writing.finish()
    return profile


@pytest.mark.parametrize(
    ("gain", "kept", "statuses", "lines"),
    [(3.0, (), ["ceiling"], 0), (3.0, (2.8,), ["kept"], 0), (3.0, (1.5,), ["ceiling", "kept"], 0), (1.0, (), [], 1)],
    ids=["a finding", "reached by a change", "reached by none", "of stages that cost little a line"],
)
def test_what_becomes_of_an_upper_bound(
    profile: Profile, settings: Options, gain: float, kept: tuple[float, ...], statuses: list[str], lines: int
) -> None:
    found = bounded(profile, settings, gain, *kept)
    assert sorted(one.status for one in found.findings or ()) == statuses
    for one in found.findings or ():
        assert one.status == "kept" or (one.measured or {})["replayed"] == ["stages.0"]
    done = found.verification
    assert (done.tried, len(done.bounds)) == (len(kept), lines)


def test_an_interruption_is_said_and_ends_the_command(profile: Profile, settings: Options) -> None:
    refused, own = [finding_of(replace(change("a", number=number), rule="parallel-calls")) for number in (8, 2)]
    profile.findings = [refused, own]
    writing = results(profile, settings)
    writing.contenders([])
    writing.write(searched((change("a"), RaceResult("refused", "a.csv"))), writing.pace)
    writing.write_end(InterruptedVerificationError(), 130)
    assert profile.exit_code == 130
    assert [one.code for one in profile.warnings][-1:] == ["verification-interrupted"]
    assert [refused.reason, own.reason] == ["not tried: a.csv", "not tried: interrupted"]


def found_best(profile: Profile, settings: Options, *steps: SearchStep) -> FindBest:
    ideas = [change("z", number=9, semantics="order")]
    given = {"allowed": frozenset({"same"}), "end_at": None, "save": lambda: None}
    finding = FindBest(profile, settings, lambda *_: ideas, 60.0, Silent(), **given)
    search = finding.search = ManyRaces(NOT_THERE, Version(), profile, finding.ideas, steps=list(steps))
    for step in steps:
        if step.result == "taken":
            search.best = search.best.then(step.tried.proposal.edits)
    return finding


def step(name: str, taken: Any, found: RaceResult) -> SearchStep:
    return SearchStep(TriedChange(Contender(change(name)), found, 1), taken)


@pytest.mark.parametrize(
    ("taken", "proof", "status"),
    [
        ("taken", result(1.0), "not-proven"),
        ("taken", result(1.2, "undecided", late=True), "not-proven"),
        ("rejected", None, "nothing"),
    ],
)
def test_what_the_proof_does_not_hold_is_not_written(
    profile: Profile, settings: Options, taken: str, proof: RaceResult | None, status: str
) -> None:
    finding = found_best(profile, settings, step("a", taken, result(2.0)))
    finding.describe(proof)
    assert (finding.result.status, finding.result.edits) == (status, [])
    assert (finding.result.unfinished is not None) == (proof is not None and proof.late)


def proven(title: str, speedup: float, **changes: Any) -> Finding:
    edit = [{"kind": "InsertStage", "op": "cache", "arguments": {}, "after": "stages.1"}]
    measured = {"speedup": speedup, "low": speedup * 0.9, "high": speedup * 1.1}
    given = {"rule": "measured", "title": title, "family": "speed", "semantics": "order", "status": "kept"}
    return Finding.model_validate({**given, "edit": edit, "measured": measured, **changes})


@pytest.fixture
def jpegs(recorded: Callable[[str], Profile]) -> Profile:
    return recorded("jpeg-folder")


def test_what_was_kept_is_proven_the_fastest_first(jpegs: Profile) -> None:
    rest = proven("c", 9.0, status="unverified"), proven("d", 9.0, edit=None)
    jpegs.findings = [proven("a", 1.5), proven("b", 5.8), *rest]
    found = proven_changes(jpegs)
    assert [(one.title, one.effect, one.speedup) for one in found] == [("b", "order", 5.8), ("a", "order", 1.5)]
    assert found[0].measured == (5.8, pytest.approx(5.22), pytest.approx(6.38))


def test_with_another_step_the_gain_of_an_earlier_run_is_not_claimed(jpegs: Profile, recorded: Any) -> None:
    jpegs.findings = [proven("a", 5.8, predicted={"speedup": 3.0})]
    assert proven_changes(jpegs, recorded("jpeg-folder"))[0].measured is not None
    (other,) = proven_changes(jpegs, recorded("step-none"))
    assert (other.measured, other.speedup) == (None, 3.0)


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "InsertStage", "op": "map", "arguments": {"python": "os:system"}, "after": None},
        {"kind": "InsertStage", "op": "cache", "arguments": {"filename": "/etc/x"}, "after": None},
        {"kind": "SetArgument", "stage": "stages.0", "op": "map", "argument": "num_parallel_calls", "value": 1 << 40},
        {"kind": "Unknown"},
    ],
)
def test_of_a_profile_of_somebody_else_only_edits_that_a_plan_may_hold_are_tried(jpegs: Profile, edit: Any) -> None:
    jpegs.findings = [proven("hostile", 9.0, edit=[edit])]
    assert proven_changes(jpegs) == []


@pytest.mark.parametrize(
    "other",
    [{"sha256": "0"}, {"text": "b.yaml"}, {"overrides": ["a=1"]}, {"arguments": {"a": "3"}}, {"resolved_sha256": "0"}],
)
def test_a_profile_counts_only_for_the_same_target_and_files(jpegs: Profile, other: dict[str, Any]) -> None:
    jpegs.command = ["pipeprof", "run", "spec.yaml"]
    target = jpegs.target.model_copy(deep=True)
    assert is_run_of(jpegs, target)
    assert not is_run_of(jpegs, target.model_copy(update=other))
    assert not is_run_of(jpegs.model_copy(update={"complete": False}), target)
    assert not is_run_of(jpegs.model_copy(update={"command": ["pipeprof", "fix", "spec.yaml"]}), target)


def candidate(title: str, predicted: float | None, measured: float | None = None, **changes: Any) -> Proposal:
    interval = (measured, measured * 0.9, measured * 1.1) if measured is not None else None
    expected = Predicted(formula="", speedup=predicted) if predicted is not None else None
    return Proposal(title, title, (title,), "order", predicted=expected, measured=interval, **changes)  # type: ignore[arg-type]


def test_what_is_left_out_is_called_measured_or_predicted_and_names_its_flag() -> None:
    proposed = [candidate("a", 9.0), candidate("b", 5.8, 5.8), candidate("c", None), candidate("d", 1.01)]
    found = left_out(proposed)
    known = [("b", 5.8, "measured"), ("a", 9.0, "predicted"), ("c", None, None)]
    assert [(one.title, one.speedup, one.known_by) for one in found] == known
    assert {one.allow for one in found} == {"--allow order"}
    assert Fix.model_construct(left_out=found).best_left_out is found[0]
    assert Fix.model_construct(left_out=found[2:]).best_left_out is None


def test_what_gives_no_more_than_what_was_found_is_not_left_out() -> None:
    assert left_out([candidate("a", 1.01), candidate("b", 2.0, 2.0)], gain=2.0) == []
    assert [one.title for one in left_out([candidate("b", 2.2, 2.2)], gain=2.0)] == ["b"]
