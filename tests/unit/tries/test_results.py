"""What the searches have found, in the fields of the profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.tries.workers import change, result

from pipeprof.profiles.advise.order import finding_of
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import JobMaker, Version
from pipeprof.profiles.experiment.same_data import DataCheck
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import ReplayJob
from pipeprof.profiles.tries.combine import Contender, SearchStep, TriedChange, together
from pipeprof.profiles.tries.fix import FindBest
from pipeprof.profiles.tries.pace import pace_of
from pipeprof.profiles.tries.race import RaceResult, Status
from pipeprof.profiles.tries.result import status_of, unfinished_of, write_into
from pipeprof.profiles.tries.run import RunResults
from pipeprof.profiles.tries.search import ManyRaces, OneRace
from pipeprof.profiles.tries.track import TrackClosedError
from pipeprof.profiles.wording import stage_name

NOT_THERE: Any = None


OTHER = change("b", "stages.1")
STATUSES: dict[Status, str] = {
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
    for update, kept in (({}, 0), ({"stage": "stages.1"}, 1), ({"recommendation": "Read less."}, 1)):
        profile.findings = [said.model_copy(update=update)]
        bounded(profile, settings, 3.0)
        assert sum(one.rule == "a" for one in profile.findings or ()) == kept


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
    replay = ReplayJob([stage.id], 3, 1.0, 1, 1, 1, None)
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
    refused, own = (
        finding_of(change(name, number=number, rule="parallel-calls")) for name, number in (("a", 8), ("b", 2))
    )
    profile.findings = [refused, own]
    writing = results(profile, settings)
    writing.contenders([])
    writing.write(searched((change("a"), RaceResult("refused", "a.csv"))), writing.pace)
    writing.write_end(InterruptedVerificationError(), 130)
    assert profile.exit_code == 130
    assert [one.code for one in profile.warnings][-1:] == ["verification-interrupted"]
    assert [refused.reason, own.reason] == ["not tried: a.csv", "not tried: interrupted"]


def found_best(profile: Profile, settings: Options, *steps: SearchStep) -> FindBest:
    finding = FindBest(
        profile,
        settings,
        lambda _profile, _version: [change("z", number=9, semantics="order")],
        60.0,
        Silent(),
        **{"allowed": frozenset({"same"}), "end_at": None, "save": lambda: None},
    )
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


def test_what_ends_a_search_keeps_its_steps(profile: Profile, settings: Options) -> None:
    finding = found_best(profile, settings, step("a", "taken", result(2.0)))
    finding.end(TrackClosedError("input.py has changed"), None)
    assert (finding.result.status, len(finding.result.edits), profile.exit_code) == ("interrupted", 1, 1)
