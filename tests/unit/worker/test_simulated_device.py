"""The simulated device and what is read off it, on planted schedules with a clock that only moves when told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worker.fakes import MS, FakeTime

from pipeprof.pipelines.steps import simulated
from pipeprof.pipelines.steps.consumer import Dispatch
from pipeprof.pipelines.steps.simulated import SimulatedStep, durations
from pipeprof.profiles.document.shared import Gap, StepCourse
from pipeprof.profiles.worker.steps.loop import Chunk
from pipeprof.profiles.worker.steps.statistics import MOST_STRETCHES as MOST
from pipeprof.profiles.worker.steps.statistics import Course, Durations, Floor, StepReading, StepStatistics


class Sleeping(FakeTime):
    """Time that sleeping moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ns += max(1, round(seconds * 1e9))


@pytest.mark.parametrize(("seconds", "signs"), [(0.012, 0), (1.0, 0), (2.0, 0), (2.5, 1), (60.0, 58)])
def test_a_long_step_gives_a_sign_about_every_second(
    seconds: float, signs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, told = Sleeping(), []
    monkeypatch.setattr(simulated, "time", fake)
    monkeypatch.setattr(simulated, "sharpen_timers", lambda: True)
    clock = simulated.HostClock(lambda: told.append(fake.ns))
    deadline = fake.ns + round(seconds * 1e9)
    assert clock.sleep_until(deadline) == deadline
    assert len(told) == signs
    assert max(fake.slept) <= 2.0


def readings_of(
    fetches_ms: list[float], *, dispatch: Dispatch, late: int = 0, python_ms: float = 0
) -> list[StepReading]:
    """A loop whose n-th `next()` takes `fetches_ms[n]`; the batches are made on demand, not ahead."""
    clock = FakeTime(late=late)
    device = SimulatedStep(clock, durations(10.0), dispatch)
    readings = []
    for fetch in fetches_ms:
        deadline, woke = device.wait()
        clock.pass_ms(python_ms)
        asked = clock.now()
        clock.pass_ms(fetch)
        readings.append(StepReading(deadline, woke, asked, clock.now(), *device.submit(None)))
    return readings


def folded(*chunks: list[StepReading], floor: Floor | None = None) -> StepStatistics:
    statistics = StepStatistics(floor, device=True) if floor else StepStatistics(device=True)
    for chunk in chunks:
        statistics.fold(chunk)
    return statistics


@pytest.mark.parametrize(
    ("fetch_ms", "dispatch", "late", "python_ms", "seconds", "causes"),
    [
        # The step takes 10 ms; a fetch is added to it, unless a step in flight hides it.
        (5.0, "sync", 0, 0.0, 0.150, {"pipeline": 0.050}),
        (5.0, 1, 0, 0.0, 0.100, {}),
        (5.0, 2, 0, 0.0, 0.100, {}),
        # One that is longer starves the device in any mode.
        (25.0, 1, 0, 0.0, 0.250, {"pipeline": 0.150}),
        (25.0, 2, 0, 0.0, 0.250, {"pipeline": 0.150}),
        # Late waking is pipeprof's own, and deadlines do not drift for it.
        (0.0, "sync", MS, 0.0, 0.110, {"pipeprof": 0.010}),
        (0.0, 1, MS, 0.0, 0.100, {}),
        (0.0, "sync", 0, 2.5, 0.125, {"python": 0.025}),
    ],
)
def test_idle_time_has_its_cause(
    fetch_ms: float, dispatch: Dispatch, late: int, python_ms: float, seconds: float, causes: dict[str, float]
) -> None:
    statistics = folded(readings_of([fetch_ms] * 11, dispatch=dispatch, late=late, python_ms=python_ms))
    document = statistics.measured()
    assert statistics.count == 10
    assert statistics.seconds == pytest.approx(seconds)
    assert document.idle_share == pytest.approx(sum(causes.values()) / seconds)
    assert document.gaps.by_cause == pytest.approx(causes)
    assert statistics.waits.total_ns == pytest.approx(1e9 * causes.get("pipeline", 0.0))


@pytest.mark.parametrize(
    ("dispatch", "gap_ms"), [("sync", 30.0), (1, 20.0), (2, 10.0)], ids=["sync", "one in flight", "two in flight"]
)
def test_a_planted_stall_is_one_gap_shortened_by_the_steps_in_flight(dispatch: Dispatch, gap_ms: float) -> None:
    gaps = folded(readings_of([0.0] * 8 + [30.0] + [0.0] * 8, dispatch=dispatch)).measured().gaps
    assert gaps.count == 1
    assert gaps.longest == [Gap(start_s=pytest.approx(0.080), ms=gap_ms, cause="pipeline")]


def test_durations_vary_by_a_seed_and_every_nth_takes_longer() -> None:
    duration = durations(4.0, every=[(3, 400.0)])
    assert [duration(n) for n in (1, 2, 3, 6)] == [4 * MS, 4 * MS, 404 * MS, 404 * MS]
    varied = [durations(1.0, stdev_ms=2.0, seed=seed) for seed in (1, 1, 2)]
    first, again, other = ([duration(n) for n in range(200)] for duration in varied)
    assert first == again != other
    assert min(first) == 0


def test_a_wait_within_the_floor_is_no_wait_and_a_longer_one_loses_the_floors_median() -> None:
    floor = Floor(p50_ns=200_000, p95_ns=MS)
    rows = [
        StepReading(0, 0, 0, 0, 0, 10 * MS),
        StepReading(10 * MS, 10 * MS, 10 * MS, 11 * MS, 11 * MS, 21 * MS),
        StepReading(21 * MS, 21 * MS, 21 * MS, 26 * MS, 26 * MS, 36 * MS),
    ]
    statistics = folded(rows, floor=floor)
    assert statistics.waits.total_ns == 5 * MS - 200_000
    assert statistics.causes_ns == {"pipeline": 5 * MS - 200_000, "python": MS + 200_000, "pipeprof": 0}


def test_chunks_fold_to_the_same_as_one() -> None:
    readings = readings_of([n % 17 for n in range(50)], dispatch=1)
    parts = folded(*(readings[i : i + 8] for i in range(0, 50, 8)))
    assert folded(readings).measured() == parts.measured()


def test_a_pause_moves_the_time_line() -> None:
    clock = FakeTime(0)
    device = SimulatedStep(clock, durations(10.0), 1)
    device.submit(None)
    clock.pass_ms(500)
    device.shift(500 * MS)
    assert device.submit(None) == (510 * MS, 520 * MS)


def test_without_a_device_interval_fetch_and_wait_are_one() -> None:
    statistics = StepStatistics(device=False)
    statistics.fold(Chunk(0, times=[MS, 2 * MS, 5 * MS]).take())
    statistics.fold(Chunk(100 * MS, times=[101 * MS]).take())
    document = statistics.measured()
    assert document.steps.count == 4
    assert document.steps.seconds == pytest.approx(0.006)
    assert document.steps.interval_ms == document.steps.wait_ms == document.steps.fetch_ms
    assert document.steps.wait_share == 1.0
    assert document.gaps is None


def test_quantiles_are_within_half_a_percent() -> None:
    durations = Durations()
    durations.add(np.arange(1, 100_001, dtype=np.int64) * 1000)
    for q in (0.01, 0.5, 0.95, 0.99):
        assert durations.quantile_ms(q) == pytest.approx(q * 100, rel=0.005)
    assert sum(n for _, n in durations.histogram()) == 100_000


def test_the_wait_for_a_new_epoch_is_told_apart() -> None:
    rows, end = [], 0
    for wait in (5, 5, 8, 5):
        got = end + wait * MS
        rows.append(StepReading(end, end, end, got, got, got + 10 * MS, begins=wait == 8))
        end = rows[-1].end
    steps = folded(rows).measured().steps
    assert steps.epochs == 1
    assert steps.wait_share == pytest.approx(18 / 48)
    # Its batch took 5 ms like any other.
    assert steps.restart_share == pytest.approx(3 / 48)


def course(*chunks: list[int], device: bool = True) -> StepCourse | None:
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
    found = course([4, 8], device=False)
    assert found is not None
    assert (found.interval_ms, found.wait_ms, found.busy_ms) == ([4.0, 8.0], None, None)
    assert course() is course([]) is None


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
