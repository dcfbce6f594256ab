"""The simulated device and what is read off it, on planted schedules with a clock that only moves when told."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pipeprof.pipelines.steps import simulated
from pipeprof.pipelines.steps.consumer import Dispatch
from pipeprof.pipelines.steps.simulated import SimulatedStep, durations
from pipeprof.profiles.document.shared import Gap
from pipeprof.profiles.worker.steps.loop import Chunk
from pipeprof.profiles.worker.steps.statistics import Durations, Floor, StepReading, StepStatistics

MS = 1_000_000


@dataclass
class FakeClock:
    """Stands still unless it is moved; wakes `late` nanoseconds after every deadline."""

    late: int = 0
    time: int = 0
    slept: list[int] = field(default_factory=list)

    def now(self) -> int:
        return self.time

    def sleep_until(self, deadline: int) -> int:
        if deadline > self.time:
            self.slept.append(deadline - self.time)
            self.time = deadline + self.late
        return self.time


class FakeTime:
    """Stands in for the module `time`: sleeping moves it on."""

    def __init__(self) -> None:
        self.ns = 5 * MS
        self.slept: list[float] = []

    def perf_counter_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ns += max(1, round(seconds * 1e9))


@pytest.mark.parametrize(("seconds", "signs"), [(0.012, 0), (1.0, 0), (2.0, 0), (2.5, 1), (60.0, 58)])
def test_a_long_step_gives_a_sign_about_every_second(
    seconds: float, signs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, told = FakeTime(), []
    monkeypatch.setattr(simulated, "time", fake)
    monkeypatch.setattr(simulated, "sharpen_timers", lambda: True)
    clock = simulated.HostClock(lambda: told.append(fake.ns))
    deadline = fake.ns + round(seconds * 1e9)
    assert clock.sleep_until(deadline) == deadline
    assert len(told) == signs
    assert max(fake.slept) <= 2.0


def run(fetches_ms: list[float], *, dispatch: Dispatch, late: int = 0, python_ms: float = 0) -> StepStatistics:
    """A loop whose n-th `next()` takes `fetches_ms[n]`; the batches are made on demand, not ahead."""
    clock = FakeClock(late)
    device = SimulatedStep(clock, durations(10.0), dispatch)
    statistics = StepStatistics(device=True)
    readings = []
    for fetch in fetches_ms:
        deadline, woke = device.wait()
        clock.time += round(python_ms * MS)
        asked = clock.now()
        clock.time += round(fetch * MS)
        got = clock.now()
        readings.append(StepReading(deadline, woke, asked, got, *device.submit(None)))
    statistics.fold(readings)
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
    statistics = run([fetch_ms] * 11, dispatch=dispatch, late=late, python_ms=python_ms)
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
    statistics = run([0.0] * 8 + [30.0] + [0.0] * 8, dispatch=dispatch)
    gaps = statistics.measured().gaps
    assert gaps.count == 1
    assert gaps.longest == [Gap(start_s=pytest.approx(0.080), ms=gap_ms, cause="pipeline")]


def test_every_nth_step_takes_longer() -> None:
    duration = durations(4.0, every=[(3, 400.0)])
    assert [duration(n) for n in (1, 2, 3, 6)] == [4 * MS, 4 * MS, 404 * MS, 404 * MS]


def test_variation_repeats_with_its_seed_and_is_never_negative() -> None:
    first, again, other = (durations(1.0, stdev_ms=2.0, seed=s) for s in (1, 1, 2))
    values = [first(n) for n in range(200)]
    assert values == [again(n) for n in range(200)]
    assert values != [other(n) for n in range(200)]
    assert min(values) == 0


def test_a_wait_within_the_floor_is_no_wait_and_a_longer_one_loses_the_floors_median() -> None:
    floor = Floor(p50_ns=200_000, p95_ns=MS)
    statistics = StepStatistics(floor, device=True)
    rows = [
        StepReading(0, 0, 0, 0, 0, 10 * MS),
        StepReading(10 * MS, 10 * MS, 10 * MS, 11 * MS, 11 * MS, 21 * MS),
        StepReading(21 * MS, 21 * MS, 21 * MS, 26 * MS, 26 * MS, 36 * MS),
    ]
    statistics.fold(rows)
    assert statistics.waits.total_ns == 5 * MS - 200_000
    assert statistics.causes_ns == {"pipeline": 5 * MS - 200_000, "python": MS + 200_000, "pipeprof": 0}


def test_chunks_fold_to_the_same_as_one() -> None:
    clock = FakeClock()
    device = SimulatedStep(clock, durations(3.0), 1)
    readings = []
    for n in range(50):
        deadline, woke = device.wait()
        asked = clock.now()
        clock.time += (n % 7) * MS
        readings.append(StepReading(deadline, woke, asked, clock.now(), *device.submit(None)))
    whole, parts = StepStatistics(device=True), StepStatistics(device=True)
    whole.fold(readings)
    for i in range(0, 50, 8):
        parts.fold(readings[i : i + 8])
    assert whole.measured() == parts.measured()


def test_a_pause_moves_the_time_line() -> None:
    clock = FakeClock()
    device = SimulatedStep(clock, durations(10.0), 1)
    device.submit(None)
    clock.time += 500 * MS
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
    import numpy as np

    durations = Durations()
    durations.add(np.arange(1, 100_001, dtype=np.int64) * 1000)
    for q in (0.01, 0.5, 0.95, 0.99):
        assert durations.quantile_ms(q) == pytest.approx(q * 100, rel=0.005)
    assert sum(n for _, n in durations.histogram()) == 100_000


def test_the_wait_for_a_new_epoch_is_told_apart() -> None:
    statistics = StepStatistics(device=True)
    rows, end = [], 0
    for wait in (5, 5, 8, 5):
        got = end + wait * MS
        rows.append(StepReading(end, end, end, got, got, got + 10 * MS, begins=wait == 8))
        end = rows[-1].end
    statistics.fold(rows)
    steps = statistics.measured().steps
    assert steps.epochs == 1
    assert steps.wait_share == pytest.approx(18 / 48)
    # Its batch took 5 ms like any other.
    assert steps.restart_share == pytest.approx(3 / 48)
