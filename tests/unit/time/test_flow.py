"""The time that each resource of a running pipeline needs, and the wait of a consumer at a bounded buffer."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.time.flow import empty_probability

from .flows import line, part, prefetch

POOLED = [part(name, 8.0, waits=True, ahead=True, calls=8.0, pooled=True) for name in ("first", "second")]
CALLS = part("map", 12.0, ahead=True, calls=8.0)
TERMS = {
    "stages on one thread add up": (line(part("source", 2.0), part("map", 3.0)), "serial", 5.0),
    "nothing is faster than the step": (line(part("map", 3.0), prefetch("ahead"), floor_ms=4.0), "step", 4.0),
    "and than its loop": (line(part("map", 3.0), prefetch("ahead"), loop_ms=4.0), "loop", 4.0),
    "functions of several stages share the pool": (line(*POOLED), "pool", 4.0),
    "computing needs cores": (line(CALLS, pool=8.0, cores=2.0, other_cpu_ms=2.0), "cores", 7.0),
    "the lock of Python lets one call run": (line(CALLS.timed(lock_ms=12.0)), "lock", 12.0),
}


@pytest.mark.parametrize("name", TERMS)
def test_the_longest_term(name: str) -> None:
    flow, resource, ms = TERMS[name]
    assert (flow.terms()[0].resource, flow.interval_ms()) == (resource, ms)
    if resource in ("step", "loop"):
        assert flow.made_ms() == 3.0


def test_a_step_in_turn_comes_to_what_its_thread_does() -> None:
    flow = line(part("map", 3.0), step_ms=4.0, in_turn=True)
    assert flow.interval_ms() == 7.0
    assert line(part("map", 3.0), step_ms=4.0).interval_ms() == 4.0


def test_a_prefetch_gives_both_sides_a_thread_and_sides_take_turns_until_they_are_prefetched() -> None:
    assert line(part("source", 2.0), prefetch("ahead"), part("map", 3.0)).interval_ms() == 3.0
    assert line(part("source", 2.0), part("map", 3.0)).prefetched("source").interval_ms() == 3.0
    both = part("zip", 1.0, reads=("left", "right"))
    flow = line(part("left", 2.0), replace(part("right", 3.0), reads=("nothing",)), both)
    assert flow.interval_ms() == 6.0
    assert flow.prefetched("zip").interval_ms() == 6.0
    assert flow.prefetched("left").prefetched("right").interval_ms() == 3.0


@pytest.mark.parametrize(
    ("calls", "pool", "ms"), [(1.0, 4.0, 12.0), (2.0, 4.0, 6.0), (8.0, 4.0, 3.0), (8.0, 16.0, 1.5)]
)
def test_calls_that_wait_share_the_pool(calls: float, pool: float, ms: float) -> None:
    flow = line(part("source"), part("map", 12.0, waits=True, ahead=True, calls=calls), pool=pool)
    assert flow.interval_ms() == ms


def test_an_uneven_producer_makes_the_step_wait_although_it_is_fast_enough() -> None:
    steady = line(part("map", 8.0), prefetch("ahead"), step_ms=10.0, in_turn=True)
    assert steady.interval_ms() == 10.0
    assert replace(steady, bursts=1.0).interval_ms() == pytest.approx(12.1, abs=0.01)


def test_threads_that_wait_for_their_results_to_be_taken_are_free_with_more_calls_than_threads() -> None:
    few = part("map", 8.0, ahead=True, calls=4.0, idle_ms=8.0)
    assert line(part("source"), few).interval_ms() == 4.0
    assert line(part("source"), replace(few, calls=16.0)).interval_ms() == 2.0


TIMES = st.floats(0.01, 1000)


@pytest.mark.parametrize(
    ("consumer", "producer", "buffer", "probability"),
    [(10, 8, 0, 1.0), (10, 8, 2, 0.2623), (8, 8, 3, 0.25), (8, 10, 1, 0.5556), (8, 10, math.inf, 0.2), (8, 0, 2, 0.0)],
)
def test_the_buffer_is_empty_as_often_as_the_formula_says(consumer, producer, buffer, probability):
    assert empty_probability(consumer, producer, buffer) == pytest.approx(probability, abs=1e-4)


@given(TIMES, TIMES, st.integers(0, 1000))
def test_a_larger_buffer_never_waits_longer(consumer: float, producer: float, buffer: int) -> None:
    larger = empty_probability(consumer, producer, buffer + 1)
    assert larger <= empty_probability(consumer, producer, buffer) * (1 + 1e-6) + 1e-9


@given(TIMES, TIMES, st.integers(0, 10_000))
def test_a_wait_is_never_longer_than_making_one_and_never_less_than_the_lack(consumer, producer, buffer):
    wait = empty_probability(consumer, producer, buffer) * producer
    assert max(0.0, producer - consumer) - 1e-6 * producer <= wait <= producer * (1 + 1e-9)
    flow = line(part("map", producer), prefetch("ahead", buffer), step_ms=consumer, in_turn=True, bursts=1.0)
    assert 0 <= flow.burst_ms(flow.terms()) <= producer * (1 + 1e-9)
