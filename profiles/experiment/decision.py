"""What a change is, decided by one rule for all commands: pure functions.

`run`, `fix`, `compare` and `gate` differ in how long they measure and when they stop, not in what a set of blocks
means. A change counts where its whole interval (`pipeprof.profiles.experiment.statistics`, 98 %) is beyond the floor,
3 % unless the user says otherwise. It is no change of that size where the whole interval is short of the floor. Else
it is unknown. So both errors are bounded at the floor itself: a change of exactly the floor is called either way
in about 1 % of looks, and of two equal pipelines the wrong verdict needs the whole floor and half the interval more.

Copies of one pipeline guard it. Where two copies of the base differ from each other for certain, a change counts only
beyond the most that they may differ by; where they do so by more than the floor, nothing is short of the floor either.
Processes that were started once differ in all of their rounds alike, which no number of rounds averages out: there a
change counts only beyond the half-width of what the copies of the base differ by, whether they do so for certain or
not. Simulated with processes that differ by 3 %, of equal pipelines 0.3 % are called faster so, 1.6 % without it.

Of several changes that are judged together, metrics or arms, Holm's procedure bounds the error of all together (Holm
1979, Scandinavian Journal of Statistics 6). docs/deciding.md has what simulations give, docs/results.md what recorded
processes do.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.experiment.statistics import ERROR, SHARE, Interval

Verdict = Literal["regressed", "not regressed", "cannot tell"]
Outcome = Literal["above", "below", "inside", "unclear"]
"""Beyond the floor on one side or the other, inside of both, or unknown."""
Key = TypeVar("Key", bound=Hashable)

LEAST_GAIN = 1 + FLOOR
"""Smallest speed-up that counts."""
SPEED_FLOOR = math.log1p(FLOOR)
"""The same on the scale of the decision."""
COPIES_ERROR = 0.025
"""On each side of the interval of copies that were started once: 95 %, as it is not what is decided."""
ALIKE_WITHIN = math.log1p(0.02)
"""Two processes of the same pipeline that differ by so much at most are alike; their interval alone is the guard."""
FAR = 200
"""Pairs above which it is not worth saying how many more would settle a verdict."""


@dataclass(frozen=True)
class Comparison:
    """An arm against the base.

    Attributes:
        same: One copy of the base against another one; None where the base has only one.
        one_start: Whether all rounds are of the same processes.
    """

    change: Interval
    same: Interval | None = None
    one_start: bool = False

    @property
    def own_differences(self) -> float:
        """The most that copies of the base may differ by, which is no change of the arm; 0 where fresh starts agree."""
        if self.same is None:
            return 0.0
        far, half = abs(self.same.mean), self.same.half(COPIES_ERROR if self.one_start else ERROR)
        if self.one_start:
            return half if far <= ALIKE_WITHIN else far + half
        return far + half if far > half else 0.0

    def is_disturbed(self, floor: float) -> bool:
        """Whether copies of the base differ by more than the floor for certain."""
        return self.same is not None and abs(self.same.mean) - self.same.half() > floor

    def exceeds(self, floor: float = SPEED_FLOOR, error: float = ERROR) -> bool:
        """Whether the change is beyond the floor, on its scale, for certain: with that error on each side."""
        least = self.change.mean - self.change.half(error)
        return least > max(floor, self.own_differences)

    def falls_short(self, floor: float = SPEED_FLOOR) -> bool:
        """Whether the change is short of the floor for certain."""
        return self.change.mean + self.change.half() < floor and not self.is_disturbed(floor)

    def mirrored(self) -> Comparison:
        """The change in the other direction."""
        return replace(self, change=self.change.mirrored())

    def outcome(self, floor: float = SPEED_FLOOR, error: float = ERROR) -> Outcome:
        """State what the change is."""
        other = self.mirrored()
        if self.exceeds(floor, error):
            return "above"
        if other.exceeds(floor, error):
            return "below"
        return "inside" if self.falls_short(floor) and other.falls_short(floor) else "unclear"

    def strength(self, floor: float) -> float:
        """How many standard errors the change is beyond the floor."""
        beyond = self.change.mean - floor
        if self.change.error == 0:
            return math.inf if beyond > 0 else -math.inf if beyond < 0 else 0.0
        return beyond / self.change.error


Test = tuple[Comparison, float]
"""A comparison and its floor on the scale of the decision; positive changes are for the worse."""


def verdict_of(compared: Comparison, floor: float, error: float = ERROR) -> Verdict:
    """Whether something has regressed by more than a floor; positive changes are for the worse."""
    if compared.exceeds(floor, error):
        return "regressed"
    return "not regressed" if compared.falls_short(floor) else "cannot tell"


def holding(tests: Mapping[Key, Test], error: float = ERROR, others: int = 0) -> set[Key]:
    """Those of several changes, and others that do not hold, that are beyond their floors for certain together (Holm).

    The clearest one has to hold at the error over their number, the next one at the error over the number that is left,
    until one does not hold.
    """
    found: set[Key] = set()
    for place, key in enumerate(sorted(tests, key=lambda key: -tests[key][0].strength(tests[key][1]))):
        compared, floor = tests[key]
        if not compared.exceeds(floor, error):
            continue
        if not compared.exceeds(floor, error / (len(tests) + others - place)):
            break
        found.add(key)
    return found


def verdicts(tests: Mapping[Key, Test], error: float = ERROR) -> dict[Key, Verdict]:
    """The verdicts on several changes together, with that error for all regressions.

    That none has regressed needs no correction: each has to be so by itself.
    """
    held = holding(tests, error)
    given: dict[Key, Verdict] = {key: verdict_of(*test) for key, test in tests.items()}
    return {
        key: "cannot tell" if verdict == "regressed" and key not in held else verdict for key, verdict in given.items()
    }


def outcomes(tests: Mapping[Key, Test]) -> dict[Key, Outcome]:
    """What several changes are, together: each on either side of its floor."""
    sided = {key: (one.mirrored() if one.change.mean < 0 else one, floor) for key, (one, floor) in tests.items()}
    held = holding(sided)
    given = {key: one.outcome(floor) for key, (one, floor) in tests.items()}
    return {key: "unclear" if it in {"above", "below"} and key not in held else it for key, it in given.items()}


def resolution(same: Interval, floor: float) -> float:
    """The smallest change that would have been called a regression, on the scale of the decision.

    A change of this size is found in 99 of 100 sessions: the floor, half the interval, and as much again for where the
    mean may fall. `same` is what two copies of the base differ by, of several pairs.
    """
    # The change from the mean of two copies has the variance of 1.5 processes, the difference of two copies that of 2.
    error = same.error * math.sqrt(SHARE)
    return floor + 2 * Interval(0.0, error, 2 * same.pairs - 1, same.pairs).half()


def pairs_to_settle(found: Interval, floor: float) -> int | None:
    """How many pairs in all would settle a verdict if the next are as those so far; None above `FAR`."""
    if found.pairs < 2 or found.error == 0:
        return None
    spread, distance = found.error * math.sqrt(found.pairs), abs(found.mean - floor)
    each = 2 if found.freedom > found.pairs - 1 else 1
    for pairs in range(found.pairs + 1, FAR + 1):
        if Interval(0.0, spread / math.sqrt(pairs), each * pairs - 1, pairs).half() < distance:
            return pairs
    return None
