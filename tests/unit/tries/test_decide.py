"""The decision of a race: one spread for all, looks, Holm, copies of the base; simulated, how often it is wrong."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.experiment.decision import SPEED_FLOOR, Comparison
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.experiment.statistics import ERROR, Interval, f_tail
from pipeprof.profiles.protocol.turns import TurnEnded
from pipeprof.profiles.tries.decide import AGAIN_ROUNDS, changes_of, comparisons, is_seen_again, rates_of, standings

GAIN, NONE = math.log(1.5), 0.0


def drawn(levels: dict[str, float], rounds: int, spread: float = 0.02, seed: int = 1) -> dict[str, list[float]]:
    draw = random.Random(seed)
    return {name: [level + draw.gauss(0, spread) for _ in range(rounds)] for name, level in levels.items()}


BASE = {"A1": 0.0, "A2": 0.0}


def block(rate: float) -> TurnEnded:
    return TurnEnded(round(1000 * rate), 1000.0, None, 0.0, None)


def test_a_round_that_one_of_them_lacks_is_none() -> None:
    rounds = [{"A1": block(1), "A2": block(1), "C1": block(2)}, {"A1": block(1), "A2": block(1)}]
    assert rates_of(rounds, ["A1", "A2", "C1"]) == {"A1": [0.0], "A2": [0.0], "C1": [pytest.approx(math.log(2))]}
    assert len(rates_of(rounds, ["A1", "A2"])["A1"]) == 2


def test_all_entrants_tell_one_spread_and_one_round_says_nothing() -> None:
    assert comparisons(drawn({**BASE, "C1": GAIN}, 1)) == {}
    alone = comparisons(drawn({**BASE, "C1": GAIN}, 3))["C1"]
    four = comparisons(drawn({**BASE, **dict.fromkeys(("C1", "C2", "C3", "C4"), GAIN)}, 3))
    assert alone.change.freedom == 4
    assert {one.change.freedom for one in four.values()} == {10}
    assert len({one.change.error for one in four.values()}) == 1
    assert four["C1"].same.error == pytest.approx(four["C1"].change.error * math.sqrt(2 / 1.5))


def test_one_that_varies_by_far_more_has_a_spread_of_its_own() -> None:
    rates = drawn({**BASE, "C1": GAIN, "C2": NONE}, 6)
    usual = comparisons(rates)
    rates["C2"] = [one + 0.6 * (-1) ** number for number, one in enumerate(rates["C2"])]
    found = comparisons(rates)
    assert (found["C1"].change.freedom, found["C2"].change.freedom) == (10, 5)
    assert found["C1"].change.error < 1.3 * usual["C1"].change.error
    assert found["C2"].change.error > 5 * found["C1"].change.error


@given(st.lists(st.floats(-0.3, 0.3), min_size=4, max_size=4))
def test_what_all_do_in_a_round_is_no_spread(steps: list[float]) -> None:
    rates = drawn({**BASE, "C1": GAIN, "C2": 0.1}, 4)
    moved = {name: [one + step for one, step in zip(values, steps, strict=True)] for name, values in rates.items()}
    for one, other in zip(comparisons(rates).values(), comparisons(moved).values(), strict=True):
        assert (other.change.mean, other.change.error) == pytest.approx((one.change.mean, one.change.error), abs=1e-9)


def test_equal_blocks_are_no_error() -> None:
    found = comparisons({"A1": [0.0] * 3, "A2": [0.0] * 3, "C1": [0.1] * 3, "C2": [0.0, 0.1, 0.0]})
    assert found["C1"].change.freedom == 4
    assert found["C1"].change.error == pytest.approx(0, abs=1e-12)
    assert found["C2"].change.error > 0


def known(mean: float, error: float, rounds: int = 3, freedom: int = 10) -> Comparison:
    return Comparison(Interval(mean, error, freedom, rounds), Interval(0.0, error, freedom, rounds), one_start=True)


def test_between_two_looks_and_before_the_third_round_nothing_is_decided() -> None:
    assert standings({"C1": known(GAIN, 0.001, 2)}, 2, last=True) == {"C1": "open"}
    compared = {"C1": known(GAIN, 0.01, 5), "C2": known(-0.2, 0.01, 5)}
    assert standings(compared, 5, 4) == {"C1": "open", "C2": "open"}
    assert standings(compared, 6, 4) == {"C1": "gain", "C2": "no gain"}
    assert standings(compared, 7, 5) == {"C1": "gain", "C2": "no gain"}, "rounds that count again jump a look"
    assert standings(compared, 5, 4, last=True) == {"C1": "gain", "C2": "no gain"}


def test_what_is_slower_so_far_leaves_and_what_gains_too_little_after_six_rounds() -> None:
    slower, little = known(-0.01, 0.05), known(0.02, 0.05)
    assert standings({"C1": slower, "C2": little}, 3) == {"C1": "hopeless", "C2": "open"}
    assert standings({"C2": little}, 6, 4) == {"C2": "hopeless"}
    assert standings({"C1": known(-0.1, 0.4, freedom=2)}, 3) == {"C1": "open"}, "it may still be twice as fast"


def test_those_that_left_count_for_the_error_of_all_together() -> None:
    # Beyond the floor at the level of the look, but not at a fourth of it.
    mean = SPEED_FLOOR + Interval(0.0, 0.01, 10, 3).half(0.9 * TRIES.error_at(3))
    compared = {"C1": Comparison(Interval(mean, 0.01, 10, 3))}
    assert standings(compared, 3) == {"C1": "gain"}
    assert standings(compared, 3, others=3) == {"C1": "open"}


def test_the_looks_spend_their_error_early() -> None:
    assert len(TRIES.errors) == len(TRIES.looks)
    assert sum(TRIES.errors) <= ERROR
    assert list(TRIES.errors) == sorted(TRIES.errors, reverse=True)


@pytest.mark.parametrize(("freedom", "below"), [(1, 1), (2, 4), (5, 5), (29, 116)])
def test_the_tail_of_f_is_that_of_the_inverse_ratio(freedom: int, below: int) -> None:
    for ratio in (0.01, 0.7, 1.0, 3.0, 50.0):
        assert f_tail(ratio, freedom, below) == pytest.approx(1 - f_tail(1 / ratio, below, freedom), abs=1e-9)
    assert (f_tail(0.0, freedom, below), f_tail(math.inf, freedom, below)) == (1.0, 0.0)


BLOCKS = 0.05
"""Standard deviation of blocks; processes of one pipeline differ by `starts` in all of their blocks."""


def race(draw: Random, gains: Sequence[float], starts: float) -> dict[str, tuple[int, bool]]:
    """After how many rounds entrants with these gains are called so, and whether a second process shows it."""

    def blocks(level: float, rounds: int) -> list[float]:
        return [draw.gauss(level, BLOCKS) for _ in range(rounds)]

    levels = {**BASE, **{f"C{number}": math.log(gain) for number, gain in enumerate(gains)}}
    own = {name: draw.gauss(level, starts) for name, level in levels.items()}
    rates = {name: blocks(level, TRIES.most) for name, level in own.items()}
    found, left = {}, 0
    for before, rounds in pairwise((0, *TRIES.looks)):
        compared = comparisons({name: values[:rounds] for name, values in rates.items()})
        for name, standing in standings(compared, rounds, before, others=left).items():
            if standing == "gain":
                again = {name: own[name] for name in BASE} | {name: draw.gauss(levels[name], starts)}
                seen = changes_of({one: blocks(level, AGAIN_ROUNDS) for one, level in again.items()}, name)
                found[name] = (rounds, is_seen_again(seen))
            if standing != "open":
                del rates[name]
                left += standing != "gain"
        if rates.keys() == BASE.keys():
            break
    return found


def races(count: int, *gains: float, starts: float = 0.015) -> list[dict[str, tuple[int, bool]]]:
    draw = Random(1)
    return [race(draw, gains, starts) for _ in range(count)]


@pytest.mark.parametrize("entrants", [1, 4])
def test_decisions_are_seldom_wrong_and_soon_there(entrants: int) -> None:
    equal = races(800 // entrants, *[1.0] * entrants)
    assert sum(kept for found in equal for _, kept in found.values()) <= 0.005 * 800
    floor = races(500, *[math.exp(SPEED_FLOOR)] * entrants, starts=0.0)
    assert sum(bool(found) for found in floor) <= 0.01 * 500
    half = [found.get("C0", (99, False)) for found in races(200, 1.5, *[1.0] * (entrants - 1))]
    for rounds, share in ((4, 0.85), (6, 0.95)):
        assert sum(kept and after <= rounds for after, kept in half) >= share * 200
