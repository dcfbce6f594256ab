"""The search for a commit: where it looks next, what it ends with, and the stage that it names."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.cli.comparing import bisect
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.history.bisect import CommitSearch, half_of, is_bad, main_failure, stage_of_changes
from pipeprof.profiles.judge.verdicts.result import Metric, Result, Side, StageChange


@given(st.integers(1, 200), st.data())
def test_it_ends_at_the_first_bad_one_in_a_few_looks(last: int, data: st.DataObject) -> None:
    planted = data.draw(st.integers(1, last))
    search, looks = CommitSearch(last), 0
    while (place := search.following()) is not None:
        search.tell(place, is_bad=place >= planted)
        looks += 1
    assert list(search.candidates) == [planted]
    assert looks <= last.bit_length()


@given(st.integers(1, 60), st.data())
def test_what_cannot_be_measured_leaves_candidates_and_the_right_one_is_among_them(
    last: int, data: st.DataObject
) -> None:
    planted = data.draw(st.integers(1, last))
    broken = data.draw(st.sets(st.integers(1, max(1, last - 1))))
    search = CommitSearch(last)
    while (place := search.following()) is not None:
        search.tell(place, is_bad=None if place in broken else place >= planted)
    assert planted in search.candidates
    assert all(place in broken or place == search.bad for place in search.candidates)


def row(name: str, change: float, verdict: str = "regressed", **more: object) -> Metric:
    return Metric.model_validate(
        {"name": name, "title": name, "unit": "ms", "floor": 0.03, "change": change, "verdict": verdict, **more}
    )


def test_the_first_metric_that_failed_is_searched_for() -> None:
    rows = [row("step_ms", 1.0, "not regressed"), row("peak_bytes", 1.2), row("wait_ms", 5.0, level="warn")]
    found = main_failure(rows)
    assert found is not None
    assert found.name == "peak_bytes"
    assert main_failure([row("step_ms", 1.3, limit=9.0)]) is None


@pytest.mark.parametrize(
    ("found", "floor"),
    [
        (row("step_ms", 1.21), 0.1),
        (row("elements_per_second", 1 / 1.21), 0.1),
        (row("wait_ms", 3.0, scale="difference"), 1.5),
    ],
)
def test_a_commit_is_held_against_half_of_the_change(found: Metric, floor: float) -> None:
    assert half_of(found).floor == pytest.approx(floor)


def test_what_a_session_says() -> None:
    names = {"step_ms", "elements_per_second"}
    assert is_bad([row("step_ms", 1.2)], names) is True
    assert is_bad([row("step_ms", 1.0, "not regressed")], names) is False
    assert is_bad([row("step_ms", 1.1, "cannot tell")], names) is None
    assert is_bad([row("step_ms", 1.2, level="off"), row("elements_per_second", 0.8)], names) is True
    assert is_bad([], names) is None


STAGES = [
    StageChange(name="decode", status="same", a_cpu_ms_per_batch=1.0, b_cpu_ms_per_batch=1.1),
    StageChange(name="augment", status="same", a_cpu_ms_per_batch=1.0, b_cpu_ms_per_batch=3.0),
]


@pytest.mark.parametrize(
    ("changes", "stages", "stage"),
    [
        (["stages.decode.num_parallel_calls: 4 → 1"], STAGES, "decode"),
        (["map.num_parallel_calls: 2 → 1"], [], "map"),
        (["the rest (a function of a map)"], STAGES, "augment"),
        (["load: changed to ‘x = x + 1’"], STAGES, "augment"),
        (["prefetch: removed"], STAGES, "augment"),
        ([], [], None),
        ([], STAGES[:1], "decode"),
    ],
)
def test_the_stage_is_that_of_the_cause_or_the_one_that_works_more(
    changes: list[str], stages: list[StageChange], stage: str | None
) -> None:
    assert stage_of_changes(changes, stages) == stage


def test_a_search_that_the_time_ends_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pair that the time ends, nothing is left that could say it."""
    empty = Result(kind="gate", tool=Tool(version="1"), a=Side(text="a"), b=Side(text="b"))
    result = empty.model_copy(deep=True)
    commits: Any = SimpleNamespace(
        hashes=["1" * 40, "2" * 40, "3" * 40], subject=str, same=lambda _one, _other: None, side=lambda _place: None
    )
    run = bisect._Sessions(commits, result, list, Silent())
    monkeypatch.setattr(run, "session", lambda *_: empty)
    monkeypatch.setattr(bisect, "half_of", lambda _row: None)
    search: Any = SimpleNamespace(good=0, bad=2, candidates=[1])
    row: Any = SimpleNamespace(name="step_ms")
    assert run.look(search, 1, row) is None
    assert [warning.message for warning in result.warnings] == ["--max-time ended the search."]
    assert result.verdict == "cannot tell"
