"""The search for causes in rounds of processes that are made up."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, cast

import jsonschema
import pytest

from pipeprof.cli.comparing.report import build_result
from pipeprof.cli.formats.markdown import markdown
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.experiment.schedule import order_of
from pipeprof.profiles.experiment.team import InterruptedVerificationError, MemberFailedError, OutOfTimeError
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.judge.explain import WhyPlan, effect_of, explain, groups_of
from pipeprof.profiles.judge.pairs import MeasuredRound, Process, SideFailedError
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
from pipeprof.profiles.judge.verdicts.result import PairValues, Result, Side
from pipeprof.profiles.judge.verdicts.tabulate import rows_of
from pipeprof.profiles.judge.words import conclude
from pipeprof.profiles.protocol.turns import BatchDigest, Built, TurnEnded

BUILT = Built([BatchDigest("data", ["row"] * 8, "int64")], False, 400 << 20, 0.5, 0.25)
CHANGES = ["stages.map.num_parallel_calls: 4 → 1", "stages.cache: removed", "options.deterministic: false → true"]
Interval = Callable[[frozenset[int]], float]


class Pipelines:
    """Versions whose jobs are the changes themselves."""

    def __init__(self, changes: list[str] = CHANGES, rest: frozenset[int] = frozenset()) -> None:
        self.changes = changes
        self.rest = rest

    def problem(self, chosen: frozenset[int]) -> str | None:
        del chosen
        return None

    def job(self, chosen: frozenset[int]) -> Callable[[], Any]:
        return lambda: chosen


class Rounds:
    """Rounds of processes whose step interval follows from the changes that they have."""

    order = "turns"

    def __init__(
        self,
        interval: Interval,
        failing: frozenset[int] | None = None,
        until: int = 10**6,
        ending: type[Exception] = InterruptedVerificationError,
    ) -> None:
        self.interval = interval
        self.failing = failing
        self.until = until
        self.ending = ending
        self.sizes: list[int] = []
        self._random = random.Random(3)

    def round(self, number: int, jobs: Mapping[str, Callable[[], Any]]) -> MeasuredRound:
        if len(self.sizes) >= self.until:
            raise self.ending
        chosen = {name: make() for name, make in jobs.items()}
        for name, changes in chosen.items():
            if changes == self.failing:
                raise MemberFailedError(name, "raised: no such file")
        self.sizes.append(len(jobs))
        return MeasuredRound(
            {name: self._process(changes) for name, changes in chosen.items()}, order_of(number, tuple(jobs))
        )

    def _process(self, changes: frozenset[int]) -> Process:
        seconds = self.interval(changes) * self._random.gauss(1.0, 0.003)
        return Process(BUILT, tuple(TurnEnded(8, 8 * seconds, 0.1, 0.2, 1 << 30, read_bytes=0) for _ in range(4)))


def compared(interval: Interval, count: int = len(CHANGES)) -> Result:
    """A comparison that has ended."""
    rounds, everything = Rounds(interval), frozenset(range(count))
    pairs = []
    for number in range(5):
        jobs = {"A": frozenset[int], "B": lambda: everything, "A′": frozenset[int]}
        found = rounds.round(number, jobs)
        values = {name: process.values(8) for name, process in found.processes.items()}
        pairs.append(PairValues(order=list(found.order), a=values["A"], b=values["B"], again=values["A′"]))
    result = Result(
        kind="compare",
        tool=Tool(version="0"),
        a=Side(text="a.yaml", elements_per_batch=8),
        b=Side(text="b.yaml", elements_per_batch=8),
        order="turns",
        pairs=pairs,
        metrics=rows_of(pairs),
        seconds=60.0,
    )
    conclude(result)
    return result


def search(result: Result, rounds: Rounds, versions: Pipelines | None = None, **plan: Any) -> None:
    explain(
        result, versions or Pipelines(), cast("Any", rounds), WhyPlan(**{"rounds": 5, **plan}), Silent(), lambda: None
    )


def one_slow(chosen: frozenset[int]) -> float:
    return 0.015 if 0 in chosen else 0.01


def only_together(chosen: frozenset[int]) -> float:
    return 0.02 if {0, 2} <= chosen else 0.01


def text(result: Result) -> str:
    return paint(build_result(result, "compare.json"), Style(width=100))


def test_the_time_left_is_that_of_the_rounds_that_are_planned() -> None:
    class Told(Silent):
        def __init__(self) -> None:
            self.left: list[tuple[float | None, str]] = []
            self.phases: list[str] = []

        def ends_in(self, seconds: float | None, what: str = "") -> None:
            self.left.append((round(seconds) if seconds is not None else None, what))

        def phase(self, name: str, _seconds_expected: float | None) -> None:
            self.phases.append(name)

    result, told = compared(only_together), Told()
    for number, pair in enumerate(result.pairs):
        pair.started_s = 30.0 * number
    plan = WhyPlan(rounds=5)
    explain(result, Pipelines(), cast("Any", Rounds(only_together)), plan, cast("Any", told), lambda: None)
    # Ten seconds a process: four versions and two processes of A in each round.
    assert told.left[:5] == [(seconds, "these rounds") for seconds in (300, 240, 180, 120, 60)]
    assert told.phases[:2] == ["why: round 1 of 5, 6 fresh processes", "why: round 2 of 5, 6 fresh processes"]
    # What the first rounds have shown calls for others.
    assert told.phases[5].startswith("why: search 2, round 1 of 5, ")
    assert told.left[5][0] == 5 * 10 * int(told.phases[5].split()[-3])


@pytest.mark.parametrize(("name", "interval"), [("one", one_slow), ("together", only_together)])
def test_the_causes_are_in_the_document_and_in_every_report(name: str, interval: Interval, golden: Any) -> None:
    from pipeprof.cli.commands.schema import result_schema

    result = compared(interval)
    search(result, Rounds(interval))
    jsonschema.validate(result.model_dump(mode="json"), result_schema())
    again = Result.model_validate_json(result.model_dump_json())
    assert again == result
    golden(f"compare/why_{name}.txt", text(result))
    assert "### Why" in markdown(build_result(result, None))


def test_the_report_begins_with_the_cause() -> None:
    result = compared(one_slow)
    result.changes = CHANGES
    result.change_places = [Location(file="b.yaml", line=8), None, None]
    search(result, Rounds(one_slow))
    first, why = text(result).split("\n\n")[:2]
    assert first.startswith("B is 1.50× slower: 100 % of it is b.yaml:8 num_parallel_calls 4 → 1; step interval 10.0")
    assert why.startswith("Why")
    together = compared(only_together)
    search(together, Rounds(only_together))
    assert "of it is num_parallel_calls 4 → 1 with deterministic false → true;" in text(together).replace("\n", " ")
    assert text(compared(one_slow)).startswith("B is slower: step interval")


def test_the_slow_change_is_the_first_cause() -> None:
    result, rounds = compared(one_slow), Rounds(one_slow)
    search(result, rounds)
    assert result.why is not None
    assert result.why[0].changes == [CHANGES[0]]
    assert [cause.words for cause in result.why] == ["slower", "no difference", "no difference"]
    assert result.search is not None
    assert result.search.versions == {"V1": [0], "V2": [1], "V3": [2], "V4": [0, 1, 2]}
    # Two of A, three changes alone, and all of them.
    assert rounds.sizes == [6] * 5


def test_the_only_change_is_not_measured_again() -> None:
    from pipeprof.cli.html.page import render_page
    from pipeprof.cli.html.result import result_page

    result, rounds = compared(one_slow, 1), Rounds(one_slow)
    result.changes = ["stages.decode.ops.tf.image.resize.size: [64, 64] → [448, 448]"]
    result.change_places = [Location(file="b.yaml", line=8)]
    search(result, rounds, Pipelines(result.changes), end_at=0.0)
    assert rounds.sizes == []
    assert result.warnings == []
    shown = text(result)
    assert shown.startswith("B is 1.50× slower: 100 % of it is b.yaml:8 tf.image.resize.size [64, 64] → [448, 448]; ")
    assert "Why  the difference has one part: the pairs have measured it\n" in shown
    assert "round" not in shown
    page = render_page(result_page(result, None))
    assert "one part: the pairs have measured it" in page
    assert "rounds of" not in page


def test_an_interaction_is_one_cause() -> None:
    result = compared(only_together)
    search(result, Rounds(only_together))
    assert result.why is not None
    first = result.why[0]
    assert (first.kind, first.changes) == ("together", [CHANGES[0], CHANGES[2]])
    assert first.change == pytest.approx(2.0, abs=0.05)
    assert first.alone == pytest.approx([1.0, 1.0], abs=0.02)


def test_where_nothing_differs_nothing_is_measured() -> None:
    rounds = Rounds(one_slow)
    same = compared(lambda _: 0.01)
    search(same, rounds)
    assert same.search is not None
    assert same.search.note is not None
    assert same.search.note.startswith("B is neither slower nor faster than A")
    assert "there is nothing to explain" in text(same)
    equal = compared(one_slow)
    search(equal, rounds, Pipelines([]))
    assert equal.search is not None
    assert equal.search.note == "A and B differ in nothing that is measured."
    unsure = compared(one_slow)
    unsure.metrics = rows_of(unsure.pairs[:1])
    search(unsure, rounds)
    assert unsure.search is not None
    assert unsure.search.note == "It is not certain that B differs from A, so no cause was searched for."
    assert rounds.sizes == []


def test_without_time_no_cause_is_named() -> None:
    result, rounds = compared(one_slow), Rounds(one_slow)
    search(result, rounds, end_at=0.0)
    assert rounds.sizes == []
    assert [warning.code for warning in result.warnings] == ["time-over"]
    assert {cause.words for cause in result.why or ()} == {"cannot tell"}
    assert "cannot tell: not measured" in text(result)


def test_a_search_that_the_time_ends_has_what_was_measured() -> None:
    result = compared(one_slow)
    search(result, Rounds(one_slow, until=3, ending=OutOfTimeError))
    assert [warning.code for warning in result.warnings] == ["time-over"]
    assert result.search is not None
    assert len(result.search.rounds) == 3
    assert {tuple(cause.changes): cause.words for cause in result.why or ()}[CHANGES[0],] == "slower"


def test_an_interruption_keeps_what_was_measured() -> None:
    result = compared(one_slow)
    with pytest.raises(InterruptedVerificationError):
        search(result, Rounds(one_slow, until=3))
    assert result.search is not None
    assert len(result.search.rounds) == 3
    assert {tuple(cause.changes): cause.words for cause in result.why or ()}[CHANGES[0],] == "slower"


def test_a_version_that_fails_has_what_the_others_leave() -> None:
    result = compared(one_slow)
    search(result, Rounds(one_slow, failing=frozenset({0})))
    first = (result.why or [])[0]
    assert (first.changes, first.kind, first.words) == ([CHANGES[0]], "rest", "slower")
    assert first.reason == "alone it raised: no such file"
    with pytest.raises(SideFailedError):
        search(compared(one_slow), Rounds(one_slow, failing=frozenset()))


def test_versions_that_do_not_fit_into_memory_are_measured_in_groups() -> None:
    result, rounds = compared(one_slow), Rounds(one_slow)
    search(result, rounds, limit_bytes=4 << 30)
    assert set(rounds.sizes) == {4}
    assert [cause.words for cause in result.why or ()] == ["slower", "no difference", "no difference"]
    assert result.search is not None
    assert {one.number for one in result.search.rounds} == set(range(5))
    assert groups_of(list("abcde"), 4) == [["a", "b", "c"], ["d", "e"]]


def test_step_intervals_of_other_batches_are_compared_per_element() -> None:
    step = BY_NAME["step_ms"]
    base = {"step_ms": 10.0, "elements_per_second": 800.0}
    twice = {"step_ms": 20.0, "elements_per_second": 800.0}
    assert effect_of(step, base, base, twice) == pytest.approx(0.0)
    assert effect_of(step, {"step_ms": 10.0}, None, twice) == pytest.approx(0.693, abs=0.001)
    assert effect_of(step, base, None, {}) is None
