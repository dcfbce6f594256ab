"""What of a search is written into its result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, SetOption
from pipeprof.pipelines.changes.in_words import unified
from pipeprof.pipelines.changes.version import Version
from pipeprof.pipelines.check import check_spec
from pipeprof.profiles.document.findings import Finding, Fix, FixStep, Unfinished, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.fix.search import Found
from pipeprof.profiles.tries.outcome import describe, forget_best, mark_rejected, write_best
from pipeprof.profiles.verify.judge_edit import Judgement
from pipeprof.profiles.verify.trials import Trial
from tests.unit.intervals import interval

TEXT = "version: 1\nsource: {range: {stop: 9}}\nstages: [{batch: {batch_size: 3}}]\n"
CACHED = TEXT.replace("[{batch", "[{cache: {}}, {batch")


def result_of(tmp_path: Path, mark: str = "") -> Fix:
    path = tmp_path / "spec.yaml"
    path.write_text(TEXT)
    loaded = check_spec(path, [])
    changed = check_spec(path, [], content=CACHED.encode())
    result = Fix(status="interrupted", reason="", seconds=1.0, budget_seconds=60.0, wall_seconds=2.0, allow=["same"])
    best = Version(((InsertStage("cache"),),), changed)
    write_best(result, best, Version((), loaded), mark)
    return result


def test_the_best_pipeline_so_far_is_written(tmp_path: Path) -> None:
    result = result_of(tmp_path)
    assert result.text == CACHED
    assert result.diff is not None
    assert "+stages: [{cache: {}}, {batch" in result.diff
    assert [[edit.kind for edit in step] for step in result.edits] == [["InsertStage"]]


def test_a_byte_order_mark_stays(tmp_path: Path) -> None:
    result = result_of(tmp_path, "\ufeff")
    assert result.text == "\ufeff" + CACHED
    assert result.diff is not None
    assert " \ufeffversion: 1\n" in result.diff


def test_nothing_stays_of_a_pipeline_that_was_not_proven(tmp_path: Path) -> None:
    result = result_of(tmp_path)
    forget_best(result)
    assert (result.edits, result.environment, result.changes, result.text, result.diff) == ([], {}, [], None, None)


def step(reason: str, **facts: Any) -> FixStep:
    given = {"round": 1, "title": "Run f in parallel", "rule": "serial-map", "stage": "stages.0", "result": "rejected"}
    return FixStep.model_validate({**given, "reason": reason, **facts})


def test_a_finding_whose_change_was_rejected_is_no_proposal(tmp_path: Path, recorded: Callable[[str], Profile]) -> None:
    profile, result = recorded("input-bound"), result_of(tmp_path)
    finding = Finding(rule="serial-map", stage="stages.0", title="Run f in parallel", status="unverified")
    other = finding.model_copy(update={"stage": "stages.1"})
    profile.findings = [finding, other]
    result.steps = [
        step("no gain", title="another"),
        step("it changes the data", round=2),
        step("3.00×", title="Cache", result="taken", round=2),
        step("no gain", stage="stages.1", round=3),
    ]
    mark_rejected(profile, result)
    assert (finding.status, finding.reason) == ("rejected", "tried by fix: it changes the data")
    assert (other.status, other.reason) == ("unverified", None)


def test_a_finding_with_another_change_of_that_name_was_not_tried(
    tmp_path: Path, recorded: Callable[[str], Profile]
) -> None:
    profile, result = recorded("input-bound"), result_of(tmp_path)
    two, four = (documents_of([SetArgument("stages.0", "map", "num_parallel_calls", calls)]) for calls in (2, 4))
    tried = Finding(rule="serial-map", stage="stages.0", title="Run f in parallel", status="unverified", edit=two)
    profile.findings = [tried, tried.model_copy(update={"edit": four})]
    result.steps = [step("no gain", edit=two)]
    mark_rejected(profile, result)
    assert [one.status for one in profile.findings] == ["rejected", "unverified"]


def test_a_diff_has_the_lines_of_git_and_patch() -> None:
    before = "# a\u2028b\fc\na: 1\n"
    found = unified(before, before.replace("1", "2"), "x.yaml")
    assert found.splitlines(keepends=False)[-1] == "+a: 2"
    assert " # a\u2028b\fc\n-a: 1\n+a: 2\n" in found


def undecided(result: Fix, *, late: bool, promised: bool = False) -> None:
    evidence = cast(
        "Evidence", SimpleNamespace(ratios=lambda: [1.02] * 10, measured=dict, peaks=list, restarts=lambda: 0)
    )
    judgement = Judgement("unverified", "too few pairs", interval(1.02, 0.8, 10), None, None, settled=False)
    found = Found(Version(((SetOption("deterministic", False),),)), semantics=["same"], promised=promised)
    describe(result, found, Trial("unverified", "too few pairs", evidence, judgement, late=late))


def test_a_larger_budget_is_named_only_where_the_time_ended_the_proof(tmp_path: Path) -> None:
    for late in (True, False):
        result = result_of(tmp_path)
        undecided(result, late=late)
        assert ("a larger --budget measures more" in result.reason) is late


def test_a_change_that_neither_its_race_nor_the_proof_decides_about_is_not_called_taken(tmp_path: Path) -> None:
    for promised, expected in ((True, "unclear"), (False, "taken")):
        result = result_of(tmp_path)
        result.steps = [step("its race cannot tell", result="taken")]
        undecided(result, late=True, promised=promised)
        assert [one.result for one in result.steps] == [expected]


def test_what_the_peak_was_and_is_differ_by_its_change(tmp_path: Path) -> None:
    result = result_of(tmp_path)
    facts = {"speedup": 1.9, "low": 1.8, "high": 2.0, "pairs": [1.9] * 12}
    pairs = [(604, 617, 500), (615, 616, 500)]
    evidence = cast(
        "Evidence",
        SimpleNamespace(ratios=lambda: [1.9] * 12, measured=lambda: facts, peaks=lambda: pairs, restarts=int),
    )
    judgement = Judgement("kept", "1.90×", interval(1.9, 1.8, 12), -13, None, settled=True)
    found = Found(Version(((SetOption("deterministic", False),),)), semantics=["same"])
    describe(result, found, Trial("kept", "1.90×", evidence, judgement))
    assert result.measured is not None
    assert (result.peak_before_bytes, result.peak_bytes) == (604, 617)
    assert result.measured["peak_rss_delta_bytes"] == 13


def test_a_proof_that_lacks_pairs_says_how_many_and_the_budget_that_has_them(tmp_path: Path) -> None:
    result = result_of(tmp_path)
    evidence = cast(
        "Evidence", SimpleNamespace(ratios=lambda: [1.7] * 8, measured=dict, peaks=list, restarts=lambda: 0)
    )
    judgement = Judgement("unverified", "too few pairs", interval(1.7, 1.61, 8), None, None, settled=False)
    trial = Trial("unverified", "too few pairs", evidence, judgement, missing_seconds=9.0)
    found = Found(Version(((SetOption("deterministic", False),),)), semantics=["same"])
    describe(result, found, trial)
    assert (result.status, result.reason) == ("not-proven", "1.70× so far after 8 of 12 pairs: --budget 70")
    assert result.unfinished == Unfinished(pairs=8, needed=12, budget_seconds=70)
