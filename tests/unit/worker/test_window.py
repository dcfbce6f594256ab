"""Windows of the step loop: when they look, what they send, and when they are over; the end of the warm-up."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from unit.worker.fakes import MS, FakeChannel, FakeDataset, FakeTime

from pipeprof.pipelines.steps.simulated import SimulatedStep, durations
from pipeprof.profiles.worker.steps import loop
from pipeprof.profiles.worker.steps import window as windows
from pipeprof.profiles.worker.steps.loop import Chunk, Feed, drain, follow
from pipeprof.profiles.worker.steps.statistics import EpochStart, StepStatistics
from pipeprof.profiles.worker.steps.window import Looked, PhaseWindow, WarmUp, WindowClock


@dataclass
class Bench:
    """A feed on a fake clock, and the windows opened on it."""

    time: FakeTime
    channel: FakeChannel
    feed: Feed
    looks: list[Looked]
    look_ms: float = 0.0
    looks_at_most: int = 10_000

    def open(self, phase: str = "measure", *, device: bool = False, previous=None, **options) -> PhaseWindow:
        statistics = StepStatistics(device=device, previous=previous)
        return PhaseWindow(phase, statistics, self.feed, self.channel, self.finished, **options)

    def finished(self, looked: Looked) -> str | None:
        self.looks.append(looked)
        self.time.pass_ms(self.look_ms)
        return "enough" if len(self.looks) >= self.looks_at_most else None

    def beside(self, device: bool) -> dict:
        """Options of a window whose device has just done a step of 5 ms."""
        return {"device": True, "previous": (self.time.ns - 5 * MS, self.time.ns)} if device else {}

    def take(self, window: PhaseWindow, device: bool) -> None:
        if device:
            follow(self.feed, SimulatedStep(self.time, durations(5.0), "sync"), window)
        else:
            drain(self.feed, window)


@pytest.fixture
def bench(monkeypatch):
    def make(sizes, ms=1.0, *, end_ms=0.0, looks=10_000):
        time = FakeTime()
        monkeypatch.setattr(loop, "time", time)
        monkeypatch.setattr(windows, "time", time)
        monkeypatch.setattr(windows, "CHECK_NS", 100 * MS)
        feed = Feed(FakeDataset(time, sizes, ms, end_ms))
        return Bench(time, FakeChannel(time), feed, [], looks_at_most=looks)

    return make


@pytest.mark.parametrize(("check_ns", "steps"), [(None, 100), (400 * MS, 400)])
def test_a_look_is_due_at_every_check(bench, check_ns, steps):
    on = bench([10_000], ms=1, looks=4)
    window = on.open(check_ns=check_ns)
    drain(on.feed, window)
    assert [looked.steps for looked in on.looks] == [steps] * 4
    assert on.looks[0].seconds == pytest.approx(steps / 1000)
    assert on.looks[0].median_ms == pytest.approx(1.0)
    assert window.reason == "enough"
    assert window.statistics.count == 4 * steps


def test_the_next_check_is_counted_from_the_end_of_the_last(bench):
    on = bench([10_000], looks=2)
    on.look_ms = 30
    window = on.open()
    began = on.time.ns
    assert window.check_at == began + 100 * MS
    drain(on.feed, window)
    assert [looked.steps for looked in on.looks] == [100, 100]
    assert (window.overhead_ns, window.overhead_cpu_ns) == (60 * MS, 30 * MS)
    assert window.check_at == on.time.ns + 100 * MS


@pytest.mark.parametrize(
    ("limit", "device"), [*((limit, False) for limit in (1, 99, 100, 101, 250)), *((n, True) for n in (1, 14, 15, 40))]
)
def test_a_window_ends_after_exactly_the_steps_asked_for(bench, limit, device):
    on = bench([70], ms=2 if device else 1)
    window = on.open(steps_limit=limit, **on.beside(device))
    on.take(window, device)
    assert window.statistics.count == limit
    assert on.feed.next() == limit + 1
    assert window.reason == f"{limit} steps"


@pytest.mark.parametrize(("looks", "reason"), [(2, "enough"), (9, "stopped")])
def test_the_rule_of_the_phase_comes_before_the_wish_to_stop(bench, looks, reason):
    on = bench([10_000], looks=looks)
    window = on.open()
    assert not window.look()
    on.channel.stopped = True
    assert window.look()
    assert window.reason == reason


def test_beats_come_every_second_at_most_and_at_the_end(bench):
    on = bench([100_000], looks=24)
    drain(on.feed, on.open("warmup"))
    assert [set(changes) for changes in on.channel.sent] == [{"steps", "phase_seconds", "rate"}] * 4
    gaps = [b - a for a, b in zip(on.channel.at_ms, on.channel.at_ms[1:], strict=False)]
    assert gaps[:-1] == [1000, 1000]
    last = on.channel.sent[-1]
    assert last == {"steps": 2400, "phase_seconds": pytest.approx(2.4), "rate": pytest.approx(1000)}


@pytest.mark.parametrize(
    ("phase", "looks", "tells_ns", "steps", "beats"),
    [
        ("measure", 65, windows.TELLS_NS, [300, 600, 1200, 2400, 4400, 6400], 8),
        ("warmup", 65, windows.TELLS_NS, [], 8),
        # A soak tells rarely.
        ("measure", 480, windows.TELLS_RARELY_NS, [300, 600, 1200, 2400, 4800, 9600, 19200, 38400], 11),
    ],
)
def test_partial_results_of_the_measurement_come_soon_and_then_rarely(bench, phase, looks, tells_ns, steps, beats):
    on = bench([100_000], looks=looks)
    drain(on.feed, on.open(phase, tells_ns=tells_ns))
    assert [message.steps.count for message in on.channel.of("measured")] == steps
    assert len(on.channel.of("steps")) == beats


@pytest.mark.parametrize(
    ("size", "ms", "end_ms", "steps", "restarts", "cost_ms"),
    [
        (50, 1, 9, 120, 2, 18),
        # An epoch that ends on a look is marked once.
        (100, 1, 9, 150, 1, 9),
        (4, 10, 0, 40, 9, 0),
    ],
)
def test_restarts_cost_what_first_batches_take_longer_than_others(bench, size, ms, end_ms, steps, restarts, cost_ms):
    on = bench([size], ms=ms, end_ms=end_ms)
    window = on.open(steps_limit=steps)
    drain(on.feed, window)
    assert (window.statistics.restarts, window.statistics.restart_ns) == (restarts, cost_ms * MS)


def test_where_every_batch_begins_an_epoch_the_cost_of_restarts_is_unknown(bench):
    on = bench([1], ms=10, end_ms=5)
    on.feed.next()
    window = on.open(steps_limit=20)
    drain(on.feed, window)
    assert (window.statistics.restarts, window.statistics.restart_ns) == (20, None)
    assert window.statistics.measured().steps.restart_share is None


def test_an_epoch_is_as_long_as_from_the_first_restart_to_the_latest():
    statistics = StepStatistics(device=False)

    def epoch(steps: int, *, begins: bool) -> None:
        statistics.fold(Chunk(0, begins, [MS * step for step in range(1, steps + 1)]).take())

    for number in range(3):
        epoch(5, begins=number > 0)
        assert statistics.epoch_steps == (5.0 if number > 1 else None)
    epoch(8, begins=False)
    epoch(1, begins=True)
    assert statistics.epoch_steps == 9.0
    assert statistics.measured().steps.epoch_steps == 9.0


@pytest.mark.parametrize("device", [False, True])
def test_looks_tell_what_lies_before_the_latest_restart(bench, device):
    on = bench([50], ms=2, end_ms=9)
    window = on.open(steps_limit=160, **on.beside(device))
    on.take(window, device)
    starts = [looked.epoch_start for looked in on.looks]
    assert starts[0] is None
    assert (starts[-1].restarts, starts[-1].steps) == (3, 150)
    assert starts[-1].seconds == pytest.approx((150 * (7 if device else 2) + 2 * 9) / 1000)
    assert (window.statistics.restarts, window.statistics.restart_ns) == (3, 27 * MS)


@pytest.mark.parametrize(("size", "steps"), [(200, {18, 21, 23, 26}), (16, {10, 6})])
def test_short_epochs_are_looked_at_several_times_but_every_ten_milliseconds_at_most(bench, size, steps):
    on = bench([size], ms=1, looks=40)
    drain(on.feed, on.open())
    assert {looked.steps for looked in on.looks[10:] if looked.steps} == steps


@pytest.mark.parametrize(
    ("paused_s", "counted_s", "over"), [(14, 0.1, False), (15, 0.1, True), (39, 20, False), (41, 20, True)]
)
def test_a_window_ends_early_when_deleting_ended_iterators_takes_most_of_the_time(bench, paused_s, counted_s, over):
    on = bench([10_000])
    on.feed.paused_ns = 500 * 1000 * MS
    window = on.open()
    on.feed.paused_ns += paused_s * 1000 * MS
    window.chunk = Chunk(0, times=[round(counted_s * 1000) * MS])
    assert window.look() is over
    words = f"ended early: TensorFlow took {paused_s} s to free finished iterators"
    assert window.reason == (words if over else None)


@pytest.mark.parametrize(("look_ms", "every_ms"), [(0.1, 100), (1, 200), (3, 600), (40, 1000)])
def test_looks_that_take_long_become_rare(bench, look_ms, every_ms):
    """A look may take 0.5 % of the time to the next one, and none waits longer than a second."""
    on = bench([100_000], looks=6)
    on.look_ms = look_ms
    drain(on.feed, on.open(seconds=3600))
    assert [looked.steps for looked in on.looks[1:]] == [every_ms] * 5


def test_a_window_whose_looks_are_rare_still_ends_in_time(bench):
    on = bench([100_000])
    on.look_ms = 3
    window = on.open(seconds=2)
    drain(on.feed, window)
    assert window.reason == "2 s"
    assert [looked.steps for looked in on.looks] == [100, 600, 600, 600, 100]
    assert window.statistics.seconds == pytest.approx(2)


def test_a_look_does_not_wait_long_for_the_lock_and_leaves_its_interval_as_it_was(bench):
    on = bench([10_000], looks=3)
    seen = []
    window = on.open(steps_limit=150)
    decide = window._finished
    window._finished = lambda looked: seen.append(sys.getswitchinterval()) or decide(looked)
    before = sys.getswitchinterval()
    drain(on.feed, window)
    assert seen == [pytest.approx(windows.SWITCH_SECONDS)] * 2
    assert sys.getswitchinterval() == before


def test_steps_that_the_loop_has_not_handed_over_are_folded_in_when_asked_for(bench):
    on = bench([10])
    window = on.open()
    began = on.time.ns
    window.chunk = Chunk(began, times=[began + 3 * MS, began + 5 * MS])
    window.fold()
    assert (window.statistics.count, window.statistics.seconds) == (2, pytest.approx(0.005))
    window.fold()
    assert window.statistics.count == 2
    # The loop goes on: what it hands over in the end counts once.
    window.chunk.times.append(began + 9 * MS)
    window.look()
    assert (window.statistics.count, window.statistics.seconds) == (3, pytest.approx(0.009))
    window.fold()
    assert window.statistics.count == 3


@pytest.mark.parametrize(
    ("looks", "steps", "cpu_ns"),
    [
        pytest.param([(100, 0), (200, 0), (5_300, 900), (5_400, 900)], 10, 100, id="a validation is no step"),
        pytest.param([(1_000, 1), (2_000, 2), (3_000, 3)], 30, 3_000, id="with an epoch in every look all counts"),
        pytest.param([], 0, None, id="without steps nothing is known"),
    ],
)
def test_cpu_time_of_a_scripts_steps_is_that_between_epochs_left_out(monkeypatch, looks, steps, cpu_ns):
    now = SimpleNamespace(cpu=0, wall=0.0)
    fake = SimpleNamespace(perf_counter=lambda: now.wall, process_time_ns=lambda: now.cpu)
    monkeypatch.setattr(windows, "time", fake)
    clock = WindowClock()
    for cpu, between in looks:
        now.cpu, now.wall = cpu, now.wall + 1
        clock.look(10, between)
    assert clock.cpu_ns(steps) == cpu_ns
    assert clock.seconds == len(looks)


def offer(warmup: WarmUp, chunks: list[tuple[float, int, float, tuple[float, ...] | None]]) -> tuple[int, str | None]:
    for n, chunk in enumerate(chunks, 1):
        if reason := warmup.offer(Looked(*chunk[:3]), chunk[3]):
            return n, reason
    return len(chunks), None


@pytest.mark.parametrize(
    ("chunks", "until", "why"),
    [
        ([(0.5, 10, 5.0, (2.0,))] * 9, 3, "settled after 1.5 s"),
        # A parameter that moves holds it open, and step times that still fall.
        ([(0.5, 10, 5.0, (min(n, 6),)) for n in range(15)], 9, "settled after 4.5 s"),
        ([(0.5, 10, ms, None) for ms in (20.0, 15.0, 11.0, 10.0, 10.5, 10.2)], 5, "settled after 2.5 s"),
        # Without tunable parameters it gives up earlier.
        ([(0.5, 10, 5.0 * 1.5**n, None) for n in range(40)], 10, "not settled after 5 s"),
        ([(0.5, 10, 5.0, (float(n),)) for n in range(40)], 30, "not settled after 15 s"),
        # Slow steps need eight to a window.
        ([(0.2, 1, 200.0, None)] * 40, 24, "settled after 4.8 s"),
    ],
)
def test_it_ends_when_steps_and_parameters_have_settled(chunks: list[Any], until: int, why: str) -> None:
    assert offer(WarmUp(), chunks) == (until, why)


def test_a_fixed_length_is_kept_whatever_happens() -> None:
    assert offer(WarmUp(1.0), [(0.25, 10, 5.0, (2.0,))] * 9) == (4, "1 s as asked")


def epochs(*lengths: float, steps: int = 10, looks: int = 4, tuned: bool = True) -> tuple[float, str | None]:
    """Epochs of so many seconds whose parameters never rest; returns when the warm-up was over, and why."""
    warmup, elapsed, start, looked = WarmUp(), 0.0, None, 0
    for number, length in enumerate(lengths):
        for _ in range(looks):
            elapsed += length / looks
            looked += 1
            seen = Looked(length / looks, steps // looks, 1e3 * length / steps, start)
            reason = warmup.offer(seen, (float(looked),) if tuned else None)
            if reason:
                return elapsed, reason
        start = EpochStart(number + 1, (number + 1) * steps, elapsed)
    return elapsed, None


WHOLE = "settled after {:.1f} s: whole epochs took as long as each other"


@pytest.mark.parametrize(
    ("length", "until"),
    [
        pytest.param(0.6, 4, id="three epochs after the first"),
        pytest.param(0.2, 10, id="short ones are taken together"),
        pytest.param(0.04, 43, id="very short ones too"),
        pytest.param(2.0, 3, id="of long ones two are enough"),
    ],
)
def test_a_dataset_that_ends_settles_by_whole_epochs(length: float, until: int) -> None:
    elapsed, reason = epochs(*[length] * 100, steps=8)
    assert reason == WHOLE.format(elapsed)
    assert elapsed <= (until + 1) * length + 1e-6


@pytest.mark.parametrize(
    ("lengths", "until", "why"),
    [
        pytest.param([3.0, *[0.6] * 20], 5.0, WHOLE, id="the first may take longer"),
        pytest.param([2.0, 1.5, 1.2, 1.0, 0.8, *[0.6] * 5], 8.45, WHOLE, id="still shorter"),
        pytest.param([0.6, 1.2] * 40, 15.0, "not settled after 15 s", id="never as long as each other"),
    ],
)
def test_epochs_settle_when_they_take_as_long_as_each_other(lengths: list[float], until: float, why: str) -> None:
    elapsed, reason = epochs(*lengths)
    assert reason == why.format(elapsed)
    assert elapsed == pytest.approx(until, abs=0.31)


def test_steady_steps_inside_of_a_long_epoch_settle_as_before() -> None:
    assert epochs(20.0, looks=40, steps=400, tuned=False)[1] == "settled after 1.5 s"
