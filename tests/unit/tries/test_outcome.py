"""What is tried, why not, and what of it is written, in agreement with itself and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.report.changes import describe_gain
from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, SetEnvironment
from pipeprof.pipelines.changes.in_words import unified
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.advise.claims import cut_to_limit, too_dear, withhold_findings, withhold_fix
from pipeprof.profiles.advise.text.in_words import as_change, which_change
from pipeprof.profiles.document.findings import Finding, Fix, FixStep, Kept, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.time.verdict import most_gain
from pipeprof.profiles.tries.outcome import (
    cannot_try,
    cannot_verify,
    forget_best,
    is_covered,
    mark_rejected,
    taken,
    write_best,
)
from pipeprof.profiles.wording import stage_label, stage_name

Recorded = Callable[[str], Profile]
TEXT = "version: 1\nsource: {range: {stop: 9}}\nstages: [{batch: {batch_size: 3}}]\n"
CACHE = InsertStage("cache", {}, "source")
EMPTY: dict[str, Any] = {"edits": [], "environment": {}, "changes": [], "text": None, "diff": None}


@pytest.fixture
def start(tmp_path: Path) -> Version:
    path = tmp_path / "spec.yaml"
    path.write_text(TEXT)
    return Version((), load_spec(path, []))


def result() -> Fix:
    return Fix(status="interrupted", reason="", seconds=1.0, budget_seconds=60.0, wall_seconds=2.0, allow=["same"])


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_best_pipeline_is_written_and_forgotten(start: Version, mark: str) -> None:
    found = result()
    write_best(found, start.then([CACHE]), start, mark)
    assert (found.text or "").startswith(f"{mark}version: 1\n")
    assert "+stages: [{cache: {}}, {batch" in (found.diff or "")
    assert [[edit.kind for edit in step] for step in found.edits] == [["InsertStage"]]
    forget_best(found)
    assert found.model_dump(include=set(EMPTY)) == EMPTY


@pytest.mark.parametrize(("status", "expected"), [("kept", "taken"), ("unverified", "not-proven")])
def test_a_change_of_an_earlier_run_is_taken_as_it_is(start: Version, status: Any, expected: str) -> None:
    finding = Finding(rule="cache", title="a", status=status, semantics="order", measured={"speedup": 2.0})
    found = taken(finding, [CACHE], start)
    assert (found.status, found.semantics, found.allow) == (expected, "order", ["same", "order"])
    assert (found.measured is not None) is (status == "kept")
    assert "cache" in (found.text or "")


def calls(number: object, stage: str = "stages.0") -> dict[str, Any]:
    return {"edit": documents_of([SetArgument(stage, "map", "num_parallel_calls", number)])}


def test_only_the_finding_whose_change_was_rejected_on_the_pipeline_as_it_is_is_no_proposal(recorded: Recorded) -> None:
    profile, found = recorded("input-bound"), result()
    same: dict[str, Any] = {"rule": "parallel-calls", "stage": "stages.0", "title": "Run f in parallel"}
    rejected = Finding(**same, **calls(2), status="unverified")
    other = Finding(**same, **calls(4), status="unverified")
    later = Finding(**{**same, "stage": "stages.1"}, status="unverified")
    profile.findings = [rejected, other, later]
    step = {"result": "rejected", "round": 1, **same}
    found.steps = [
        FixStep(**step, **calls(2), reason="it changes the data"),
        FixStep(**{**step, "title": "Cache", "result": "taken", "round": 2}, reason="3.00×"),
        FixStep(**{**step, "stage": "stages.1", "round": 3}, reason="no gain"),
    ]
    mark_rejected(profile, found)
    assert [one.status for one in profile.findings] == ["rejected", "unverified", "unverified"]
    assert "it changes the data" in (rejected.reason or "")


def test_a_diff_has_the_lines_of_git_and_patch() -> None:
    before = "# a\u2028b\fc\na: 1\n"
    assert " # a\u2028b\fc\n-a: 1\n+a: 2\n" in unified(before, before.replace("1", "2"), "x.yaml")


def kept(title: str = "Run load in parallel", stage: str | None = "stages.0", **facts: object) -> Finding:
    return Finding(**{"rule": "measured", "title": title, "stage": stage, "status": "kept", **facts})


def test_a_change_that_was_not_tried_is_left_out_where_a_reported_one_is_the_same() -> None:
    for other, covered in (
        (kept("Run load in parallel", status="unverified"), True),
        (kept("Use more calls", **calls(8)), True),
        (kept("Use more calls", **calls(8), status="unverified"), False),
        (kept("Use more calls", "stages.1", **calls(8, "stages.1")), False),
        (kept("Run load in parallel", status="rejected"), False),
    ):
        assert is_covered(kept(**calls("AUTOTUNE")), [other]) is covered


@pytest.mark.parametrize("status", ["kept", "ceiling"])
def test_no_measured_gain_is_above_what_the_verdict_calls_best(recorded: Recorded, status: str) -> None:
    """The run's stored batches came 2.56 times as fast, a change in other processes 2.86 times."""
    profile = recorded("jpeg-folder")
    profile.headspace = Headspace.of(51.1, 20.0, 4)
    profile.verdict = None
    most = most_gain(profile)
    pairs = [2.8, 2.92, 2.4] * 2
    measured: dict[str, Any] = {"speedup": 2.86, "low": 2.71, "high": 3.02, "pairs": pairs, "data": "equal"}
    reason = "2.86× (2.71 to 3.02, 6 rounds) in two processes"
    slower = {"speedup": 1.5, "low": 1.4, "high": 1.6}
    profile.findings = [
        kept(status=status, measured=dict(measured), reason=reason),
        kept("Cache", measured=dict(slower), reason="1.50×"),
    ]
    cut_to_limit(profile)
    first, second = profile.findings
    cut = {**dict.fromkeys(("speedup", "low", "high"), most), "pairs": [min(pair, most) for pair in measured["pairs"]]}
    uncut = {name: measured[name] for name in cut}
    assert first.measured == {**measured, **cut, "at_limit": "as fast as the step allows", "uncut": uncut}
    assert describe_gain(first) == "as fast as the step allows"
    assert first.reason == "as fast as the step allows in two processes"
    assert (second.measured, second.reason) == (slower, "1.50×")
    profile.headspace, profile.findings = None, [kept(measured={"speedup": 99.0})]
    cut_to_limit(profile)
    assert profile.findings[0].measured == {"speedup": 99.0}, "without an upper limit gains are as measured"


