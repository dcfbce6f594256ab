"""Steps over time in little memory: however they come, the same stretches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.document.shared import StepCourse
from pipeprof.profiles.worker.steps.statistics import MOST_STRETCHES as MOST
from pipeprof.profiles.worker.steps.statistics import Course

MS = 1_000_000


def course(*chunks: list[int], device: bool = True) -> StepCourse | None:
    import numpy as np

    found = Course()
    for chunk in chunks:
        intervals = np.asarray(chunk, dtype=np.int64) * MS
        if device:
            found.add(intervals, intervals // 2, intervals // 4)
        else:
            found.add(intervals)
    return found.summary()


def test_few_steps_are_a_stretch_each() -> None:
    found = course([4, 8], [12])
    assert found is not None
    assert found.seconds == [0.004, 0.012, 0.024]
    assert (found.interval_ms, found.wait_ms, found.busy_ms) == ([4.0, 8.0, 12.0], [2.0, 4.0, 6.0], [1.0, 2.0, 3.0])


def test_without_a_device_only_intervals_are_known() -> None:
    found = course([4, 8], device=False)
    assert found is not None
    assert (found.interval_ms, found.wait_ms, found.busy_ms) == ([4.0, 8.0], None, None)


def test_without_steps_there_is_nothing() -> None:
    assert course() is None
    assert course([]) is None


def test_a_million_steps_are_a_few_stretches_that_say_the_same() -> None:
    steps = [10 + number % 7 for number in range(1_000_000)]
    found = course(steps)
    assert found is not None
    assert MOST <= len(found.seconds) <= 2 * MOST
    assert found.seconds[-1] == pytest.approx(sum(steps) / 1000)
    assert min(found.interval_ms) == pytest.approx(max(found.interval_ms), rel=0.01)


@given(st.lists(st.integers(1, 50), max_size=2 * MOST + 40), st.integers(1, 97))
def test_chunks_give_the_same_as_one(steps: list[int], size: int) -> None:
    chunks = [steps[start : start + size] for start in range(0, len(steps), size)]
    assert course(*chunks) == course(steps)
