"""How proposals become findings: order, gate, what is ignored, and checks that fail."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from unit.view.views import measured, pipeline, stage

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, SetOption
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.spec.spec import Ignore
from pipeprof.profiles.advise.advise import advise, worth_a_try
from pipeprof.profiles.advise.check import Check, finding, sections
from pipeprof.profiles.advise.order import ordered
from pipeprof.profiles.advise.proposal import Family, Proposal
from pipeprof.profiles.document.findings import UNVERIFIED, Finding, Predicted
from pipeprof.profiles.view.view import PipelineView

ROWS = pipeline(
    stage("source", "range", line=3),
    stage("stages.0", "map", name="first", ms=4.0, line=5),
    stage("stages.1", "batch", arguments={"batch_size": 8}, line=7),
)


def draft(at: str | None = "stages.0", **facts: Any) -> Proposal:
    return Proposal(**({"title": "Title", "sentence": "Seen.", "recommendation": "Do.", "stage": at} | facts))


def check(name: str, *drafts: Proposal, family: Family = "memory", waits: bool = False) -> Check:
    return finding(name, family, "same", waits=waits)(lambda _: drafts)


def advised(view: PipelineView, *checks: Check, ignore: Iterable[Ignore] = ()) -> tuple[list[Finding], list[str]]:
    findings, messages = advise(view, ignore=tuple(ignore), checks=checks)
    return findings, [f"{message.code}: {message.message}" for message in messages]


def predicted(**effect: float) -> Predicted:
    return Predicted(formula="a formula", **effect)


def test_a_finding_has_everything_that_a_proposal_says() -> None:
    effect = predicted(speedup=2.0, peak_rss_delta_bytes=5)
    edits = SetArgument("stages.0", "map", "num_parallel_calls", AUTOTUNE), SetOption("threading.x", 4)
    made = draft(evidence={"some_bytes": 3}, edits=edits, predicted=effect, semantics="randomness")
    one = draft(None, title="", edits=(InsertStage("prefetch", {"buffer_size": 2}),))
    (found, none, single), messages = advised(
        ROWS, check("cache", made, family="speed"), check("big-array", one), check("idle-device", draft())
    )
    assert (messages, none.edit, single.location) == ([], None, None)
    assert single.model_dump()["edit"]["op"] == "prefetch"
    assert single.title == sections()["big-array"].title
    assert (found.rule, found.title, found.family, found.stage) == ("cache", "Title", "speed", "stages.0")
    assert (found.location.file, found.location.line) == ("spec.yaml", 5)
    assert (found.sentence, found.recommendation, found.evidence) == ("Seen.", "Do.", {"some_bytes": 3})
    assert [edit.kind for edit in found.edit] == ["SetArgument", "SetOption"]
    assert (found.semantics, found.predicted) == ("randomness", effect)
    assert (found.status, found.reason, found.measured) == ("unverified", UNVERIFIED, None)


def test_a_check_that_raises_is_a_warning_and_costs_nothing_else() -> None:
    broken = finding("cache", "memory", "same")(lambda view: [draft("source"), view.by_id["gone"]])
    findings, (message,) = advised(ROWS, broken, check("whole-batches", draft()))
    assert [found.rule for found in findings] == ["whole-batches"]
    assert message == "rule-failed: cache failed (KeyError: 'gone'): it is missing"


SPEED = check("cache", draft(), family="speed", waits=True)
OTHERS = (check("big-array", draft()), check("idle-device", draft(), family="speed"))


@pytest.mark.parametrize(
    ("wait", "headspace", "dispatch", "heard"),
    [
        *((0.05, 0.05, "sync", True), (0.049, 0.5, "sync", False), (0.5, 0.049, "sync", False)),
        *((0.9, 0.9, "sync", True), (0.0, None, "sync", False)),
        # Without a step the pipeline is all there is to wait for.
        *((0.0, 0.5, None, True), (1.0, 0.01, None, False)),
    ],
)
def test_speed_is_heard_only_where_there_is_something_to_win(
    wait: float, headspace: float, dispatch: Any, heard: bool
) -> None:
    view = measured(ROWS, wait_share=wait, headspace=headspace, dispatch=dispatch, interval_ms=100.0)
    findings, messages = advised(view, SPEED, *OTHERS)
    assert {found.rule for found in findings} == {"big-array", "idle-device"} | ({"cache"} if heard else set())
    assert messages == []


def test_ideas_are_findings_to_try_but_for_what_is_found_already() -> None:
    view = measured(ROWS)
    ideas = worth_a_try(view, [])
    assert "parallel-calls" in {one.rule for one in ideas}
    known = [one.model_copy(update={"rule": "big-array"}) for one in ideas if one.rule == "parallel-calls"]
    assert "parallel-calls" not in {one.rule for one in worth_a_try(view, known)}


def test_by_worth_then_by_place() -> None:
    gib = 1 << 30
    checks = (
        check("z-unknown", draft("stages.1"), draft("source")),
        check("a-half-the-peak", draft(predicted=predicted(peak_rss_delta_bytes=-gib))),
        check("b-thrice", draft(predicted=predicted(speedup=3.0)), family="speed"),
        check("c-a-little", draft(predicted=predicted(peak_rss_delta_bytes=-gib // 10))),
        check("d-slower", draft("stages.1", predicted=predicted(speedup=0.5)), family="speed"),
        check("y-wrong", draft(), family="correctness"),
    )
    findings, _ = advised(measured(ROWS, peak_bytes=2 * gib), *checks)
    order = "y-wrong b-thrice a-half-the-peak c-a-little z-unknown d-slower z-unknown"
    assert " ".join(found.rule for found in findings) == order


def test_status_before_worth() -> None:
    order = [
        *(("kept", "memory", 2.0), ("kept", "speed", 1.5), ("unverified", "correctness", 1.0)),
        *(("unverified", "speed", 8.0), ("ceiling", "speed", 7.0), ("rejected", "speed", 9.0)),
    ]
    one = {"rule": "a", "title": ""}
    found = [Finding(**one, status=status, family=family, measured={"speedup": x}) for status, family, x in order]
    assert ordered(found[::-1]) == found


def kept(
    name: str,
    times: float,
    low: float,
    semantics: str = "same",
    *,
    edits: int = 1,
    status: str = "kept",
    high: float = 0,
) -> Finding:
    edit = [{"kind": "SetOption", "path": "deterministic", "value": False}] * edits
    facts = {
        "rule": name.replace(" ", "-"),
        "title": "",
        "status": status,
        "family": "speed",
        "semantics": semantics,
        "edit": edit,
    }
    return Finding.model_validate(facts | {"measured": {"speedup": times, "low": low, "high": high or times}})


@pytest.mark.parametrize(
    "wanted",
    [
        (kept("same", 2.25, 2.1), kept("order", 2.4, 2.2, "order"), kept("random", 2.3, 2.0, "randomness")),
        (kept("faster", 2.4, 2.3, "order"), kept("same", 2.25, 2.1)),
        (kept("overlaps", 2.25, 2.1, high=2.35), kept("order", 2.4, 2.3, "order")),
        (kept("no gain", 2.4, 2.2, "order", status="rejected"), kept("same", 2.25, 2.1, status="rejected")),
        (kept("one edit", 8.2, 7.7), kept("three", 8.31, 7.8, edits=3)),
        (kept("three edits", 8.31, 7.8, edits=3), kept("one", 8.0, 7.5)),
        (kept("gentler", 8.2, 7.7, edits=3), kept("order", 8.31, 7.8, "order")),
    ],
    ids=lambda wanted: wanted[0].rule,
)
def test_of_equally_fast_changes_the_one_that_changes_less_comes_first(wanted: tuple[Finding, ...]) -> None:
    assert ordered(wanted) == ordered(wanted[::-1]) == [*wanted]


@pytest.mark.parametrize(("at", "gone"), [(None, 2), ("first", 1), (0, 1), ("stages.0", 1), (1, 1), ("source", 0)])
def test_ignored_findings_are_listed_with_their_reasons(at: str | int | None, gone: int) -> None:
    stage_given = {} if at is None else {"stage": at}
    entry = Ignore(rule="cache", reason="we  know\nthat", **stage_given)
    checks = check("cache", draft("stages.0"), draft("stages.1")), check("big-array", draft("stages.0"))
    findings, messages = advised(ROWS, *checks, ignore=[entry])
    assert len(findings) == 3 - gone
    assert len(messages) == (gone > 0)
    for message in messages:
        assert message.count("cache at stages.") == gone
        assert "(we know that)" in message


@pytest.mark.parametrize(("rule", "at", "codes"), [("cache", None, []), ("cach", "stages.0", ["unknown-rule"])])
def test_ignoring_another_rule_or_a_stage_does_not_hide_what_is_on_the_whole(
    rule: str, at: str | None, codes: list[str]
) -> None:
    findings, messages = advised(ROWS, check("cache", draft(at)), ignore=[Ignore(rule=rule, stage=0, reason="so")])
    assert (len(findings), [message.partition(":")[0] for message in messages]) == (1, codes)
