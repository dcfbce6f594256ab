"""How often the decision of a race is wrong, and how soon it comes; the arrays decide as the race does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from unit.tries.simulated import BASE, Races, look_at

from pipeprof.profiles.experiment.decision import SPEED_FLOOR
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.tries.decide import comparisons, standings


@pytest.mark.parametrize("wider", [(), (4.0, 1.0, 1.0)])
def test_the_arrays_decide_as_the_race_does(wider: tuple[float, ...]) -> None:
    races = Races([1.0, 1.2, 1.5], 60, seed=5, wider=wider)
    names = ["A1", "A2", "C1", "C2", "C3"]
    excluded = 0
    for number in range(races.count):
        going, left, ended = list(names[BASE:]), 0, {}
        for before, rounds in zip((0, *TRIES.looks), TRIES.looks, strict=False):
            rates = {name: list(races.rates[number, names.index(name), :rounds]) for name in (*names[:BASE], *going)}
            compared = comparisons(rates)
            excluded += any(one.change.freedom == rounds - 1 for one in compared.values())
            for name, standing in standings(compared, rounds, before, others=left).items():
                if standing != "open":
                    going.remove(name)
                    left += standing != "gain"
                    ended[name] = (standing == "gain", rounds)
        for place, name in enumerate(names[BASE:]):
            own = ended.get(name, (False, 0))
            assert own == (races.called[number, place], races.rounds[number, place])
    assert excluded >= (10 if wider else 0)


def test_one_that_varies_more_is_left_out_of_the_spread_in_arrays_too() -> None:
    rates = np.zeros((1, 4, 6)) + 0.01 * np.sin(np.arange(24)).reshape(4, 6)
    rates[0, 3] += 0.5 * (-1.0) ** np.arange(6)
    found = look_at(rates, np.ones((1, 4), bool))
    assert found.freedom.tolist() == [[10, 5]]


def test_of_equal_entrants_one_of_two_hundred_is_kept_at_most() -> None:
    for entrants in (1, 4):
        assert Races([1.0] * entrants, 6_000 // entrants).kept.mean() <= 0.005


def test_of_entrants_of_exactly_the_floor_one_of_a_hundred_races_calls_any() -> None:
    for entrants in (1, 4):
        floor = Races([math.exp(SPEED_FLOOR)] * entrants, 4_000, starts=0.0)
        assert floor.called.any(axis=1).mean() <= 0.01


def test_a_gain_of_a_half_is_known_after_four_rounds_or_six() -> None:
    for entrants in (1, 2, 4):
        half = Races([1.5] + [1.0] * (entrants - 1), 1_000)
        assert half.share_kept(0, within=4) >= 0.85
        assert half.share_kept(0, within=6) >= 0.95
