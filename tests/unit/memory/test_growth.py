"""Growth of memory by steps, and when it is called a leak."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import accumulate

import pytest

from pipeprof.profiles.document.measured import Series
from pipeprof.profiles.document.shared import PhaseName
from pipeprof.profiles.memory.buffers import Buffered, Look
from pipeprof.profiles.memory.over_time import epoch_peaks, filled_at, largest_growth, measured_growth, memory_series

MB = 1_000_000
ORIGIN = 1000.0
RATE = 100
"""Steps per second."""


def look(at: float, live: float | None = 100, held: float = 50, epoch: int = 0, phase: PhaseName = "measure") -> Look:
    by_stage = {"stages.0": Buffered("shuffle", round(held * MB), 10)}
    return Look(
        ORIGIN + at, phase, round(RATE * at), epoch, None if live is None else round(live * MB), by_stage=by_stage
    )


def rss(of: list[float], phase: str = "measure") -> Series:
    """Samples a tenth of a second apart."""
    return Series(
        seconds=[n / 10 for n in range(len(of))],
        rss_bytes=[round(one * MB) for one in of],
        phase=[phase] * len(of),  # type: ignore[list-item]
    )


TIMES = [n / 5 for n in range(51)]
FLAT = rss([800.0] * 101)
RISING = rss([800 + 2 * n for n in range(101)])
"""20 MB a second: 200 MB per 1,000 steps."""


def test_the_series_has_what_autotune_chose_and_nothing_where_no_iterator_was() -> None:
    looks = [look(0.0), replace(look(1.0), tuned={"stages.0": 2.0}), replace(look(2.0), tuned={"stages.0": 4.0})]
    found = memory_series(looks, ORIGIN)
    assert found is not None
    assert (found.seconds, found.tuned) == ([0.0, 1.0, 2.0], {"stages.0": [None, 2.0, 4.0]})


def test_steady_memory_does_not_grow() -> None:
    assert measured_growth([look(at) for at in TIMES], FLAT, ORIGIN, in_use=0) is None


def test_growth_is_by_steps() -> None:
    found = measured_growth([look(at, live=100 + 20 * at) for at in TIMES], RISING, ORIGIN)

    assert found is not None
    assert found.leak
    assert found.mb_per_1000_steps == pytest.approx(200, rel=0.05)
    assert found.low <= found.mb_per_1000_steps <= found.high


def leaking(at: float) -> Look:
    """At a look that came late the loop is further on, and has kept as much more: 1 MB a step."""
    late = 0.1 * ((7 * round(5 * at)) % 3)
    steps = round(RATE * (at + late))
    return replace(look(at, live=100 + steps), steps=steps, rss=(800 + steps) * MB)


def test_steps_and_memory_are_of_the_same_moment() -> None:
    found = measured_growth([leaking(at) for at in TIMES[::2]], FLAT, ORIGIN)

    assert found is not None
    assert (found.low, found.high) == pytest.approx((1000, 1000), rel=1e-6)


def test_with_children_memory_is_that_of_all_together() -> None:
    looks = [replace(look(at + 0.05, live=100 + 20 * at), rss=500 * MB) for at in TIMES[:-1]]

    together = measured_growth(looks, RISING, ORIGIN, children=True)

    assert measured_growth(looks, RISING, ORIGIN) is None
    assert together is not None
    assert together.mb_per_1000_steps == pytest.approx(200, rel=0.01), "between two samples it is in proportion"


def test_a_leak_is_when_both_grow() -> None:
    both = measured_growth([look(at, live=100 + 20 * at) for at in TIMES], RISING, ORIGIN)
    only_rss = measured_growth([look(at) for at in TIMES], RISING, ORIGIN)
    unknown = measured_growth([look(at, live=None) for at in TIMES], RISING, ORIGIN)

    assert [one is not None and one.leak for one in (both, only_rss, unknown)] == [True, False, False]


@pytest.mark.parametrize(("in_use", "leak"), [(None, False), (50, False), (90, False), (110, True), (190, True)])
def test_blocks_of_the_heap_that_most_of_the_growth_is_are_a_leak_too(in_use: int | None, leak: bool) -> None:
    grown = None if in_use is None else in_use * MB
    found = measured_growth([look(at) for at in TIMES], RISING, ORIGIN, in_use=grown)

    assert (found is not None) is leak, "memory rises by 200 MB"


@pytest.mark.parametrize(("seconds", "leak"), [(3.0, False), (4.0, False), (10.0, True)])
def test_what_slows_down_by_half_is_filling(seconds: float, leak: bool) -> None:
    """A cache of the user's own that is filled at random has the e-th part of it missing after so many seconds."""

    def held(at: float) -> float:
        return 400 * (1 - math.exp(-at / seconds))

    found = measured_growth(
        [look(at, live=100 + held(at)) for at in TIMES], rss([800 + held(n / 10) for n in range(101)]), ORIGIN
    )

    assert (found is not None) is leak


