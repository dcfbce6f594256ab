"""What lies in what: the arrays against a stack that goes through the events one by one."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.worker.trace.events import nest_events

Call = tuple[int, int, int]
"""Thread, start and end."""


def calls(thread: int, start: int, room: int, depth: int) -> st.SearchStrategy[list[Call]]:
    """Calls in order within a stretch of time, each with calls in it."""

    @st.composite
    def drawn(draw: st.DrawFn) -> list[Call]:
        found: list[Call] = []
        at, end = start, start + room
        for _ in range(draw(st.integers(0, 3))):
            begin = draw(st.integers(at, end))
            until = draw(st.integers(begin, end))
            found.append((thread, begin, until))
            if depth and until > begin:
                found += draw(calls(thread, begin, until - begin, depth - 1))
            at = until
        return found

    return drawn()


def with_a_stack(events: list[Call]) -> tuple[list[int], list[int]]:
    """The parent of each event, and its time without what stands in it."""
    parents, own = [-1] * len(events), [end - start for _, start, end in events]
    stack: list[int] = []
    for index in sorted(range(len(events)), key=lambda one: (events[one][0], events[one][1], -events[one][2])):
        thread, start, end = events[index]
        while stack and (events[stack[-1]][0] != thread or events[stack[-1]][2] <= start):
            stack.pop()
        if stack:
            parents[index] = stack[-1]
            own[stack[-1]] -= end - start
        stack.append(index)
    return parents, own


def arrays(events: list[Call]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = np.array(events, np.int64).reshape(len(events), 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


@given(st.tuples(calls(1, 0, 12, 2), calls(7, 0, 12, 2)).map(lambda two: [*two[0], *two[1]]))
def test_calls_nest_as_on_a_stack(events: list[Call]) -> None:
    found = nest_events(*arrays(events))
    parents, own = with_a_stack(events)
    assert found.parent.tolist() == parents
    assert found.self_time().tolist() == own


@given(calls(1, 0, 12, 2))
def test_at_any_time_the_innermost_call_runs(events: list[Call]) -> None:
    found = nest_events(*arrays(events))
    for owner, begin, end in zip(found.owner, found.begin, found.end, strict=True):
        assert begin < end
        open_ = [one for one in events if one[1] <= begin and end <= one[2]]
        assert events[owner][2] - events[owner][1] == min(until - start for _, start, until in open_)


def test_the_nearest_of_some_is_found_above_others() -> None:
    found = nest_events(*arrays([(1, 0, 100), (1, 10, 90), (1, 20, 80), (1, 30, 40), (2, 0, 5)]))
    assert found.find_nearest(np.array([True, False, False, False, False])).tolist() == [-1, 0, 0, 0, -1]


def test_an_event_that_a_later_one_outlasts_ends_where_that_begins() -> None:
    found = nest_events(*arrays([(1, 0, 10), (1, 1, 3), (1, 9, 20), (1, 19, 30), (1, 40, 50)]))
    assert found.parent.tolist() == [-1, 0, -1, -1, -1]
    assert found.self_time().tolist() == [7, 2, 10, 11, 10]


OVERLAPPING = st.lists(st.tuples(st.integers(1, 2), st.integers(0, 9), st.integers(0, 9)), max_size=9)


@given(OVERLAPPING.map(lambda events: [(thread, start, start + length) for thread, start, length in events]))
def test_whatever_overlaps_no_time_counts_twice(events: list[Call]) -> None:
    found = nest_events(*arrays(events))
    threads = [events[owner][0] for owner in found.owner]
    spans = sorted(zip(threads, found.begin.tolist(), found.end.tolist(), strict=True))
    assert all(one[0] != other[0] or one[2] <= other[1] for one, other in itertools.pairwise(spans))
    for thread in {event[0] for event in events}:
        busy = {tick for one, start, end in events if one == thread for tick in range(start, end)}
        assert sum(end - begin for one, begin, end in spans if one == thread) == len(busy)
    assert all(own >= 0 for own in found.self_time())
