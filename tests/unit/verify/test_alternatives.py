"""Edits that are two ways to the same end."""

from __future__ import annotations

import math

import pytest

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveFilter,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
    to_document,
)
from pipeprof.profiles.advise.alternatives import (
    are_alternatives,
    builds_on,
    enough_alone,
    inserts_alike,
    is_alternative,
    is_worth_a_try,
    without_alternatives,
)
from pipeprof.profiles.document.findings import Edit, Finding, Predicted

EIGHT = SetArgument("stages.0", "map", "num_parallel_calls", 8)
TUNED = SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE")
ELSEWHERE = SetArgument("stages.2", "map", "num_parallel_calls", 8)
BATCH_FIRST = MoveStage("stages.1", "batch", "stages.0")
WHOLE_BATCHES = VectoriseMap("stages.0", "stages.1")
FILTER_FIRST = MoveFilter("stages.1", "stages.0")
POOL = SetOption("threading.private_threadpool_size", 8)
AHEAD = InsertStage("prefetch", {"buffer_size": 2}, "stages.0")


def finding(edit: PipelineEdit | None, speedup: float = 2.0) -> Finding:
    document = Edit.model_validate(to_document(edit)) if edit is not None else None
    return Finding(rule="some-rule", title="", status="kept", edit=document, measured={"speedup": speedup})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (EIGHT, TUNED, True),
        (EIGHT, ELSEWHERE, False),
        (BATCH_FIRST, WHOLE_BATCHES, True),
        (EIGHT, WHOLE_BATCHES, False),
        (POOL, SetOption("threading.private_threadpool_size", 16), True),
        (POOL, EIGHT, False),
        (AHEAD, InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, "stages.0"), True),
        (AHEAD, InsertStage("cache", {}, "stages.0"), False),
        (ReplaceStages(("stages.0",)), EIGHT, True),
        (ReplaceStages(("stages.0",)), AHEAD, True),
        (ReplaceStages(("stages.0",)), ELSEWHERE, False),
    ],
)
def test_alternatives_change_the_same_thing(one: PipelineEdit, other: PipelineEdit, same: bool) -> None:
    assert are_alternatives(finding(one), finding(other)) is same
    assert are_alternatives(finding(other), finding(one)) is same


def test_insertions_alike_differ_in_arguments_alone() -> None:
    tuned = InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, "stages.0")
    assert inserts_alike(finding(AHEAD), finding(tuned))
    elsewhere = InsertStage("prefetch", {"buffer_size": 2}, "stages.1")
    for other in (elsewhere, InsertStage("cache", {}, "stages.0"), EIGHT, None):
        assert not inserts_alike(finding(AHEAD), finding(other))
    assert not inserts_alike(finding(EIGHT), finding(TUNED))


def test_a_finding_without_an_edit_is_no_alternative() -> None:
    assert not is_alternative(finding(None), [finding(EIGHT), finding(None)])


@pytest.mark.parametrize(("expected", "worth_it"), [(None, False), (2.3, False), (2.5, True)])
def test_another_way_to_the_same_end_is_tried_where_clearly_more_is_expected(
    expected: float | None, worth_it: bool
) -> None:
    other = finding(SetOption("threading.private_threadpool_size", 16))
    other.predicted = Predicted(speedup=expected) if expected is not None else None
    assert is_worth_a_try(other, [finding(EIGHT, 1.2), finding(POOL, 2.0)]) is worth_it
    assert is_worth_a_try(other, [finding(EIGHT, 9.0)])


@pytest.mark.parametrize(("expected", "worth_it"), [(None, True), (1.9, False), (2.1, True)])
def test_edits_that_go_on_from_what_was_kept_are_tried_unless_less_is_expected(
    expected: float | None, worth_it: bool
) -> None:
    first, more = finding(FILTER_FIRST, 2.0), finding(FILTER_FIRST)
    more.edit = [Edit.model_validate(to_document(edit)) for edit in (FILTER_FIRST, WHOLE_BATCHES)]
    more.predicted = Predicted(speedup=expected) if expected is not None else None
    assert builds_on(more, first)
    assert not builds_on(first, more)
    assert not builds_on(first, first)
    assert not builds_on(more, finding(None))
    assert is_worth_a_try(more, [first]) is worth_it
    assert not is_worth_a_try(first, [more])


def test_the_fastest_of_two_alternatives_is_made_with_the_others() -> None:
    slow, fast, pool = finding(EIGHT, 1.9), finding(TUNED, 2.1), finding(POOL, 1.2)
    assert without_alternatives([slow, pool, fast]) == [pool, fast]
    assert without_alternatives([]) == []


def measured(title: str, speedup: float, saved_mb: int, family: str = "speed", within: float = 1.005) -> Finding:
    """A kept change; its interval is from the gain over `within` to the gain times it."""
    ends = {"low": speedup / within, "high": speedup * within}
    values = {"speedup": speedup, **ends, "peak_rss_delta_bytes": -saved_mb * 1_000_000}
    return Finding.model_validate({
        "rule": "some-rule", "title": title, "status": "kept", "family": family, "measured": values,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("together", "parts", "enough"),
    [
        pytest.param((0.99, 634), [(1.01, 689), (1.0, 567)], 0, id="the first saves more alone"),
        pytest.param((1.9, 110), [(1.9, 0), (1.0, 115)], None, id="one is faster, the other one saves"),
        pytest.param((1.91, 0), [(1.2, 0), (1.88, 0)], 1, id="as fast as the second"),
        pytest.param((2.2, 0), [(1.2, 0), (1.9, 0)], None, id="faster than both"),
        pytest.param((1.0, 400), [(1.0, 300), (1.0, 200)], None, id="saves more than both"),
    ],
)
def test_all_together_have_to_be_better_than_each_alone(
    together: tuple[float, int], parts: list[tuple[float, int]], enough: int | None
) -> None:
    alone = [measured(f"{index}", *part, family="memory") for index, part in enumerate(parts)]
    found = enough_alone(measured("together", *together), alone)
    assert (found.title if found is not None else None) == (f"{enough}" if enough is not None else None)


@pytest.mark.parametrize(("family", "enough"), [("speed", "0"), ("memory", None)])
def test_what_is_slower_together_is_no_gain_in_speed(family: str, enough: str | None) -> None:
    together = measured("together", 12.6, 39, family)
    found = enough_alone(together, [measured("0", 19.0, -6), measured("1", 10.4, 20)])
    assert (found.title if found is not None else None) == enough


@pytest.mark.parametrize(
    ("alone", "of_alone", "together", "of_together", "is_better"),
    [
        pytest.param(4.25, 1.24, 4.82, 1.094, False, id="both intervals overlap"),
        pytest.param(6.49, 1.092, 6.99, 1.037, False, id="it ends beyond the one, not beyond their ratio"),
        pytest.param(3.06, 1.22, 20.2, 1.248, True, id="far beyond wide intervals"),
        pytest.param(2.0, 1.02, 2.2, 1.02, True, id="a small gain on a calm machine"),
        pytest.param(2.0, 1.02, 2.1, 1.02, False, id="beyond the halves, not beyond the least gain"),
        pytest.param(2.0, 1.02, 9.0, math.inf, False, id="one pair says nothing"),
    ],
)
def test_all_together_are_better_beyond_the_interval_of_the_ratio(
    alone: float, of_alone: float, together: float, of_together: float, is_better: bool
) -> None:
    found = enough_alone(
        measured("more", together, 30, within=of_together), [measured("one", alone, 0, within=of_alone)]
    )
    assert (found is None) == is_better
