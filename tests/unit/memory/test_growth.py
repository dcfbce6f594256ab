"""Growth of memory by steps, and when it is called a leak."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.memory.buffers import Buffered, Look
from pipeprof.profiles.memory.growth import leak_text, measured_growth

MB = 1_000_000
RATE = 100
"""Steps per second."""


def look(at: float, live: float | None = 100, held: float = 50, rss: float | None = None) -> Look:
    """A look at a time; resident memory rises by 20 MB a second, 200 MB per 1,000 steps."""
    by_stage = {"stages.0": Buffered("shuffle", round(held * MB), 10)}
    resident = round((800 + 20 * at if rss is None else rss) * MB)
    alive = None if live is None else round(live * MB)
    return Look(at, "measure", round(RATE * at), 0, alive, by_stage=by_stage, rss=resident)


TIMES = [n / 5 for n in range(51)]


@pytest.mark.parametrize(
    ("rise", "epoch_steps", "first_epoch", "leak"),
    [
        pytest.param(20, 100, 0, True, id="many epochs"),
        pytest.param(20, 250, 0, True, id="several epochs"),
        pytest.param(20, 10_000, 0, True, id="within the first epoch"),
        pytest.param(20, 10_000, 4, False, id="within another epoch, which may free it"),
        pytest.param(0.5, 100, 0, False, id="a little"),
    ],
)
def test_growth_is_by_steps(rise: float, epoch_steps: int, first_epoch: int, leak: bool) -> None:
    found = measured_growth(
        [
            replace(look(at, 100 + rise * at, rss=800 + rise * at), epoch=first_epoch + int(RATE * at) // epoch_steps)
            for at in TIMES
        ]
    )
    assert (found is not None) is leak
    if found is not None:
        assert found.leak
        assert found.bytes_per_step == pytest.approx(200_000, rel=0.05)


def leaking(at: float) -> Look:
    """At a look that came late the loop is further on, and has kept as much more: 1 MB a step."""
    late = 0.1 * ((7 * round(5 * at)) % 3)
    steps = round(RATE * (at + late))
    return replace(look(at, live=100 + steps), steps=steps, rss=(800 + steps) * MB)


def test_steps_and_memory_are_of_the_same_moment() -> None:
    found = measured_growth([leaking(at) for at in TIMES[::2]])
    assert found is not None
    assert found.bytes_per_step == pytest.approx(MB, rel=1e-6)


def test_a_leak_is_when_both_grow() -> None:
    both = measured_growth([look(at, live=100 + 20 * at) for at in TIMES])
    only_rss = measured_growth([look(at) for at in TIMES])
    unknown = measured_growth([look(at, live=None) for at in TIMES])
    assert [one is not None and one.leak for one in (both, only_rss, unknown)] == [True, False, False]


@pytest.mark.parametrize(("in_use", "leak"), [(None, False), (50, False), (90, False), (110, True), (190, True)])
def test_blocks_of_the_heap_that_most_of_the_growth_is_are_a_leak_too(in_use: int | None, leak: bool) -> None:
    grown = None if in_use is None else in_use * MB
    found = measured_growth([look(at) for at in TIMES], grown)
    assert (found is not None) is leak, "memory rises by 200 MB"


def test_a_loop_that_slows_down_goes_on_leaking() -> None:
    """The pace is by steps: half as many in the second half keep half as much."""
    looks = []
    for at in TIMES:
        steps = 100 * at if at <= 5 else 500 + 30 * (at - 5)
        looks.append(replace(look(at, live=100 + 0.2 * steps), steps=round(steps), rss=round((800 + 0.2 * steps) * MB)))
    assert measured_growth(looks) is not None


@given(
    process=st.lists(st.integers(0, 30), min_size=20, max_size=60),
    live=st.lists(st.integers(-10, 30), min_size=20, max_size=60),
    in_use=st.one_of(st.none(), st.integers(-200, 400)),
)
def test_growth_has_evidence(process: list[int], live: list[int], in_use: int | None) -> None:
    """Whatever memory does: no leak without growth in use, and nothing beyond what was measured."""
    looks = [
        replace(look(at / 2, live=max(0, 100 + held)), steps=at * 5, rss=(800 + grown) * MB)
        for at, (grown, held) in enumerate(zip(accumulate(process), accumulate(live), strict=False))
    ]
    growth = measured_growth(looks, None if in_use is None else in_use * MB)
    sentence = leak_text(Memory(growth=growth))
    if growth is None:
        assert not sentence
        return
    assert (growth.in_use_bytes or 0) > 0
    assert (growth.steps or 0) <= looks[-1].steps - looks[0].steps
    assert "--soak" in sentence
