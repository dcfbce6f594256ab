"""What the rates of a session say: pure functions."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from stopping import EACH_LOOK, decided, interval, looks
from stopping import outcome as outcome_of

SHARE = 0.95
SELECTING_ROUNDS = 6
"""In them, the best of the grid is found."""
COMPARING_ROUNDS, LEAST_ROUNDS = 24, 8
"""In them, at most and at least, the result is compared with it; twice as many where blocks are short."""
SHORT_BLOCK, BLOCK_SECONDS, BLOCK_STEPS, LEAST_STEPS = 0.1, 0.25, 10, 6
"""A block has as many seconds as that many steps of the pipeline as it is take, between the first two numbers; of slow
ones it has six steps. The machine's speed wanders by 10 % within tenths of a second: short blocks tell more."""
PROCESSES = 2
"""Of each pipeline that is compared."""
FIXED, EVERYWHERE, AS_IT_IS = "fix", "AUTOTUNE everywhere", "as it is"
"""Names of the pipelines that are not of the grid; the last one runs twice, first and last in a round."""
BASES = ("A1", "A2")
COPY = " #"
"""Before the number of a process in its name."""


def block_seconds(interval: float) -> float:
    """Seconds of a block of a pipeline whose steps are so many seconds apart."""
    return max(min(BLOCK_SECONDS, max(SHORT_BLOCK, BLOCK_STEPS * interval)), LEAST_STEPS * interval)


def most_rounds(interval: float) -> int:
    """Rounds of a comparison at most."""
    return COMPARING_ROUNDS * (2 if block_seconds(interval) < BLOCK_SECONDS else 1)


def as_one(rates: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """The processes of each pipeline as one: the geometric mean of each round."""
    processes: dict[str, list[list[float]]] = {}
    for name, found in rates.items():
        processes.setdefault(AS_IT_IS if name in BASES else name.partition(COPY)[0], []).append(found)
    return {
        name: [math.exp(fmean(map(math.log, each))) for each in zip(*found, strict=True)]
        for name, found in processes.items()
    }


def best_of_grid(rates: Mapping[str, list[float]]) -> str:
    """The fastest pipeline of the grid, or the one as it is: pure."""
    names = [name for name in rates if name not in {FIXED, EVERYWHERE}]
    return max(names, key=lambda name: math.fsum(map(math.log, rates[name])))


def over(rates: Mapping[str, list[float]], one: str, other: str) -> list[float]:
    """Rate of a pipeline over that of another one, round by round."""
    return [first / second for first, second in zip(rates[one], rates[other], strict=True)]


def compared(rates: Mapping[str, list[float]], best: str) -> tuple[list[float], list[float]]:
    """The result over the best of the grid, and over AUTOTUNE everywhere, round by round.

    Where `fix` changed nothing, the pipeline as it is stands for its result; so it does for AUTOTUNE everywhere, where
    all that can be tuned is.
    """
    own = FIXED if FIXED in rates else AS_IT_IS
    return over(rates, own, best), over(rates, own, EVERYWHERE if EVERYWHERE in rates else AS_IT_IS)


def enough(rates: Mapping[str, list[float]], best: str, most: int) -> bool:
    """Whether no more rounds are needed: all were measured, or a look decides both ratios."""
    one = as_one(rates)
    rounds = len(one[AS_IT_IS])
    if rounds >= most:
        return True
    if rounds not in looks(most, LEAST_ROUNDS):
        return False
    share, tuned = compared(one, best)
    # A result as fast as AUTOTUNE everywhere is never decided to be faster: it is enough that it is not slower by 5 %.
    return decided(share, SHARE) and decided(tuned, SHARE)


def judge(best: str, rates: Mapping[str, list[float]]) -> dict[str, Any]:
    """What the rates of each pipeline, that as it is and the result of `fix` among them, say in a comparison.

    The best of the grid was found in other rounds: of many that are as fast, the one that seems fastest was lucky.
    """
    share, tuned = compared(rates, best)
    gain = over(rates, FIXED if FIXED in rates else AS_IT_IS, AS_IT_IS)
    found: dict[str, Any] = {"best": best, "rounds": len(rates[AS_IT_IS])}
    for name, ratios in (("gain", gain), ("share_of_best", share), ("over_autotune", tuned)):
        same = len(set(ratios)) == 1
        found[name] = [round(one, 3) for one in ([ratios[0]] * 3 if same else interval(ratios))]
    if len(set(share)) == 1:
        said = "holds" if share[0] >= SHARE else "does not hold"
    else:
        said = outcome_of(share, SHARE, at_least=True)
    slower = len(set(tuned)) > 1 and interval(tuned, EACH_LOOK)[2] < 1.0
    return found | {"outcome": "does not hold" if slower else said}
