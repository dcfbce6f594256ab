"""In which order proposals are tried."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument
from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.propose.queue import UNKNOWN_GAIN, Tried, expected, in_order

CALLS = SetArgument("stages.0", "map", "num_parallel_calls", 8)
AHEAD = InsertStage("prefetch", {"buffer_size": 2}, "stages.0")
CACHE = InsertStage("cache", {}, "stages.0")


def proposal(
    title: str, speedup: float | None = None, *edits: PipelineEdit, stage: str = "stages.0", saved: int = 0
) -> Proposal:
    known = Prediction("", speedup, -saved or None) if speedup is not None or saved else None
    family = "memory" if saved else "speed"
    return Proposal(title, title, edits or (CALLS,), stage=stage, predicted=known, family=family)


def titles(*waiting: Proposal, tried: Iterable[Tried] = (), seconds: dict[str, float] | None = None) -> str:
    each = seconds or {}
    found = in_order(waiting, lambda one: each.get(one.title, 10.0), tried, proposal=lambda one: one)
    return "".join(one.title for one in found)


def test_the_largest_gain_comes_first_and_what_nobody_knows_counts_as_a_small_one() -> None:
    assert titles(proposal("a", 1.05), proposal("b"), proposal("c", 2.0), proposal("d", 1.4)) == "cdba"
    assert expected(proposal("a")) == expected(proposal("b", UNKNOWN_GAIN))


def test_memory_is_on_the_same_scale() -> None:
    assert titles(proposal("a", 1.2), proposal("b", saved=4 << 30)) == "ba"
    # What is to save memory, and nobody knows how much, comes last.
    assert expected(Proposal("x", family="memory")) == 0.0


def test_a_gain_that_takes_longer_to_measure_comes_later() -> None:
    quick, slow = proposal("a", 1.5), proposal("b", 2.0)
    assert titles(quick, slow) == "ba"
    assert titles(quick, slow, seconds={"b": 40.0}) == "ab"


@pytest.mark.parametrize("tidy", [True, False])
def test_of_like_gains_the_simpler_change_comes_first(tidy: bool) -> None:
    memory, stage, argument = proposal("c", 1.52, CACHE), proposal("b", 1.51, AHEAD), proposal("a", 1.5, CALLS)
    waiting = (argument, stage, memory) if tidy else (memory, stage, argument)
    assert titles(*waiting) == "abc"
    assert titles(argument, proposal("c", 3.0, CACHE)) == "ca"


def test_a_stage_that_was_read_wrongly_falls_back_with_all_its_changes() -> None:
    other = proposal("o", 1.5, stage="stages.1")
    first, second = proposal("a", 2.0), proposal("b", 1.8)
    assert titles(second, other) == "bo"
    assert titles(second, other, tried=[Tried(first, 1.0)]) == "ob"
    # Near to what was predicted, nothing changes.
    assert titles(second, other, tried=[Tried(first, 1.7)]) == "bo"
    # The first one decides; of what nobody predicted, no measurement says that it was read wrongly.
    assert titles(second, other, tried=[Tried(first, 1.9), Tried(second, 1.0)]) == "bo"
    assert titles(second, other, tried=[Tried(proposal("u"), 1.0)]) == "bo"


def test_a_stage_that_gave_far_more_comes_before_the_others() -> None:
    small, other = proposal("b", 1.2), proposal("o", 1.4, stage="stages.1")
    assert titles(small, other) == "ob"
    assert titles(small, other, tried=[Tried(proposal("a", 1.3), 3.0)]) == "bo"


gains = st.one_of(st.none(), st.floats(0.5, 20.0))
stages = st.sampled_from(["stages.0", "stages.1", "stages.2"])
changes = st.sampled_from([(CALLS,), (AHEAD,), (CACHE,), (CALLS, AHEAD)])
lists = st.lists(st.tuples(gains, stages, changes, st.floats(1.0, 60.0)), max_size=12)


def made(rows: list[tuple[float | None, str, tuple[PipelineEdit, ...], float]]) -> list[Proposal]:
    return [proposal(str(number), gain, *edits, stage=at) for number, (gain, at, edits, _) in enumerate(rows)]


@given(lists, st.lists(st.tuples(st.floats(0.5, 20.0), stages, st.floats(0.5, 20.0)), max_size=3))
def test_the_order_is_total_and_stable(rows, measured) -> None:
    waiting = made(rows)
    tried = [Tried(proposal("t", predicted, stage=at), speedup) for predicted, at, speedup in measured]

    def seconds(one: Proposal) -> float:
        return rows[int(one.title)][3]

    once = in_order(waiting, seconds, tried, proposal=lambda one: one)
    assert sorted(one.title for one in once) == sorted(one.title for one in waiting)
    assert in_order(once, seconds, tried, proposal=lambda one: one) == once
    # Without the first one, the others keep their order.
    rest = [one for one in waiting if one not in once[:1]]
    assert in_order(rest, seconds, tried, proposal=lambda one: one) == once[1:]


@given(lists, stages, st.floats(1.01, 20.0), st.tuples(st.floats(0.5, 20.0), st.floats(0.5, 20.0)))
def test_a_better_measured_gain_never_delays_a_proposal_of_the_same_stage(rows, at, predicted, measured) -> None:
    waiting = made(rows)
    worse, better = (
        [
            one.title
            for one in in_order(
                waiting,
                lambda one: rows[int(one.title)][3],
                [Tried(proposal("t", predicted, stage=at), speedup)],
                proposal=lambda one: one,
            )
        ]
        for speedup in sorted(measured)
    )
    for one in waiting:
        if one.stage == at:
            assert better.index(one.title) <= worse.index(one.title)
