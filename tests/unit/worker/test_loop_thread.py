"""The thread of the loop, on clocks of the test's."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.steps.simulated_device import SimulatedDevice, SimulatedStep, StepDuration
from pipeprof.profiles.worker.turns.loop_thread import LoopThread
from pipeprof.profiles.worker.turns.turn_run import CpuWindow

MS = 1_000_000
STEP = 10 * MS


class World:
    """A clock, and the CPU time of the thread, in nanoseconds; a wait takes 1 ms of it."""

    def __init__(self) -> None:
        self.time = self.cpu = 0
        self.step = SimulatedStep(SimulatedDevice(self, StepDuration(STEP / MS), "sync"))

    def now(self) -> int:
        return self.time

    def sleep_until(self, deadline: int) -> int:
        self.time = max(self.time, deadline)
        self.cpu += MS
        return self.time

    def loop(self, factor: float) -> LoopThread:
        return LoopThread(self.step, factor, lambda: self.cpu)

    def gets(self, loop: LoopThread, computes: int, waits: int = 0) -> tuple[int, int]:
        """Take a batch for which the thread computes and waits; return when its step begins and ends."""
        loop.wait()
        self.cpu += computes
        self.time += computes + waits
        return loop.submit(None)


@pytest.mark.parametrize(("factor", "interval"), [(1.0, STEP + 2 * MS), (0.5, STEP + 4 * MS), (0.25, STEP + 8 * MS)])
def test_steps_are_as_far_apart_as_on_a_slower_machine(factor: float, interval: int) -> None:
    world = World()
    loop = world.loop(factor)
    (first, end), (second, _) = (world.gets(loop, computes=2 * MS) for _ in range(2))
    assert second - first == interval
    assert end - first == STEP


def test_a_wait_for_a_batch_takes_no_longer() -> None:
    world = World()
    loop = world.loop(0.5)
    (first, _), (second, _) = (world.gets(loop, computes=2 * MS, waits=30 * MS) for _ in range(2))
    assert second - first == STEP + (30 + 4) * MS


def test_the_wait_for_the_device_does_not_count() -> None:
    world = World()
    loop = world.loop(0.5)
    for _ in range(3):
        world.gets(loop, computes=2 * MS)
    assert loop.seconds == pytest.approx(6e-3)


def test_a_pause_moves_the_step() -> None:
    world = World()
    loop = world.loop(1.0)
    _, end = world.gets(loop, computes=MS)
    loop.shift(5 * MS)
    assert loop.wait() == (end + 5 * MS, end + 5 * MS)


def test_what_is_before_the_counted_steps_does_not_count() -> None:
    seconds = [3.0]
    window = CpuWindow((), lambda: seconds[0])
    looked = window.around(lambda _steps: None)
    seconds[0] = 5.0
    looked(0)
    seconds[0] = 9.0
    looked(10)
    assert window.seconds()[1:] == (None, 4.0)