MIB = 1 << 20


def finding(**facts: Any) -> Finding:
    return Finding(**{"rule": "cache", "title": "a", "status": "unverified", "semantics": "same", **facts})


@pytest.mark.parametrize(
    ("facts", "has_edit", "reason"),
    [
        ({"semantics": "order"}, True, None),
        ({"semantics": "order"}, False, "needs your code"),
        ({"semantics": "values"}, True, "may change values"),
        ({"family": "correctness"}, True, "about the data"),
    ],
)
def test_what_is_not_tried_has_its_reason(facts: dict[str, Any], has_edit: bool, reason: str | None) -> None:
    why = cannot_try(finding(**facts), has_edit=has_edit)
    assert why is None if reason is None else reason in str(why)
    assert cannot_try(finding(), has_edit=True, cache="it does not fit") == "it does not fit"


def test_a_run_that_did_not_end_well_has_nothing_tried(recorded: Recorded) -> None:
    ends = {name: cannot_verify(recorded(name)) is None for name in ("input-bound", "interrupted", "raised")}
    assert ends == {"input-bound": True, "interrupted": False, "raised": False}


def test_a_change_names_its_stage_and_what_it_keeps(recorded: Recorded) -> None:
    """Of two batches in a pipeline the reader could not tell which one got the calls."""
    profile = recorded("input-bound")
    at = next(stage for stage in profile.stages or () if stage.id == "stages.1")
    calls = finding(stage=at.id, change="num_parallel_calls: not set → AUTOTUNE", cache=Kept(sample_bytes=2 * MIB))
    assert which_change(profile, calls) == f"{stage_label(at)}: num_parallel_calls: not set → AUTOTUNE"
    assert "2.00 MiB" in as_change(profile, calls)
    calls.change = f"insert prefetch(buffer_size=AUTOTUNE) after {stage_name(at)}"
    assert which_change(profile, calls) == calls.change


@pytest.mark.parametrize(
    ("saved", "speedup", "high", "limit", "dear"),
    [
        *((77, 0.41, 0.47, None, True), (77, 0.41, 0.47, 1000, False), (77, 0.41, 0.47, 10_000, True)),
        *((77, 0.74, 2.78, None, True), (77, 0.74, 2.78, 1000, False), (77, 0.95, 1.02, None, False)),
        *((77, 0.9, None, None, False), (400, 0.6, 0.7, None, False), (400, 0.3, 0.4, None, True)),
    ],
)
def test_a_small_part_of_the_memory_is_not_worth_much_of_the_speed(
    saved: int, speedup: float, high: float | None, limit: int | None, dear: bool
) -> None:
    ends = {"low": 0.5, "high": high, "pairs": [speedup] * 6, "peak_rss_delta_bytes": -saved * MIB}
    found = finding(family="memory", status="kept", measured={"speedup": speedup, **ends})
    most = limit * MIB if limit is not None else None
    assert (too_dear(found, 734 * MIB, most) is not None) is dear
    found.edit = documents_of([SetEnvironment("MALLOC_ARENA_MAX", "2")])
    if limit is None and saved == 77:
        # Of a setting of the process, the speed must be known.
        assert too_dear(found, 734 * MIB, None) is not None
    found.family = "speed"
    assert too_dear(found, 734 * MIB, most) is None


def test_nothing_is_proven_by_a_replay_that_is_too_optimistic(recorded: Recorded) -> None:
    kept = Finding(rule="a", title="a", status="kept", reason="2.0× (1.9 to 2.1)", measured={"speedup": 2.0})
    bound = Finding(rule="b", title="b", status="ceiling", reason="at most 3.0×")
    lost = Finding(rule="c", title="c", status="rejected", reason="no gain")
    fix = Fix(status="fixed", reason="2.0×", seconds=1.0, budget_seconds=2.0, wall_seconds=3.0, allow=["same"])
    trained: Any = recorded("step-bound")
    trained.findings = [kept, bound, lost]
    told = []
    for why in (None, "the step may compute on the same cores"):
        trained.device.too_optimistic = why
        withhold_findings(trained)
        withhold_fix(trained, fix)
        told.append(([finding.status for finding in trained.findings], fix.status, kept.measured))
    assert told == [
        (["kept", "ceiling", "rejected"], "fixed", {"speedup": 2.0}),
        (["unverified", "unverified", "rejected"], "not-proven", {"speedup": 2.0}),
    ]
