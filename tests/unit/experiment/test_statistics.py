"""The speed-up of pairs and its interval."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.experiment.statistics import Interval, estimate, student_t


def ratio_of(ratios: list[float]) -> Interval | None:
    return estimate([math.log(ratio) for ratio in ratios])


# Two-sided quantiles at 95 % from printed tables.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 11: 2.201, 19: 2.093, 29: 2.045, 100: 1.984}


@pytest.mark.parametrize("freedom", TABLE)
def test_quantiles_are_those_of_the_table(freedom: int) -> None:
    assert student_t(freedom, 0.95) == pytest.approx(TABLE[freedom], rel=0.002)


def test_no_pair_has_no_ratio_and_one_pair_no_interval() -> None:
    assert ratio_of([]) is None
    alone = ratio_of([1.5])
    assert (alone.value, alone.low, alone.high, alone.pairs) == (pytest.approx(1.5), 0.0, math.inf, 1)


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=40), st.floats(0.1, 10))
def test_a_ratio_is_symmetric_and_scales(ratios: list[float], factor: float) -> None:
    found, inverse = ratio_of(ratios), ratio_of([1 / one for one in ratios])
    scaled = ratio_of([factor * one for one in ratios])
    assert found.low <= found.value * (1 + 1e-9)
    assert found.value <= found.high * (1 + 1e-9)
    assert inverse.value == pytest.approx(1 / found.value)
    assert (inverse.low, inverse.high) == (pytest.approx(1 / found.high), pytest.approx(1 / found.low))
    assert scaled.value == pytest.approx(factor * found.value)


def test_the_interval_covers_the_truth_in_98_of_100_sessions() -> None:
    draw = random.Random(7)
    covered = 0
    for _ in range(2000):
        found = ratio_of([math.exp(draw.gauss(math.log(1.2), 0.05)) for _ in range(12)])
        covered += found.low <= 1.2 <= found.high
    assert 0.97 <= covered / 2000 <= 0.99


def test_copies_of_one_pipeline_tell_the_spread_of_a_single_change_only_on_both_sides() -> None:
    assert estimate([0.1], [0.01]) == Interval(0.1, math.inf, 0, 1)
    both = estimate([0.1], [0.01, -0.01], 0.5)
    assert (both.freedom, both.error) == (2, pytest.approx(math.sqrt(0.5 * 0.0002 / 2)))
