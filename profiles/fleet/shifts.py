"""Where the pace of a series of runs changes: pure functions.

Runs are single measurements on machines of one class, not pairs in turns as those of a gate. So a change is judged by
how much the runs of one host differ from each other: each host has a pace of its own, and one change is common to all
(least squares with a constant for each host). What hosts differ by is no change then, however they follow each other.
The runs of hosts with fewer than `LEAST` of them are taken together as those of one host. The error of a whole series
is divided among all places where it could change, and a change counts beyond the same floor as everywhere, 3 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeprof.profiles.experiment.decision import SPEED_FLOOR, Comparison
from pipeprof.profiles.experiment.statistics import ERROR, Interval
from pipeprof.profiles.history.series import LEAST


@dataclass(frozen=True)
class Shift:
    """A change of the pace.

    Attributes:
        at: The first run of the new pace, by its place in the series.
        change: Of the logarithms; positive is slower.
    """

    at: int
    change: Interval


@dataclass
class _Host:
    """Sums of the runs of one host before a place, and of all."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    before: int = 0
    sum_before: float = 0.0

    @property
    def weight(self) -> float:
        """What a comparison of both sides on this host counts."""
        return self.before * (self.count - self.before) / self.count

    @property
    def difference(self) -> float:
        """The weight times the difference of the means after and before."""
        return self.before * self.total / self.count - self.sum_before

    @property
    def spread(self) -> float:
        """Squared differences from the mean of the host."""
        return max(0.0, self.squares - self.total**2 / self.count)


def shifts(values: Sequence[float], hosts: Sequence[str]) -> list[Shift]:
    """Where a series changes for certain, in its order.

    Args:
        values: Logarithms of times, in the order of the runs.
        hosts: Of each run.
    """
    return sorted(_split(values, hosts, 0), key=lambda shift: shift.at)


def _split(values: Sequence[float], hosts: Sequence[str], offset: int) -> Iterator[Shift]:
    """The clearest change, then those of both parts."""
    best = _clearest(values, hosts)
    if best is None:
        return
    yield Shift(best.at + offset, best.change)
    yield from _split(values[: best.at], hosts[: best.at], offset)
    yield from _split(values[best.at :], hosts[best.at :], offset + best.at)


def _clearest(values: Sequence[float], hosts: Sequence[str]) -> Shift | None:
    number = len(values)
    if number < 2 * LEAST:
        return None
    runs = Counter(hosts)
    # Differences from one value: squares of large sums would lose digits.
    values = [value - values[0] for value in values]
    names = [host if runs[host] >= LEAST else "" for host in hosts]
    known = {name: _Host() for name in names}
    for name, value in zip(names, values, strict=True):
        host = known[name]
        host.count += 1
        host.total += value
        host.squares += value * value
    freedom = number - len(known) - 1
    if freedom < 1:
        return None
    spread = sum(host.spread for host in known.values())
    weight = difference = 0.0
    best: tuple[float, Shift] | None = None
    for at in range(1, number - LEAST + 1):
        host = known[names[at - 1]]
        weight -= host.weight
        difference -= host.difference
        host.before += 1
        host.sum_before += values[at - 1]
        weight += host.weight
        difference += host.difference
        if at < LEAST or weight < LEAST / 2 * (1 - LEAST / number):
            continue
        mean = difference / weight
        error = math.sqrt(max(0.0, spread - mean * difference) / freedom / weight)
        change = Interval(mean, error, freedom, number)
        strength = (abs(mean) - SPEED_FLOOR) / error if error else math.inf if abs(mean) > SPEED_FLOOR else -math.inf
        if best is None or strength > best[0]:
            best = strength, Shift(at, change)
    if best is None:
        return None
    tested = Comparison(best[1].change)
    sided = tested if best[1].change.mean > 0 else tested.mirrored()
    return best[1] if sided.exceeds(SPEED_FLOOR, ERROR / (number - 2 * LEAST + 1)) else None
