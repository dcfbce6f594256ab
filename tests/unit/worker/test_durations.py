"""Durations against numpy's own answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.worker.steps.durations import Rhythm, median_ms


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50))
def test_the_median_is_numpys(values):
    found = np.asarray(values, dtype=np.int64)
    assert median_ms(found) == pytest.approx(float(np.median(found)) / 1e6)


MS = 1_000_000


def slow_of(steps) -> tuple[int, float] | None:
    rhythm = Rhythm()
    for at in range(0, len(steps), 7):
        rhythm.add(np.asarray(steps[at : at + 7], dtype=np.int64) * MS)
    return rhythm.slow()


def with_stalls(every: int, ms: int, count: int = 160) -> list[int]:
    return [ms if number % every == every - 1 else 10 + number % 3 for number in range(count)]


@pytest.mark.parametrize("every", [3, 20, 33])
def test_the_rhythm_of_slow_steps_is_found(every: int) -> None:
    assert slow_of(with_stalls(every, 900)) == (every, pytest.approx(900))


def test_another_rhythm_of_the_loop_and_a_long_step_do_not_hide_it() -> None:
    steps = with_stalls(20, 900)
    for number in range(0, 160, 7):
        steps[number] += 40
    steps[61] = 5000
    # The long step parts one of eight distances.
    assert (slow_of(steps) or (0,))[0] == 20


@pytest.mark.parametrize(
    "steps",
    [
        [10] * 200,
        [*[10] * 50, 900, *[10] * 50],
        with_stalls(50, 900),
        with_stalls(20, 25),
        [10 if number % 30 or number % 45 else 900 for number in range(160)],
        [900 if number in (3, 20, 31, 77, 90, 150) else 10 for number in range(160)],
        [900 if number // 40 % 2 else 10 for number in range(400)],
        [900, 10],
        [],
    ],
)
def test_steps_without_a_clear_rhythm_have_none(steps: list[int]) -> None:
    assert slow_of(steps) is None


def test_the_rhythm_of_a_long_run_is_that_of_its_latest_steps() -> None:
    assert slow_of(with_stalls(30, 900, 9000) + with_stalls(20, 900, 6000)) == (20, pytest.approx(900))
