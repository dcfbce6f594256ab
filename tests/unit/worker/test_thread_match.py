"""Recognising a trace's threads among the system's, by when they compute."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.worker.trace.threads import at_work, explained, match

LOOKS = 300
TIMES = np.arange(LOOKS) * 10 + 5


def timeline(*kinds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One span of 10 for each look; 0 is nothing."""
    spans = [(at * 10, at * 10 + 9, kind) for at, kind in enumerate(kinds) if kind]
    starts, ends, numbers = zip(*spans, strict=True)
    return np.array(starts), np.array(ends), np.array(numbers)


def states(running: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return TIMES, np.array(running, dtype=float)


def turns(*kinds: int) -> list[int]:
    return [kinds[at % len(kinds)] for at in range(LOOKS)]


def test_what_a_thread_did_at_a_time():
    line = (np.array([10, 30]), np.array([20, 40]), np.array([2, 1]))
    assert at_work(line, np.array([5, 10, 20, 25, 40, 41])).tolist() == [0, 2, 2, 0, 1, 0]


def test_a_thread_is_recognised_by_when_it_computes():
    computes, sleeps = 1, 2
    one, other = turns(computes, computes, sleeps), turns(sleeps, computes, computes, computes)
    seen = {kind: [int(what == computes) for what in line] for kind, line in (("one", one), ("other", other))}
    found = match(
        {-1: timeline(*one), -2: timeline(*other)},
        {70: states(seen["other"]), 71: states([0] * LOOKS), 72: states(seen["one"])},
    )
    assert found == {-1: 72, -2: 70}


def test_a_thread_that_always_computes_is_not_one_that_hardly_works():
    found = match(
        {-1: timeline(*turns(1)), -2: timeline(*turns(2, 0, 0, 0, 0, 0, 0, 0, 0, 0))},
        {70: states(turns(1, 0, 0, 0, 0, 0, 0, 0, 0, 0)), 71: states([1] * LOOKS)},
    )
    assert found == {-1: 71, -2: 70}


def test_threads_that_nothing_tells_apart_may_be_exchanged_or_stay_unknown():
    lines, busy, blocked = {-1: timeline(*turns(1)), -2: timeline(*turns(2))}, [1] * LOOKS, [0] * LOOKS
    found = match(lines, {70: states(busy), 71: states(busy)})
    assert (sorted(found), sorted(found.values())) == ([-2, -1], [70, 71])
    assert match(lines, {70: states(busy), 71: states(blocked)}) == {}


def test_known_threads_stay_and_others_are_left_out():
    line, busy = timeline(*turns(1)), states([1] * LOOKS)
    assert match({-1: line}, {70: busy, 71: busy}, known={-1: 71}) == {-1: 71}
    assert match({-1: line}, {70: states([0] * LOOKS), 71: busy}, others={71}) == {-1: 70}
    assert match({70: line}, {70: busy, 71: busy}) == {70: 70}
    assert match({-1: line}, {}) == {}


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=80))
def test_the_right_rates_explain_no_worse_than_none(looks):
    kinds = np.array([kind for kind, _ in looks])
    running = np.array([float(core) for _, core in looks])
    assert explained(kinds, running) >= -1e-6
    assert explained(np.zeros_like(kinds), running) == pytest.approx(0.0)
