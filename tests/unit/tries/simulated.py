"""Simulated races, many at a time: how often the decision of a race is wrong, and how soon it comes.

``python tests/unit/tries/simulated.py`` prints what `pipeprof.profiles.tries.decide` states, in half a minute;
``… levels`` prints the levels at which the looks of `TRIES` spend their error. `Races` follows `comparisons` and
`standings` in arrays of NumPy; a test runs both on the same blocks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeprof.profiles.experiment.decision import ALIKE_WITHIN, COPIES_ERROR, SPEED_FLOOR
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.experiment.statistics import ERROR, f_tail, student_t
from pipeprof.profiles.tries.decide import AGAIN_ROUNDS, HOPELESS_FROM, TOO_WIDE

BLOCKS, STARTS = 0.05, 0.015
"""Standard deviations of blocks, and of what processes of one pipeline differ by in all of their blocks."""
BASE = 2
SPENT = (0.0030, 0.0020, 0.0015, 0.0010, 0.0010, 0.0008, 0.0007)
"""Of the error of 1 %, at each look: the chance that it is the first one to call a change of exactly the floor."""
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def f_point(freedom: int, below: int) -> float:
    """The ratio of variances beyond which an entrant has a spread of its own."""
    low, high = 1.0, 1e6
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if f_tail(middle, freedom, below) <= TOO_WIDE else (middle, high)
    return high


@dataclass
class Look:
    """What is known of each entrant of each race after some rounds."""

    mean: Floats
    error: Floats
    freedom: NDArray[np.int_]
    apart: Floats
    apart_error: Floats
    apart_freedom: NDArray[np.int_]


def look_at(rates: Floats, present: Flags) -> Look:
    """Compare entrants with the base, as `comparisons` does.

    Args:
        rates: Logarithms, by race, process and round; the first two processes are the base.
        present: Whether a process is still in the race.
    """
    rounds = rates.shape[2]
    parts = rates - rates.mean(axis=2, keepdims=True)
    pooled = present.copy()
    squares = _unexplained(parts, pooled)
    points = np.array([math.inf, math.inf, math.inf, *(f_point(rounds - 1, (rounds - 1) * k) for k in range(1, 5))])
    rows = np.arange(len(rates))
    while rows.size:
        some, many = parts[rows], pooled[rows].sum(axis=1)
        others = np.full((rows.size, rates.shape[1]), np.inf)
        for process in range(BASE, rates.shape[1]):
            without = pooled[rows]
            own = without[:, process].copy()
            without[:, process] = False
            others[own, process] = _unexplained(some[own], without[own])
        widest, least = others.argmin(axis=1), others.min(axis=1)
        with np.errstate(invalid="ignore"):
            out = (squares[rows] - least) * (many - 2) / least > points[many]
        rows, widest, least = rows[out], widest[out], least[out]
        pooled[rows, widest] = False
        squares[rows] = least
    freedom = (rounds - 1) * (pooled.sum(axis=1) - 1)
    variance = squares / freedom
    changes = rates[:, BASE:] - rates[:, :BASE].mean(axis=1, keepdims=True)
    own = changes.var(axis=2, ddof=1)
    alike = pooled[:, BASE:]
    return Look(
        mean=changes.mean(axis=2),
        error=np.sqrt(np.where(alike, 1.5 * variance[:, None], own) / rounds),
        freedom=np.where(alike, freedom[:, None], rounds - 1),
        apart=np.abs(rates[:, 1].mean(axis=1) - rates[:, 0].mean(axis=1)),
        apart_error=np.sqrt(2 * variance / rounds),
        apart_freedom=freedom,
    )


def _unexplained(parts: Floats, pooled: Flags) -> Floats:
    weights = pooled[:, :, None]
    usual = (parts * weights).sum(axis=1, keepdims=True) / pooled.sum(axis=1)[:, None, None]
    found: Floats = (((parts - usual) ** 2) * weights).sum(axis=(1, 2))
    return found


def quantiles(freedom: NDArray[np.int_], error: float) -> Floats:
    """Student's quantiles with an error on one side."""
    table = np.zeros(int(freedom.max(initial=0)) + 1)
    for one in np.flatnonzero(np.bincount(freedom.ravel())):
        table[one] = student_t(int(one), 1 - 2 * error)
    found: Floats = table[freedom]
    return found


