"""The wait of a consumer at a bounded buffer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.predict.flow import burst_ms, empty_probability, wait_ms

TIMES = st.floats(0.01, 1000)


@pytest.mark.parametrize(
    ("consumer", "producer", "buffer", "probability"),
    [(10, 8, 0, 1.0), (10, 8, 2, 0.2623), (8, 8, 3, 0.25), (8, 10, 1, 0.5556), (8, 10, math.inf, 0.2), (8, 0, 2, 0.0)],
)
def test_the_buffer_is_empty_as_often_as_the_formula_says(
    consumer: float, producer: float, buffer: float, probability: float
) -> None:
    assert empty_probability(consumer, producer, buffer) == pytest.approx(probability, abs=1e-4)


@given(TIMES, TIMES, st.integers(0, 1000))
def test_a_larger_buffer_never_waits_longer(consumer: float, producer: float, buffer: int) -> None:
    assert wait_ms(consumer, producer, buffer + 1) <= wait_ms(consumer, producer, buffer) * (1 + 1e-6) + 1e-9


@given(TIMES, TIMES, st.integers(0, 10_000))
def test_a_wait_is_never_longer_than_making_one_and_never_less_than_the_lack(
    consumer: float, producer: float, buffer: int
) -> None:
    wait = wait_ms(consumer, producer, buffer)
    assert max(0.0, producer - consumer) - 1e-6 * producer <= wait <= producer * (1 + 1e-9)
    assert 0 <= burst_ms(consumer, producer, buffer) <= producer * (1 + 1e-9)
