"""When it is known what the entrants of a race are: pure functions.

A round gives one block to each entrant and to both copies of the base. An entrant is looked at after few rounds and
after many (`pipeprof.profiles.experiment.purposes.TRIES`), and leaves the race as soon as it is decided. What an
entrant is follows `pipeprof.profiles.experiment.decision`; what is the race's own is here:

- **One spread for all.** After three rounds, an entrant's own changes say little about how much they vary: their
  interval is twice as long as that of ten degrees of freedom. So the spread is that of all blocks of those in the race,
  less what processes differ by (which is what is asked) and less what rounds differ by (the machine's own pace). An
  entrant that varies by more than the others, beyond the 1 % point of F, is judged by its own spread, and is no part of
  theirs. Fixed bounds on the ratio of both variances, 1/3 and 4/3, would leave out two of three after three rounds.
- **The looks share one error**, 1 % on each side for all entrants together (Holm), much of which is spent after three
  and four rounds. Simulated at the levels of the looks alone, without the copies of the base, an entrant of exactly the
  floor is called beyond it in 0.7 % of races of one entrant; in races of four in 0.8 % at the whole error, and in a
  half of 0.9 % at half of it.
- **Copies of the base guard it**: a gain counts beyond what they may differ by.
- **What is kept was also seen in a second process.** Processes of one pipeline differ in all of their rounds alike,
  which no number of rounds averages out. So a second process of the entrant has two rounds in which it has to show the
  gain as well.

Simulated with blocks that vary by 5 % and starts of processes that differ by 1.5 % (standard deviations), 20,000 races
and more for each number (one entrant has the gain, the others are equal):

| entrants | 1.5× known after 3, 4, 6 rounds | 1.2× after 6, 12 | 1.1× after 12, 30 | equal ones kept | floor called |
| --- | --- | --- | --- | --- | --- |
| 1 | 69, 97, 100 % | 54, 95 % | 25, 69 % | 0.04 % | 0.3 % |
| 2 | 83, 96, 100 % | 51, 94 % | 21, 67 % | 0.04 % | 0.3 % |
| 4 | 93, 98, 100 % | 50, 92 % | 18, 64 % | 0.02 % | 0.3 % |

The last column are races that call any of their entrants a gain where all have exactly the floor and starts are alike.
Of an equal entrant whose blocks vary twice as much as the others', 0.04 % are kept.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean
from typing import Literal, TypeAlias

from pipeprof.profiles.experiment.decision import SPEED_FLOOR, Comparison, holding
from pipeprof.profiles.experiment.evidence import BASELINES, rate
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.experiment.statistics import Interval, f_tail
from pipeprof.profiles.protocol.turns import TurnEnded

Standing: TypeAlias = Literal["gain", "no gain", "hopeless", "open"]
"""`hopeless`: no gain so far, and more rounds would seldom make one of it."""
Rates: TypeAlias = "Mapping[str, Sequence[float]]"
"""Logarithms of steps per second, by process, one for each round."""

TOO_WIDE = 0.01
"""Chance of a variance as far above that of the others, below which an entrant has a spread of its own."""
HOPELESS_FROM = 6
"""Rounds from which an entrant leaves that is so far less than the floor faster; one that is slower, at any look."""
STILL_WORTH = 1.3
"""Times as fast: what may be that by its interval is not hopeless, as where one block of three was disturbed."""
AGAIN_ROUNDS = 2
"""In which a second process of an entrant has to show its gain."""
_NOTHING = 1e-20
"""Sum of squares that rounding leaves of equal blocks."""


def rates_of(rounds: Sequence[Mapping[str, TurnEnded]], names: Collection[str]) -> dict[str, list[float]]:
    """Logarithms of the rates of processes, in the rounds in which each of them had steps."""
    found: dict[str, list[float]] = {name: [] for name in names}
    for blocks in rounds:
        rates = {name: rate(blocks[name]) for name in names if name in blocks}
        if len(rates) == len(found) and all(rates.values()):
            for name, one in rates.items():
                found[name].append(math.log(one))
    return found


def comparisons(rates: Rates, *, one_start: bool = True) -> dict[str, Comparison]:
    """Each entrant against the mean of both copies of the base, in their rounds; none before the second one."""
    first, last = (rates[name] for name in BASELINES)
    count = len(first)
    if count < 2:
        return {}
    pooled = _alike(rates)
    freedom = (count - 1) * (len(pooled) - 1)
    variance = _unexplained(pooled) / freedom
    apart = fmean(last) - fmean(first)
    same = Interval(apart, math.sqrt(2 * variance / count), freedom, count)
    found = {}
    for name in rates.keys() - set(BASELINES):
        changes = changes_of(rates, name)
        mean = fmean(changes)
        # Of one process less the mean of two.
        error, own_freedom = math.sqrt(1.5 * variance / count), freedom
        if name not in pooled:
            own_freedom = count - 1
            error = math.sqrt(sum((change - mean) ** 2 for change in changes) / own_freedom / count)
        found[name] = Comparison(Interval(mean, error, own_freedom, count), same, one_start=one_start)
    return found


def standings(
    compared: Mapping[str, Comparison], rounds: int, before: int = 0, *, others: int = 0, last: bool = False
) -> dict[str, Standing]:
    """What entrants are known to be by now.

    Args:
        rounds: That count.
        before: The most rounds that there were until now: each look is taken once.
        others: Entrants that have left without a gain: they count for Holm's procedure.
        last: Whether no more rounds can be measured: then there is a look, if there are rounds enough for one.
    """
    is_due = TRIES.is_look(rounds, before) or (last and rounds >= TRIES.early)
    if not is_due:
        return dict.fromkeys(compared, "open")
    tests = {name: (one, SPEED_FLOOR) for name, one in compared.items()}
    gains = holding(tests, TRIES.error_at(rounds), others)
    return {name: "gain" if name in gains else _without_gain(one, rounds) for name, one in compared.items()}


def is_seen_again(changes: Sequence[float]) -> bool:
    """Whether a second process of an entrant shows the gain, from its changes against the base in each round."""
    return len(changes) >= AGAIN_ROUNDS and fmean(changes) > SPEED_FLOOR


def changes_of(rates: Rates, name: str) -> list[float]:
    """What a process differs by from the mean of both copies of the base, in each round."""
    return [
        own - (one + other) / 2
        for own, one, other in zip(rates[name], *(rates[base] for base in BASELINES), strict=True)
    ]


def _without_gain(one: Comparison, rounds: int) -> Standing:
    if one.falls_short():
        return "no gain"
    least = SPEED_FLOOR if rounds >= HOPELESS_FROM else 0.0
    return "hopeless" if one.change.mean < least and one.change.high < STILL_WORTH else "open"


def _alike(rates: Rates) -> dict[str, Sequence[float]]:
    """The processes that tell one spread: the base, and all entrants but those that vary by more than the others."""
    found = dict(rates)
    while len(found) > len(BASELINES):
        whole, freedom = _unexplained(found), len(rates[BASELINES[0]]) - 1
        below = freedom * (len(found) - 2)
        others = {
            name: _unexplained({one: values for one, values in found.items() if one != name})
            for name in found.keys() - set(BASELINES)
        }
        widest = min(others, key=lambda name: others[name])
        own = (whole - others[widest]) / freedom
        # Where the others' blocks are equal, any spread is beyond theirs.
        unlike = math.inf if own > _NOTHING else 0.0
        ratio = own * below / others[widest] if others[widest] > _NOTHING else unlike
        if f_tail(ratio, freedom, below) > TOO_WIDE:
            break
        del found[widest]
    return found


def _unexplained(rates: Rates) -> float:
    """Sum of squares that neither processes nor rounds explain, of so many rounds and processes less one of each."""
    parts = [[value - fmean(values) for value in values] for values in rates.values()]
    usual = [fmean(values) for values in zip(*parts, strict=True)]
    return sum((value - mean) ** 2 for values in parts for value, mean in zip(values, usual, strict=True))
