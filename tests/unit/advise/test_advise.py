"""How rules become findings: order, gate, duplicates, what is ignored, and rules that fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from graphlib import CycleError
from typing import Any

import pytest
from unit.advise.views import measured, pipeline, stage

from pipeprof.pipelines.changes.edits import HandWritten, InsertStage, SetArgument, SetOption
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.spec.models import Ignore
from pipeprof.profiles.advise import advise as module
from pipeprof.profiles.advise.advise import GATE, advise
from pipeprof.profiles.advise.gone import RULES
from pipeprof.profiles.advise.order import ordered, worth
from pipeprof.profiles.advise.rule import Rule, Threshold, by_precedence
from pipeprof.profiles.document.findings import UNVERIFIED, Finding, Kept
from pipeprof.profiles.document.findings import Predicted as PredictedEffect
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView

ROWS = pipeline(
    stage("source", "range", line=3),
    stage("stages.0", "map", name="first", ms=4.0, line=5),
    stage("stages.1", "batch", arguments={"batch_size": 8}, line=7),
)


def rule(name: str = "some-rule", drafts: Iterable[Proposal] = (), **facts: Any) -> Rule:
    """A rule that says what a test wants, the same with and without a measurement unless `measured_drafts` differ."""

    class Made(Rule):
        title = facts.get("title", f"Title of {name}")
        family = facts.get("family", "memory")
        semantics = facts.get("semantics", "same")
        seen = why = fix = ignore_when = "…"
        yields_to = facts.get("yields_to", ())

        def check(self, view: PipelineView) -> Iterable[Proposal]:
            del view
            return drafts

        def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
            return facts.get("measured_drafts", self.check(view))

    Made.name = name
    return Made()


def draft(at: str | None = "stages.0", **facts: Any) -> Proposal:
    return Proposal(**({"sentence": "Seen.", "recommendation": "Do.", "stage": at} | facts))


def advised(view: PipelineView, *rules: Rule, ignore: Iterable[Ignore] = ()) -> tuple[list[Finding], list[str]]:
    findings, messages = advise(view, ignore=tuple(ignore), rules={one.name: one for one in rules})
    return findings, [f"{message.code}: {message.message}" for message in messages]


def speedup(times: float) -> Prediction:
    return Prediction("a formula", speedup=times)


def saving(bytes_: int) -> Prediction:
    return Prediction("a formula", peak_rss_delta_bytes=-bytes_)


def test_a_finding_has_everything_that_the_draft_and_the_rule_say() -> None:
    made = draft(
        evidence={"some_bytes": 3},
        edits=(SetArgument("stages.0", "map", "num_parallel_calls", AUTOTUNE), SetOption("threading.x", 4)),
        predicted=Prediction("2 / 1", speedup=2.0, peak_rss_delta_bytes=5),
        semantics="randomness",
    )
    (found,), messages = advised(ROWS, rule(drafts=[made], title="Title", family="speed"))
    assert messages == []
    assert (found.rule, found.title, found.family, found.stage) == ("some-rule", "Title", "speed", "stages.0")
    assert found.location is not None
    assert (found.location.file, found.location.line) == ("spec.yaml", 5)
    assert (found.sentence, found.recommendation, found.evidence) == ("Seen.", "Do.", {"some_bytes": 3})
    assert found.semantics == "randomness"
    assert (found.patch, found.python, found.diff) == (None, None, None)
    assert isinstance(found.edit, list)
    assert [edit.kind for edit in found.edit] == ["SetArgument", "SetOption"]
    assert found.predicted == PredictedEffect(speedup=2.0, peak_rss_delta_bytes=5, formula="2 / 1")
    assert (found.status, found.reason, found.measured) == ("unverified", UNVERIFIED, None)


def test_one_edit_stands_alone_and_none_is_null() -> None:
    one = rule("one", [draft(edits=(InsertStage("prefetch", {"buffer_size": 2}),))])
    (found, nothing), _ = advised(ROWS, one, rule("two", [draft(None)]))
    assert not isinstance(found.edit, list)
    assert found.model_dump()["edit"]["op"] == "prefetch"
    assert (nothing.edit, nothing.patch, nothing.python, nothing.location) == (None, None, None, None)


def test_static_views_are_checked_and_measured_ones_diagnosed() -> None:
    two = rule(drafts=[draft(sentence="static")], measured_drafts=[draft(sentence="measured")])
    assert advised(ROWS, two)[0][0].sentence == "static"
    assert advised(measured(ROWS), two)[0][0].sentence == "measured"


def test_without_costs_what_needs_none_still_holds() -> None:
    view = measured(ROWS)
    blank = [
        dataclasses.replace(one, measured=one.measured and one.measured.model_copy(update={"time_ms_per_batch": None}))
        for one in view.stages
    ]
    two = rule(drafts=[draft(sentence="static")], measured_drafts=[])
    assert advised(view, two)[0] == []
    assert [found.sentence for found in advised(dataclasses.replace(view, stages=tuple(blank)), two)[0]] == ["static"]


def test_a_rule_that_raises_is_a_warning_in_one_line_and_costs_nothing_else() -> None:
    def broken() -> Iterator[Proposal]:
        yield draft("source")
        msg = "a\nb " + "x" * 999
        raise KeyError(msg)

    findings, (message,) = advised(ROWS, rule("broken", broken()), rule("whole", [draft()]))
    assert [found.rule for found in findings] == ["broken", "whole"]
    assert message.startswith("rule-failed: the rule broken failed (KeyError: ")
    assert "\n" not in message
    assert len(message) < 320


def test_an_edit_that_raises_counts_as_the_rule() -> None:
    findings, (message,) = advised(ROWS, rule(drafts=[draft(edits=(HandWritten((), "", "", "of {stage}"),))]))
    assert findings == []
    assert "some-rule failed (IndexError" in message


SPEED = rule("speed", [draft()], family="speed")
OTHERS = (rule("memory", [draft()], family="memory"), rule("correctness", [draft()], family="correctness"))


@pytest.mark.parametrize(
    ("wait", "headspace", "heard"),
    [(0.05, 0.05, True), (0.049, 0.5, False), (0.5, 0.049, False), (0.9, 0.9, True), (0.0, None, False)],
)
def test_speed_is_heard_only_where_there_is_something_to_win(wait: float, headspace: float, heard: bool) -> None:
    view = measured(ROWS, wait_share=wait, headspace=headspace, interval_ms=100.0)
    findings, messages = advised(view, SPEED, *OTHERS)
    assert {found.rule for found in findings} == {"memory", "correctness"} | ({"speed"} if heard else set())
    assert messages == []


def test_without_a_step_the_pipeline_is_all_there_is_to_wait_for() -> None:
    assert advised(measured(ROWS, wait_share=0.0, dispatch=None), SPEED)[0] != []
    assert advised(measured(ROWS, wait_share=1.0, headspace=0.01, dispatch=None), SPEED)[0] == []


def test_what_speed_could_not_be_judged_by_is_said() -> None:
    findings, (message,) = advised(measured(ROWS, headspace=None), SPEED, *OTHERS)
    assert {found.family for found in findings} == {"memory", "correctness"}
    assert message.startswith(
        "speed-not-judged: Speed was not judged: the upper bound of a faster pipeline was not measured"
    )
    assert message.endswith("Not reported: speed")
    view = measured(ROWS)
    assert view.profile is not None
    unmeasured = dataclasses.replace(view, profile=view.profile.model_copy(update={"steps": None}))
    assert "no step was measured" in advised(unmeasured, SPEED)[1][0]
    assert advised(unmeasured, *OTHERS)[1] == []


def test_a_static_view_of_a_measured_pipeline_is_gated_too() -> None:
    profile = measured(ROWS, wait_share=0.01).profile
    assert advised(dataclasses.replace(ROWS, profile=profile), SPEED) == ([], [])
    assert len(advised(ROWS, SPEED)[0]) == 1


def test_the_gate_is_published() -> None:
    assert [(one.name, one.value) for one in GATE] == [("wait-share", 0.05), ("headspace-share", 0.05)]
    assert all(isinstance(one, Threshold) and one.source for one in GATE)


def test_the_same_rule_at_the_same_stage_is_one_finding() -> None:
    drafts = [
        draft(sentence="small", predicted=speedup(1.2), evidence={"a": 1, "b": 1}),
        draft(sentence="large", predicted=speedup(3.0), evidence={"b": 2}),
        draft("stages.1", sentence="elsewhere"),
    ]
    findings, _ = advised(ROWS, rule(drafts=drafts))
    assert [(found.sentence, found.evidence) for found in findings] == [("large", {"a": 1, "b": 2}), ("elsewhere", {})]


def test_the_same_rule_with_another_change_is_another_finding() -> None:
    two, four = (
        draft(edits=(SetArgument("stages.0", "map", "num_parallel_calls", calls),), predicted=speedup(calls))
        for calls in (2, 4)
    )
    findings, _ = advised(ROWS, rule(drafts=[two, four, two]))
    assert [found.edits for found in findings] == [four.edits, two.edits]


def test_by_worth_then_by_place() -> None:
    gib = 1 << 30
    rules = (
        rule("z-unknown", [draft("stages.1"), draft("source")]),
        rule("a-half-the-peak", [draft(predicted=saving(gib))]),
        rule("b-thrice", [draft(predicted=speedup(3.0))], family="speed"),
        rule("c-a-little", [draft(predicted=saving(gib // 10))]),
        rule("d-slower", [draft("stages.1", predicted=speedup(0.5))], family="speed"),
        rule("y-wrong", [draft()], family="correctness"),
    )
    findings, _ = advised(measured(ROWS, peak_bytes=2 * gib), *rules)
    assert [found.rule for found in findings] == [
        "y-wrong",
        "b-thrice",
        "a-half-the-peak",
        "c-a-little",
        "z-unknown",
        "d-slower",
        "z-unknown",
    ]


def test_twice_the_speed_is_worth_half_the_peak() -> None:
    view = measured(ROWS, peak_bytes=1000)
    twice = Finding(rule="a", title="", status="unverified", predicted=PredictedEffect(speedup=2.0))
    half = twice.model_copy(update={"predicted": PredictedEffect(peak_rss_delta_bytes=-500)})
    assert worth(twice, view) == pytest.approx(worth(half, view))
    assert worth(half) > 0
    unknown = PredictedEffect.model_construct(peak_rss_delta_bytes=500, speedup=float("nan"))
    more = twice.model_copy(update={"predicted": unknown})
    assert worth(more, view) == 0.0


def test_status_before_worth() -> None:
    def finding(status: str, family: str, times: float) -> Finding:
        facts = {"rule": f"{status}-{family}-{times:g}", "title": "", "status": status, "family": family}
        return Finding.model_validate(facts | {"measured": {"speedup": times}})

    shuffled = [
        finding("rejected", "speed", 9.0),
        finding("unverified", "speed", 8.0),
        finding("unverified", "correctness", 1.0),
        finding("ceiling", "speed", 7.0),
        finding("kept", "speed", 1.5),
        finding("kept", "memory", 2.0),
    ]
    assert [found.rule for found in ordered(shuffled)] == [
        "kept-memory-2",
        "kept-speed-1.5",
        "ceiling-speed-7",
        "unverified-correctness-1",
        "unverified-speed-8",
        "rejected-speed-9",
    ]


def test_lines_to_write_come_before_caches() -> None:
    cache = Finding(rule="measured", title="", family="speed", status="kept", cache=Kept(), measured={"speedup": 9.0})
    lines = Finding(rule="measured", title="", family="speed", status="unverified", python=".batch(256)")
    assert ordered([cache, lines]) == [lines, cache]


def test_of_equally_fast_changes_the_one_that_changes_less_comes_first() -> None:
    def finding(semantics: str, low: float, times: float, status: str = "kept") -> Finding:
        facts = {"rule": f"{semantics}-{times:g}", "title": "", "status": status, "family": "speed"}
        return Finding.model_validate(facts | {"semantics": semantics, "measured": {"speedup": times, "low": low}})

    close = finding("order", 2.2, 2.4), finding("randomness", 2.0, 2.3), finding("same", 2.1, 2.25)
    assert [found.rule for found in ordered(close)] == ["same-2.25", "order-2.4", "randomness-2.3"]
    apart = finding("order", 2.3, 2.4), finding("same", 2.1, 2.25)
    assert [found.rule for found in ordered(apart)] == ["order-2.4", "same-2.25"]
    untried = finding("order", 2.2, 2.4, "rejected"), finding("same", 2.1, 2.25, "rejected")
    assert [found.rule for found in ordered(untried)] == ["order-2.4", "same-2.25"]


def test_of_equally_fast_changes_the_one_with_fewer_edits_comes_first() -> None:
    def finding(edits: int, times: float, semantics: str = "same") -> Finding:
        facts = {"rule": f"{edits}-{times:g}", "title": "", "status": "kept", "family": "speed", "semantics": semantics}
        edit = [{"kind": "set-option", "option": "deterministic", "value": False}] * edits
        return Finding.model_validate(facts | {"edit": edit, "measured": {"speedup": times, "low": times - 0.5}})

    assert [found.rule for found in ordered([finding(3, 8.31), finding(1, 8.2)])] == ["1-8.2", "3-8.31"]
    assert [found.rule for found in ordered([finding(3, 8.31), finding(1, 8.0)])] == ["3-8.31", "1-8"]
    gentler = finding(3, 8.2), finding(1, 8.31, "order")
    assert [found.rule for found in ordered(gentler)] == ["3-8.2", "1-8.31"]


@pytest.mark.parametrize(("at", "gone"), [(None, 2), ("first", 1), (0, 1), ("stages.0", 1), (1, 1), ("source", 0)])
def test_ignored_findings_are_listed_with_their_reasons(at: str | int | None, gone: int) -> None:
    stage_given = {} if at is None else {"stage": at}
    entry = Ignore(rule="some-rule", reason="we  know\nthat", **stage_given)
    rules = rule(drafts=[draft("stages.0"), draft("stages.1")]), rule("other", [draft("stages.0")])
    findings, messages = advised(ROWS, *rules, ignore=[entry])
    assert len(findings) == 3 - gone
    assert "other" in {found.rule for found in findings}
    if gone:
        assert messages[0].startswith(f"ignored: {gone} finding")
        assert messages[0].count("some-rule at stages.") == gone
        assert "(we know that)" in messages[0]
    else:
        assert messages == []


def test_an_entry_for_a_stage_does_not_hide_a_finding_on_the_whole() -> None:
    entry = Ignore(rule="some-rule", stage=0, reason="so")
    assert len(advised(ROWS, rule(drafts=[draft(None)]), ignore=[entry])[0]) == 1


def test_ignoring_a_rule_that_does_not_exist_hides_nothing() -> None:
    entries = [Ignore(rule=name, reason="so") for name in ("som-rule", "quite different", "unequal-shards")]
    findings, messages = advised(ROWS, rule(drafts=[draft()]), ignore=entries)
    assert len(findings) == 1
    assert messages == [
        "unknown-rule: `ignore` names 'som-rule', which is not a rule — did you mean some-rule?",
        "unknown-rule: `ignore` names 'quite different', which is not a rule; `pipeprof rules` lists them",
        f"unknown-rule: `ignore` names 'unequal-shards', which is gone: {RULES['unequal-shards']}",
    ]


def test_ignoring_a_rule_that_has_another_name_now_names_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "old-rule", "some-rule")
    _, messages = advised(ROWS, rule(drafts=[draft()]), ignore=[Ignore(rule="old-rule", reason="so")])
    assert messages == ["unknown-rule: `ignore` names 'old-rule', which is some-rule now"]


def test_without_rules_given_all_there_are_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "all_rules", lambda: {"some-rule": rule(drafts=[draft()])})
    assert [found.rule for found in advise(ROWS)[0]] == ["some-rule"]


def test_a_rule_is_silent_where_the_one_it_yields_to_has_a_hit() -> None:
    strong = rule("z-strong", [draft("stages.0", covers=("stages.0", "stages.1"))])
    weak = rule("a-weak", [draft("stages.1"), draft("source"), draft(None)], yields_to=("z-strong", "not-there"))
    findings, messages = advised(ROWS, strong, weak)
    assert messages == []
    assert sorted((one.rule, one.stage or "") for one in findings) == [
        ("a-weak", ""),
        ("a-weak", "source"),
        ("z-strong", "stages.0"),
    ]


def test_a_hit_that_was_silenced_silences_nothing() -> None:
    first = rule("first", [draft("stages.0")])
    second = rule("second", [draft("stages.0", covers=("stages.0", "stages.1"))], yields_to=("first",))
    third = rule("third", [draft("stages.1")], yields_to=("second",))
    assert [one.rule for one in advised(ROWS, third, second, first)[0]] == ["first", "third"]


def test_rules_that_yield_to_each_other_are_an_error() -> None:
    one, two = rule("one", [], yields_to=("two",)), rule("two", [], yields_to=("one",))
    with pytest.raises(CycleError):
        by_precedence({"one": one, "two": two})
