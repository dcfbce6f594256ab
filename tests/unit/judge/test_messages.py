"""What a comparison says while it goes on, and what its result warns of."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeprof.pipelines.spec.budgets import UNITS, parse_budget
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Message, Tool
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.team import OutOfTimeError
from pipeprof.profiles.harness.settings import Silent, make_options
from pipeprof.profiles.judge import live, messages
from pipeprof.profiles.judge.pairs import MeasuredPair, Process
from pipeprof.profiles.judge.result import PairValues, Result, Side
from pipeprof.profiles.judge.verdict import conclude_gate
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import Built, TurnEnded


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


def test_each_budget_is_written_as_it_was_given():
    def budgets(**given: object):
        return {name: parse_budget(budget, UNITS[name]) for name, budget in given.items()}

    base = budgets(step_ms="5%", first_batch_s={"limit": "2s"})
    judged = budgets(peak_bytes={"change": "10%", "limit": "2GiB", "level": "warn"})
    assert messages.other_budgets(base, judged, {}) == [
        "budgets.step_ms: 5 % → not set",
        "budgets.peak_bytes: not set → 10 %, at most 2.00 GiB, warn",
        "budgets.first_batch_s: at most 2 s → not set",
    ]
    assert messages.other_budgets(base, base, {}) == messages.other_budgets(base, {}, base) == []


class Told(Silent):
    def __init__(self) -> None:
        self.left: list[float | None] = []
        self.words: list[str] = []
        self.ends_in = self.left.append  # type: ignore[method-assign]
        self.standing = self.words.append  # type: ignore[method-assign]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """In place of the module `time`."""
    found = SimpleNamespace(now=1000.0, monotonic=lambda: found.now)
    monkeypatch.setattr(live, "time", found)
    return found


@pytest.fixture
def side(tmp_path: Path) -> live.LiveSide:
    (tmp_path / "input.py").write_text("def make(): ...\n")
    settings = make_options(parse_target(f"{tmp_path / 'input.py'}:make"), max_time=60.0)
    return live.LiveSide(settings, ProfileWriter([]))


def new_result() -> Result:
    return Result(kind="compare", tool=Tool(version="1"), a=Side(text="a"), b=Side(text="b"))


def process(seconds: float) -> Process:
    return Process(Built([], False, 400 << 20, 0.1, 0.1), (TurnEnded(100, seconds, None, 0.1, 5000),))


class Session:
    """Pairs of 10 s whose B takes twice as long, until the time is over."""

    order = "turns"

    def __init__(self, clock: SimpleNamespace, most: int = 9) -> None:
        self._clock, self._most = clock, most

    def pair(self, number: int) -> MeasuredPair:
        if number >= self._most:
            raise OutOfTimeError
        self._clock.now += 10.0
        slower = 2.0 + 0.01 * number
        return MeasuredPair({"A": process(1.0), "B": process(slower), "A′": process(1.01)}, ("A", "B", "A′"))


def test_each_pair_begins_with_the_ratio_so_far_and_the_time_left(side, clock):
    told, plan = Told(), live.SessionPlan(lambda found: len(found.pairs) >= 3, most=3)
    run = live._Comparison({"a": side, "b": side}, new_result(), plan, cast("Any", told), list)
    run._measure(cast("Any", Session(clock)))
    assert told.left == [None, 20.0, 10.0]
    first, second, third = told.words
    assert (first, second) == ("", "B / A 1.99× (1 pair)")
    assert re.fullmatch(r"B / A 2\.00× \(1\.\d\d–2\.\d\d, 2 pairs\)", third), third


@pytest.mark.parametrize("whole", [0, 1])
def test_a_pair_ends_with_the_time_of_the_command_and_the_pairs_before_it_count(side, clock, whole):
    result = new_result()
    plan = live.SessionPlan(lambda found: len(found.pairs) >= 3, most=3, end_at=clock.now + 3600)
    run = live._Comparison({"a": side, "b": side}, result, plan, Silent(), list)
    run._measure(cast("Any", Session(clock, whole)))
    assert len(result.pairs) == whole
    assert [one.code for one in result.warnings] == ["time-over"] * whole
    conclude_gate(result)
    assert [one.message for one in result.errors] == [messages.NO_PAIR] * (1 - whole)


def test_what_one_side_has_taken_of_the_time_the_other_has_not(side, clock, monkeypatch):
    given: list[Options] = []

    def run_sample(settings: Options, *_: object) -> Any:
        given.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(live, "run_sample", run_sample)
    result = new_result()
    plan = live.SessionPlan(lambda _result: True, end_at=clock.now + 20.0)
    run = live._Comparison({"a": side, "b": side}, result, plan, Silent(), list)
    with pytest.raises(KeyboardInterrupt):
        run._look("b")
    assert (given[0].max_time, given[0].spent) == (60.0, 40.0)
    plan.end_at = clock.now
    assert not run._look("b")
    assert [(one.code, one.message) for one in result.errors] == [("side-failed", f"B: {messages.NO_TIME}")]
