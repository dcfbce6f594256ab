"""The speed-up of pairs and its interval."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.verify.judging.ratio import ratio_of, student_t

# Two-sided quantiles at 95 % from printed tables.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 11: 2.201, 19: 2.093, 29: 2.045, 100: 1.984}


@pytest.mark.parametrize("freedom", TABLE)
def test_quantiles_are_those_of_the_table(freedom: int) -> None:
    assert student_t(freedom) == pytest.approx(TABLE[freedom], rel=0.002)


def test_no_pair_has_no_ratio_and_one_pair_no_interval() -> None:
    assert ratio_of([]) is None
    alone = ratio_of([1.5])
    assert alone is not None
    assert (alone.value, alone.low, alone.high, alone.pairs) == (pytest.approx(1.5), 0.0, math.inf, 1)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=40), st.floats(0.1, 10))
def test_a_ratio_is_symmetric_and_scales(ratios: list[float], factor: float) -> None:
    found, inverse, scaled = (
        ratio_of(ratios),
        ratio_of([1 / one for one in ratios]),
        ratio_of([factor * one for one in ratios]),
    )
    assert found is not None
    assert inverse is not None
    assert scaled is not None
    assert found.low <= found.value * (1 + 1e-9)
    assert found.value <= found.high * (1 + 1e-9)
    assert inverse.value == pytest.approx(1 / found.value)
    assert (inverse.low, inverse.high) == (pytest.approx(1 / found.high), pytest.approx(1 / found.low))
    assert scaled.value == pytest.approx(factor * found.value)


def test_the_interval_covers_the_truth_in_95_of_100_sessions() -> None:
    draw = random.Random(7)
    covered = 0
    for _ in range(2000):
        found = ratio_of([math.exp(draw.gauss(math.log(1.2), 0.05)) for _ in range(12)])
        assert found is not None
        covered += found.low <= 1.2 <= found.high
    assert 0.935 <= covered / 2000 <= 0.965
