"""Simulated races: how often the decision is wrong, and how soon it comes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from pipeprof.profiles.experiment.decision import SPEED_FLOOR
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.tries.decide import AGAIN_ROUNDS, changes_of, comparisons, is_seen_again, standings

BASE = {"A1": 0.0, "A2": 0.0}
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