def test_a_loop_that_slows_down_goes_on_leaking() -> None:
    """The pace is by steps: half as many in the second half keep half as much."""
    looks = []
    for at in TIMES:
        steps = 100 * at if at <= 5 else 500 + 30 * (at - 5)
        looks.append(replace(look(at, live=100 + 0.2 * steps), steps=round(steps), rss=round((800 + 0.2 * steps) * MB)))

    assert measured_growth(looks, FLAT, ORIGIN) is not None


def test_the_heap_says_nothing_where_a_buffer_filled_while_measuring() -> None:
    seen = [look(at, held=min(50, 25 * at)) for at in TIMES]

    assert measured_growth(seen, RISING, ORIGIN, in_use=200 * MB) is None
    assert measured_growth([look(at) for at in TIMES], RISING, ORIGIN, in_use=200 * MB) is not None


def test_while_a_buffer_fills_nothing_is_said_of_growth() -> None:
    looks = [look(at, live=100 + 20 * at, held=50 + 20 * at) for at in TIMES]

    assert measured_growth(looks, RISING, ORIGIN) is None


def test_by_epochs_where_there_are_enough() -> None:
    many, few = (
        measured_growth([look(at, live=100 + 20 * at, epoch=int(at / each)) for at in TIMES], RISING, ORIGIN)
        for each in (1, 2)
    )

    assert many is not None
    assert few is not None
    assert many.windows == 9
    assert many.mb_per_epoch == pytest.approx(20, rel=0.05)
    assert many.mb_per_1000_steps == pytest.approx(200, rel=0.05)
    assert few.mb_per_epoch is None


def test_what_grew_while_a_buffer_filled_is_left_out() -> None:
    looks = [look(at, live=100 + min(at, 4) * 20, held=50 + min(at, 4) * 20) for at in TIMES]
    filling = rss([800 + 2 * min(n, 40) for n in range(101)])

    assert filled_at(looks) == pytest.approx(ORIGIN + 4)
    assert measured_growth(looks, filling, ORIGIN) is None


def test_six_looks_are_enough_and_fewer_say_nothing() -> None:
    looks = [look(at, live=100 + 20 * at) for at in TIMES]

    assert measured_growth(looks[:6], RISING, ORIGIN) is not None
    assert measured_growth(looks[:5], RISING, ORIGIN) is None
    assert measured_growth([], FLAT, ORIGIN) is None


def test_a_large_buffer_that_fills_slowly_is_no_leak() -> None:
    looks = [look(at, live=10_000 + 20 * at, held=10_000 + 20 * at) for at in TIMES]

    assert measured_growth(looks, RISING, ORIGIN) is None


@pytest.mark.parametrize("deviation", [1, 5])
def test_noise_alone_is_no_growth(deviation: int) -> None:
    """Errors half of which stay to the next look, with heap and pool that grow as far as memory does."""
    chance, found = random.Random(7), 0
    for _ in range(200):
        errors = accumulate((chance.gauss(0, deviation) for _ in TIMES), lambda before, new: 0.5 * before + new)
        memory = {at: 800 + error for at, error in zip(TIMES, errors, strict=True)}
        seen = [replace(look(at, live=held), rss=round(held * MB)) for at, held in memory.items()]
        found += measured_growth(seen, FLAT, ORIGIN) is not None

    assert found <= 2


def test_a_small_buffer_that_comes_and_goes_is_as_good_as_full() -> None:
    looks = [look(at, held=0.5 + 0.1 * at) for at in TIMES]

    assert filled_at(looks) == ORIGIN


def test_the_series_has_a_list_for_each_stage() -> None:
    found = memory_series([look(0), look(0.2, held=60, epoch=1)], ORIGIN)

    assert found is not None
    assert found.seconds == [0.0, 0.2]
    assert found.epoch == [0, 1]
    assert found.stages == {"stages.0": [50 * MB, 60 * MB]}
    assert memory_series([], ORIGIN) is None


def test_the_first_epoch_stands_against_later_ones() -> None:
    looks = [look(at, epoch=int(at >= 5)) for at in TIMES]
    falling = rss([900.0] * 50 + [800.0] * 51)

    found = epoch_peaks(looks, falling, ORIGIN)

    assert found is not None
    assert (found.first_peak_bytes, found.later_peak_bytes) == (900 * MB, 800 * MB)


def test_a_run_within_one_epoch_has_no_later_ones() -> None:
    assert epoch_peaks([look(at) for at in TIMES], FLAT, ORIGIN) is None


def test_each_phase_has_the_buffer_that_grew_most_in_it() -> None:
    looks = [
        look(0, held=200, phase="first_element"),
        look(1, held=150, phase="warmup"),
        look(2, held=205, phase="warmup"),
        look(3, held=300),
        look(4, held=280),
    ]

    found = largest_growth(looks)

    assert found is not None
    assert [(one.phase, one.stage, one.bytes // MB) for one in found] == [
        ("first_element", "stages.0", 200),
        ("measure", "stages.0", 95),
    ]
    assert largest_growth(looks, {"stages.0": 0.0}) == []
    assert largest_growth([]) is None
