"""The speed-up of pairs, its interval, and the one decision."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.experiment import decision as decide
from pipeprof.profiles.experiment.decision import SPEED_FLOOR, Comparison
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


def test_both_processes_of_a_tell_the_spread_too():
    worse, same = [0.09, 0.10, 0.11, 0.10], [0.01, -0.01, 0.0, 0.01]
    alone, both = estimate(worse), estimate(worse, same)
    assert (alone.freedom, both.freedom) == (3, 7)
    assert both.high < alone.high
    # B varies much more than A: only its own changes tell.
    wild = estimate([0.0, 0.2, 0.1, 0.3], same)
    assert wild == estimate([0.0, 0.2, 0.1, 0.3])
    # The machine drifts within a turn, which cancels in the change alone.
    drifting = estimate(worse, [0.1, -0.1, 0.05, 0.1])
    assert drifting == alone


def test_what_copies_of_the_base_differ_by_is_no_change():
    far, near = Interval(0.10, 0.005, 9, 10), Interval(0.3, 0.005, 9, 10)
    same = Interval(0.12, 0.004, 9, 10)
    assert Comparison(far).outcome() == "above"
    assert Comparison(far, same).outcome() == "unclear"
    assert Comparison(near, same).outcome() == "above"
    # Where they differ by more than the floor, nothing is said to be no difference.
    still = Interval(0.0, 0.001, 9, 10)
    assert (Comparison(still).outcome(), Comparison(still, same).outcome()) == ("inside", "unclear")
    # What may be nothing raises no floor where each pair has fresh processes.
    wide = Interval(0.019, 0.05, 9, 10)
    assert Comparison(far, wide).outcome() == "above"


def test_processes_that_were_started_once_may_differ_in_every_round():
    far = Interval(0.10, 0.005, 9, 10)
    alike, wide, apart = (Interval(mean, error, 9, 10) for mean, error in ((0.0, 0.02), (0.019, 0.05), (0.06, 0.025)))
    found = [Comparison(far, same, one_start=True).outcome() for same in (alike, wide, apart)]
    assert found == ["above", "unclear", "unclear"]
    assert Comparison(far, apart).outcome() == "above", "with fresh processes it may be nothing"


def test_several_arms_ask_for_more_together():
    # Beyond the floor by 4 standard errors: enough for one arm (3.75), not for the clearest of five.
    clear = Comparison(Interval(-SPEED_FLOOR - 0.04, 0.01, 4, 5))
    still = Comparison(Interval(0.0, 0.001, 4, 5))
    assert decide.outcomes({"b": (clear, SPEED_FLOOR)}) == {"b": "below"}
    together = decide.outcomes({"b": (clear, SPEED_FLOOR), **dict.fromkeys("cdef", (still, SPEED_FLOOR))})
    assert together == {"b": "unclear", **dict.fromkeys("cdef", "inside")}
