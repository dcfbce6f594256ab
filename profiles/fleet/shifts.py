"""Where the pace of a series of runs changes: pure functions.

Runs are single measurements on machines of one class, not pairs in turns as those of a gate. So a change is judged by
how much the runs of one host differ from each other: each host has a pace of its own, and one change is common to all
(least squares with a constant for each host). What hosts differ by is no change then, however they follow each other.
The runs of hosts with fewer than `LEAST` of them are taken together as those of one host.

A series is looked at as a whole and in three halves of it, so that a pace which comes back does not hide both of its
changes; then again on both sides of the clearest change. The error of a look is divided among all of its places, and a
change counts beyond the same floor as everywhere, 3 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import NamedTuple

from pipeprof.profiles.experiment.decision import SPEED_FLOOR, Comparison
from pipeprof.profiles.experiment.statistics import ERROR, Interval
from pipeprof.profiles.history.series import LEAST


@dataclass(frozen=True)
class Shift:
    """A change of the pace.

    Attributes:
        at: The first run of the new pace, by its place in the series.
        change: Difference of the mean logarithms of the time per batch, between the neighbouring changes; positive is
            slower.
    """

    at: int
    change: Interval


def shifts(values: Sequence[float], hosts: Sequence[str]) -> list[Shift]:
    """Where a series changes for certain, in its order.

    Args:
        values: Logarithms of times, in the order of the runs.
        hosts: Of each run.
    """
    numbers: dict[str, int] = {}
    by_number = [numbers.setdefault(host, len(numbers)) for host in hosts]
    first = values[0] if values else 0.0
    values = [value - first for value in values]
    places = sorted(_split(values, by_number, 0, len(values)))
    found = []
    for before, at, after in zip([0, *places], places, [*places[1:], len(values)], strict=False):
        part = _changes(values[before:after], by_number[before:after])
        change = next((one for one in part if one.at == at - before), None)
        if change is not None and _is_certain(change.interval, ERROR):
            found.append(Shift(at, change.interval))
    return found


def _split(values: Sequence[float], hosts: Sequence[int], begin: int, end: int) -> Iterator[int]:
    """The place of the clearest change in a part of a series, then those on both sides of it."""
    number = end - begin
    if number < 2 * LEAST:
        return
    quarters = [begin + number * quarter // 4 for quarter in range(5)]
    halves = zip(quarters, quarters[2:], strict=False) if number >= 8 * LEAST else ()
    windows = [(begin, end), *halves]
    tests = sum(last - first - 2 * LEAST + 1 for first, last in windows)
    best, begun = _NONE, begin
    for first, last in windows:
        found = max(_changes(values[first:last], hosts[first:last]), default=_NONE)
        if found > best:
            best, begun = found, first
    if best.strength > 0 and _is_certain(best.interval, ERROR / tests):
        at = begun + best.at
        yield at
        yield from _split(values, hosts, begin, at)
        yield from _split(values, hosts, at, end)


class _Change(NamedTuple):
    """What the pace changes by at one place; the clearest one is the largest.

    Attributes:
        strength: How many standard errors the change in either direction is beyond the floor.
        at: The first run of the new pace.
    """

    strength: float
    at: int
    mean: float
    error: float
    freedom: int

    @property
    def interval(self) -> Interval:
        return Interval(self.mean, self.error, self.freedom, self.freedom + 1)


_ROUNDING = 1e-9
_NONE = _Change(-math.inf, 0, 0.0, 0.0, 0)


def _is_certain(change: Interval, error: float) -> bool:
    tested = Comparison(change)
    return (tested if change.mean > 0 else tested.mirrored()).exceeds(SPEED_FLOOR, error)


def _changes(values: Sequence[float], hosts: Sequence[int]) -> Iterator[_Change]:
    """What the pace changes by at each place with enough runs on both sides, where that is beyond the floor.

    Nearly all that a question takes is spent here, at each place of thousands of series: whole lists are worked on
    where that is possible.

    Args:
        values: Differences from a usual one: squares of large sums would lose digits.
        hosts: By numbers from 0 on.
    """
    number = len(values)
    counts = [0] * (max(hosts) + 1)
    for host in hosts:
        counts[host] += 1
    rare = [host for host, count in enumerate(counts) if 0 < count < LEAST]
    if len(rare) > 1:
        same = dict.fromkeys(rare, rare[0])
        hosts = [same.get(host, host) for host in hosts]
        counts = [0 if host in same else count for host, count in enumerate(counts)]
        counts[rare[0]] = hosts.count(rare[0])
    freedom = number - sum(count > 0 for count in counts) - 1
    if freedom < 1:
        return
    totals = [0.0] * len(counts)
    for host, value in zip(hosts, values, strict=True):
        totals[host] += value
    means = [total / count if count else 0.0 for total, count in zip(totals, counts, strict=True)]
    left = [means[host] - value for host, value in zip(hosts, values, strict=True)]
    spread = sum(map(mul, left, left))
    # Of a host with n runs, b of them before the place, a comparison of both sides weighs b (n - b) / n: so much more
    # with its next run.
    more = [1 - 1 / count if count else 0.0 for count in counts]
    fewer = [2 / count if count else 0.0 for count in counts]
    # Half of what `LEAST` runs of one host on the shorter side weigh.
    weight, least = 0.0, (LEAST / 2 - _ROUNDING) * (1 - LEAST / number)
    for at, (host, difference) in enumerate(zip(hosts[: number - LEAST], accumulate(left), strict=False), 1):
        weight += more[host]
        more[host] -= fewer[host]
        if abs(difference) > SPEED_FLOOR * weight and at >= LEAST and weight >= least:
            mean = difference / weight
            error = math.sqrt(max(0.0, spread - mean * difference) / freedom / weight)
            yield _Change((abs(mean) - SPEED_FLOOR) / error if error else math.inf, at, mean, error, freedom)
