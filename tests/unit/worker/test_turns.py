"""A worker that takes turns: its warm-up, batches that come later, and what other threads do meanwhile."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.protocol.turns import TurnRequest, TurnsJob
from pipeprof.profiles.worker import turns
from pipeprof.profiles.worker.steps.loop import Chunk
from pipeprof.profiles.worker.steps.statistics import StepStatistics
from pipeprof.profiles.worker.steps.window import Looked
from pipeprof.profiles.worker.turns import Paced, TurnRun

MS = 1_000_000


class Warming(TurnRun):
    """A run whose loop takes steps of ten milliseconds, ten between two looks."""

    def __init__(self, turns: TurnsJob) -> None:
        self._turns = turns
        self._paced, self._making_peak, self._own_seconds = None, 0, 0.0
        self.feed = SimpleNamespace(ended=0)  # type: ignore[assignment]
        self._services = SimpleNamespace(workers=())  # type: ignore[assignment]
        self._readings = SimpleNamespace(models=SimpleNamespace(parameters=lambda _feed: ()))  # type: ignore[assignment]

    def _open(self, _name: str, finished: Callable[[Looked], str | None]) -> Any:  # type: ignore[override]
        return SimpleNamespace(statistics=StepStatistics(device=False), finished=finished)


def take_steps(_feed: object, _step: object, window: Any) -> None:
    reason = None
    while reason is None:
        window.statistics.fold(Chunk(0, times=[(number + 1) * 10 * MS for number in range(10)]).take())
        reason = window.finished(Looked(0.1, 10, 10.0))


@pytest.mark.parametrize(("wanted", "taken"), [(0, 100), (100, 100), (330, 330), (331, 340)])
def test_a_warm_up_goes_on_until_what_has_to_fill_is_full(
    wanted: int, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "take_steps", take_steps)
    ended = Warming(TurnsJob(warm_steps=wanted))._warm(TurnRequest("warm", 1.0), None, 0.0)
    assert ended.steps == taken


class Clock:
    """Time that goes on with each look, and with what takes time; a sleep ends late."""

    def __init__(self) -> None:
        self.now, self.slept = 100.0, 0.0

    def perf_counter(self) -> float:
        self.now += 0.0001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 0.0003
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(turns, "time", made)
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
    # A wait leaves the cores to the pipeline.
    assert clock.slept == pytest.approx(0.88 - sum(waits), abs=0.03)


@pytest.mark.parametrize("pace", [0.11, 0.0])
def test_batches_that_are_late_themselves_do_not_wait(clock: Clock, pace: float) -> None:
    assert arrivals(clock, pace, [0.2] * 4) == pytest.approx([0.2, 0.4, 0.6, 0.8], abs=0.01)


@contextmanager
def another() -> Iterator[int]:
    started, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), over.wait()))
    thread.start()
    assert started.wait(30)
    assert thread.native_id is not None
    try:
        yield thread.native_id
    finally:
        over.set()
        thread.join()


@pytest.fixture
def other() -> Iterator[int]:
    """A thread that is there before."""
    with another() as number:
        yield number


def state(number: int) -> tuple[set[int], int]:
    """Cores and policy of a thread."""
    return os.sched_getaffinity(number), os.sched_getscheduler(number)


def test_other_threads_are_batch_jobs_on_the_core_of_this_one(other: int) -> None:
    before = state(0), state(other)
    with turns.without_sleeping():
        (cores, policy), (own, own_policy) = state(other), state(0)
        assert len(own) == 1
        assert (cores, policy, own_policy) == (own, os.SCHED_BATCH, os.SCHED_OTHER)
    assert (state(0), state(other)) == before
    with pytest.raises(ZeroDivisionError), turns.without_sleeping():
        _ = 1 / 0
    assert (state(0), state(other)) == before


def test_threads_that_start_meanwhile_are_not_left_on_one_core(other: int) -> None:
    before = state(other)
    with ExitStack() as stack:
        with turns.without_sleeping():
            new = stack.enter_context(another())
            assert len(state(new)[0]) == 1
        assert state(new) == state(other) == before


def test_nothing_is_changed_where_the_kernel_does_not_permit_it(other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    before = state(0), state(other)
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    with turns.without_sleeping():
        assert (state(0), state(other)) == before