@dataclass
class Races:
    """Many races of entrants with these gains; what each entrant was kept or left for, and after how many rounds.

    Attributes:
        wider: Standard deviation of each entrant's blocks, as a multiple of the others'.
        kept: Called a gain, and seen again.
        called: Called a gain.
        left: Without a gain.
        rounds: After which it was decided; 0 for those that are open.
    """

    gains: Sequence[float]
    count: int
    seed: int = 1
    wider: Sequence[float] = ()
    starts: float = STARTS
    kept: Flags = field(init=False)
    called: Flags = field(init=False)
    left: Flags = field(init=False)
    rounds: NDArray[np.int_] = field(init=False)

    def __post_init__(self) -> None:
        draw = np.random.default_rng(self.seed)
        many = BASE + len(self.gains)
        levels = np.array([0.0] * BASE + [math.log(gain) for gain in self.gains])
        spread = BLOCKS * np.array([1.0] * BASE + list(self.wider or [1.0] * len(self.gains)))
        self._start = self.starts * draw.standard_normal((self.count, many))
        self._spread = spread
        blocks = draw.standard_normal((self.count, many, TRIES.most)) * spread[:, None]
        self.rates = levels[:, None] + self._start[:, :, None] + blocks
        self._again = levels[BASE:] + self.starts * draw.standard_normal((self.count, many - BASE))
        self._again_blocks = draw.standard_normal((self.count, many, AGAIN_ROUNDS)) * spread[:, None]
        self._run()

    def _run(self) -> None:
        shape = (self.count, len(self.gains))
        self.called, self.left = np.zeros(shape, bool), np.zeros(shape, bool)
        self.rounds = np.zeros(shape, int)
        for rounds in TRIES.looks:
            racing = ~(self.called | self.left)
            rows = np.flatnonzero(racing.any(axis=1))
            if not rows.size:
                break
            still = racing[rows]
            found = look_at(self.rates[rows, :, :rounds], np.hstack([np.ones((rows.size, BASE), bool), still]))
            gain = _holding(found, still, self.left[rows].sum(axis=1), TRIES.error_at(rounds))
            half = quantiles(found.freedom, ERROR) * found.error
            disturbed = found.apart - quantiles(found.apart_freedom, ERROR) * found.apart_error > SPEED_FLOOR
            least = SPEED_FLOOR if rounds >= HOPELESS_FROM else 0.0
            short = ((found.mean + half < SPEED_FLOOR) & ~disturbed[:, None]) | (found.mean < least)
            self.called[rows] |= gain
            self.left[rows] |= still & ~gain & short
            self.rounds[rows] = np.where(gain | (still & short), rounds, self.rounds[rows])
        base = self._start[:, :BASE, None] + self._again_blocks[:, :BASE]
        again = self._again[:, :, None] + self._again_blocks[:, BASE:] - base.mean(axis=1, keepdims=True)
        self.kept = self.called & (again.mean(axis=2) > SPEED_FLOOR)

    def share_kept(self, entrant: int, within: int = TRIES.most) -> float:
        """Share of the races in which an entrant is kept, decided after so many rounds at most."""
        return float((self.kept[:, entrant] & (self.rounds[:, entrant] <= within)).mean())


