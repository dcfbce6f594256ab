"""What a result warns of: what disturbed the session, and what its sides' own runs warned of."""

from types import SimpleNamespace

import pytest

from pipeprof.pipelines.spec.budgets import parse_budget
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.judge import live, messages
from pipeprof.profiles.judge.result import PairValues, Result, Side


@pytest.mark.parametrize(("shares", "said"), [((0.3, 0.1), "20 %"), ((0.02, 0.15), None), ((), None)])
def test_a_disturbed_session_says_so(shares, said):
    message = messages.disturbed([PairValues(order=[], a={}, b={}, elsewhere_share=share) for share in (None, *shares)])
    assert message is None if said is None else said in message.message


def test_warnings_of_the_sides_own_runs_are_carried_over_once():
    forked, leak = Message(code="forked", message="It forked."), Message(code="leak", message="It grew.")
    own = [Message(code="disturbed", message="busy"), Message(code="repeated", message="a note")]
    a = SimpleNamespace(warnings=[forked, *own, forked])
    b = SimpleNamespace(warnings=[*own, leak, forked])
    found = messages.warnings_of({"A": a, "B": b})
    assert [(one.code, one.message) for one in found] == [("forked", "A and B: It forked."), ("leak", "B: It grew.")]


@pytest.mark.parametrize("b_ends", [True, False])
def test_a_session_has_the_warnings_of_its_sides_also_if_one_fails(b_ends, monkeypatch):
    comparison = live._Comparison.__new__(live._Comparison)
    comparison.result = Result(kind="compare", tool=Tool(version="1"), a=Side(text="a"), b=Side(text="b"))
    comparison._profiles, comparison.save = {}, lambda: None

    def look(name: str) -> bool:
        comparison._profiles[name] = SimpleNamespace(warnings=[Message(code="forked", message="It.")], stages=None)
        return name == "a" or b_ends

    monkeypatch.setattr(comparison, "_look", look)
    monkeypatch.setattr(live, "stage_changes", lambda *_: [])
    assert comparison._look_at(["a", "b"]) is b_ends
    assert [warning.message for warning in comparison.result.warnings] == ["A and B: It."]


def test_each_budget_is_written_as_it_was_given():
    def budgets(**given: object):
        units = {"step_ms": "ms", "peak_bytes": "B", "first_batch_s": "s"}
        return {name: parse_budget(budget, units[name]) for name, budget in given.items()}

    base = budgets(step_ms="5%", first_batch_s={"limit": "2s"})
    judged = budgets(peak_bytes={"change": "10%", "limit": "2GiB", "level": "warn"})
    assert messages.other_budgets(base, judged, {}) == [
        "budgets.step_ms: 5 % → not set",
        "budgets.peak_bytes: not set → 10 %, at most 2.00 GiB, warn",
        "budgets.first_batch_s: at most 2 s → not set",
    ]
    assert messages.other_budgets(base, base, {}) == messages.other_budgets(base, {}, base) == []
