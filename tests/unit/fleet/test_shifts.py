"""Changes of the pace in a series of runs: which are found, and which chance makes."""

from __future__ import annotations

import math
import random

import pytest

from pipeprof.profiles.fleet.shifts import shifts


def drawn(
    number: int, seed: int, noise: float, *, hosts: int = 1, between: float = 0.0
) -> tuple[list[float], list[str]]:
    """Logarithms of the times of so many runs, and their hosts."""
    source = random.Random(seed)
    own = [source.gauss(0.0, between) for _ in range(hosts)]
    names = [source.randrange(hosts) for _ in range(number)]
    return [own[name] + source.gauss(0.0, noise) for name in names], [f"h{name}" for name in names]


@pytest.mark.parametrize("slower", [1.1, 1 / 1.1])
def test_a_planted_change_is_found_where_it_is(slower: float) -> None:
    values, hosts = drawn(60, 1, 0.02)
    planted = [value + (math.log(slower) if place >= 30 else 0.0) for place, value in enumerate(values)]
    (found,) = shifts(planted, hosts)
    assert found.at == 30
    assert found.change.low < slower < found.change.high


def test_two_changes_are_two() -> None:
    values, hosts = drawn(90, 2, 0.01)
    planted = [value + (0.2 if 30 <= place < 60 else 0.0) for place, value in enumerate(values)]
    assert [(one.at, one.change.mean > 0) for one in shifts(planted, hosts)] == [(30, True), (60, False)]


@pytest.mark.parametrize(("noise", "between"), [(0.02, 0.0), (0.05, 0.0), (0.1, 0.0), (0.02, 0.1)])
def test_chance_and_a_mix_of_hosts_make_none(noise: float, between: float) -> None:
    for seed in range(40):
        assert shifts(*drawn(60, seed, noise, hosts=8 if between else 1, between=between)) == []


def test_hosts_that_follow_each_other_are_no_change() -> None:
    # The later runs are all of a host that is 30 % slower, which an average of the class would call a change.
    values, _ = drawn(40, 3, 0.02)
    slower = [value + (0.26 if place >= 20 else 0.0) for place, value in enumerate(values)]
    assert shifts(slower, ["a"] * 20 + ["b"] * 20) == []
    assert [one.at for one in shifts(slower, ["a"] * 40)] == [20]


def test_hosts_of_single_runs_count_as_one() -> None:
    values, _ = drawn(40, 4, 0.02)
    planted = [value + (0.1 if place >= 20 else 0.0) for place, value in enumerate(values)]
    assert [one.at for one in shifts(planted, [f"vm-{place}" for place in range(40)])] == [20]


def test_a_single_slow_run_is_no_change() -> None:
    values, hosts = drawn(30, 5, 0.02)
    values[12] += 0.5
    assert shifts(values, hosts) == []
    assert shifts(values[:5], hosts[:5]) == []
    assert shifts([0.0] * 20, ["a"] * 20) == []
    assert [one.at for one in shifts([0.0] * 10 + [0.5] * 10, ["a"] * 20)] == [10]