def _holding(found: Look, still: Flags, others: NDArray[np.int_], error: float) -> Flags:
    """Those whose gain holds together (Holm), as `holding` finds them."""
    guard = quantiles(found.apart_freedom, COPIES_ERROR) * found.apart_error
    guard = np.where(found.apart <= ALIKE_WITHIN, guard, found.apart + guard)
    least = np.maximum(SPEED_FLOOR, guard)[:, None]
    strength = np.where(still, (found.mean - SPEED_FLOOR) / found.error, -np.inf)
    order = np.argsort(-strength, axis=1)
    many = still.sum(axis=1) + others
    gain, going = np.zeros(still.shape, bool), np.ones(len(still), bool)
    rows = np.arange(len(still))
    for place in range(still.shape[1]):
        entrant = order[:, place]
        own = still[rows, entrant]
        mean, spread, freedom = (one[rows, entrant] for one in (found.mean, found.error, found.freedom))

        alone = own & (mean - quantiles(freedom, error) * spread > least[:, 0])
        holds = np.zeros(len(still), bool)
        for number in np.unique(many - place):
            same = alone & (many - place == number)
            if same.any():
                holds[same] = (mean - quantiles(freedom, error / int(number)) * spread > least[:, 0])[same]
        going &= ~(alone & ~holds)
        gain[rows, entrant] |= going & holds
    return gain


def levels(entrants: int, part: int, count: int, seed: int) -> tuple[list[float], float]:
    """The levels at which an entrant of exactly the floor is called beyond it as often as `SPENT` has it.

    Copies of the base do not guard here, and none leaves.

    Args:
        part: That an entrant's share of the error of 1 % is (Holm).

    Returns:
        With them how often one is called at any look, at the levels of `TRIES`.
    """
    draw = np.random.default_rng(seed)
    crossed, called = np.zeros((count, entrants), bool), np.zeros((count, entrants), bool)
    found: list[float] = []
    rates = BLOCKS * draw.standard_normal((count, BASE + entrants, TRIES.most))
    for rounds, spent in zip(TRIES.looks, SPENT, strict=True):
        look = look_at(rates[:, :, :rounds], np.ones((count, BASE + entrants), bool))
        low, high, wanted = 1e-6, 0.02, spent / part * crossed.size
        strength = look.mean / look.error
        for _ in range(18):
            middle = math.sqrt(low * high)
            first = (strength > quantiles(look.freedom, middle)) & ~crossed
            low, high = (middle, high) if first.sum() <= wanted else (low, middle)
        crossed |= strength > quantiles(look.freedom, low)
        called |= strength > quantiles(look.freedom, TRIES.error_at(rounds) / part)
        found.append(low)
    return found, float(called.mean())


def main(words: Sequence[str]) -> None:
    """Print the simulation, or the levels of the looks."""
    if words == ["levels"]:
        for entrants, part in ((1, 1), (2, 2), (4, 1), (4, 2), (4, 4)):
            found = [levels(entrants, part, 90_000 // entrants, seed) for seed in (1, 2)]
            shares = [1e4 * part * float(np.mean(one)) for one in zip(*(one for one, _ in found), strict=True)]
            called = 100 * part * float(np.mean([one for _, one in found]))
            print(f"{entrants} entrants, error / {part}:", *(f"{one:5.1f}" for one in shares), f"called {called:.2f} %")
        return
    for entrants in (1, 2, 4):
        others = [1.0] * (entrants - 1)
        equal = Races([1.0, *others], 120_000 // entrants)
        wide = Races([1.0, *others], 60_000 // entrants, wider=[2.0, *others])
        floor = Races([math.exp(SPEED_FLOOR)] * entrants, 60_000, starts=0.0)
        print(
            f"{entrants} entrants: kept of equal ones {100 * equal.kept.mean():.3f} %, "
            f"of one whose blocks vary twice as much {100 * wide.kept[:, 0].mean():.3f} %; "
            f"races that call any of exactly the floor {100 * floor.called.any(axis=1).mean():.2f} %",
            flush=True,
        )
        for gain in (1.1, 1.2, 1.5, 2.0):
            one = Races([gain, *others], 20_000)
            known = ", ".join(f"{100 * one.share_kept(0, within):.1f} % by {within}" for within in TRIES.looks)
            print(f"  {gain}×, the others equal: {known}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
