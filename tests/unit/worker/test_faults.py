"""Batches that come later; the clock is made up."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pipeprof.profiles.worker import turns
from pipeprof.profiles.worker.turns import Paced


class Clock:
    """A clock that goes on with each look, and with what takes time; a sleep ends late."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def perf_counter(self) -> float:
        self.now += 0.0001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 0.0003
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(turns, "time", SimpleNamespace(perf_counter=made.perf_counter, sleep=made.sleep))
    return made


def arrivals(clock: Clock, pace: float, waits: list[float]) -> list[float]:
    """When batches arrive that take so long, in seconds since the beginning."""

    def batches() -> Iterator[int]:
        for number, seconds in enumerate(waits):
            clock.now += seconds
            yield number

    paced = Paced(batches())
    paced.begin(pace)
    began = clock.now
    found = []
    for number, batch in enumerate(paced):
        assert batch == number
        found.append(clock.now - began)
    return found


@pytest.mark.parametrize("waits", [[0.1] * 8, [0.08, 0.12] * 4, [0.0] * 8])
def test_batches_have_the_pace_on_the_mean(clock: Clock, waits: list[float]) -> None:
    assert arrivals(clock, 0.11, waits)[-1] == pytest.approx(0.88, abs=0.012)


def test_batches_that_are_late_themselves_do_not_wait(clock: Clock) -> None:
    assert arrivals(clock, 0.11, [0.2] * 4) == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.01)


def test_without_a_pace_batches_come_as_they_are(clock: Clock) -> None:
    assert arrivals(clock, 0.0, [0.1, 0.3]) == pytest.approx([0.1, 0.4], abs=0.01)


def test_a_wait_leaves_the_cores_to_the_pipeline(clock: Clock) -> None:
    arrivals(clock, 0.11, [0.0] * 8)
    assert clock.slept > 0.85
