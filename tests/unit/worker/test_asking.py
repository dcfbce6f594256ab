"""The thread that asks for batches, on clocks of the test's."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.steps.kind import BatchConsumer, StepFacts
from pipeprof.profiles.worker.turns.asking import Asking
from pipeprof.profiles.worker.turns.turn_run import CpuWindow

MS = 1_000_000


class Step(BatchConsumer):
    """A step that notes when it gets a batch; a wait for it computes for 7 ms."""

    def __init__(self, world: World) -> None:
        self.world, self.began, self.shifted = world, [0], 0

    def wait(self) -> tuple[int, int]:
        self.world.cpu += 7 * MS
        return 1, 2

    def submit(self, _batch: object) -> tuple[int, int]:
        self.began.append(self.world.time)
        return self.world.time, self.world.time + MS

    def shift(self, pause: int) -> None:
        self.shifted += pause

    def told(self) -> StepFacts:
        return StepFacts(computes="nothing")


class World:
    """A clock, and the CPU time of the thread, in nanoseconds."""

    def __init__(self) -> None:
        self.time = self.cpu = 0

    def now(self) -> int:
        return self.time

    def sleep_until(self, deadline: int) -> int:
        self.time = max(self.time, deadline)
        return self.time

    def gets(self, asking: Asking, computes: int, waits: int = 0) -> None:
        """Take a batch for which the thread computes and waits."""
        asking.wait()
        self.cpu += computes
        self.time += computes + waits
        asking.submit(None)


def asking_in(world: World, step: Step, factor: float) -> Asking:
    return Asking(step, factor, lambda: world.cpu, world)


@pytest.mark.parametrize(("factor", "began"), [(1.0, 2), (0.5, 4), (0.25, 8)])
def test_a_batch_is_handed_over_as_late_as_on_a_slower_machine(factor: float, began: int) -> None:
    world = World()
    step = Step(world)
    world.gets(asking_in(world, step, factor), computes=2 * MS)
    assert step.began == [0, began * MS]


def test_a_wait_for_a_batch_takes_no_longer() -> None:
    world = World()
    step = Step(world)
    world.gets(asking_in(world, step, 0.5), computes=2 * MS, waits=30 * MS)
    assert step.began == [0, (30 + 4) * MS]


def test_only_asking_counts_and_not_the_wait_for_the_device() -> None:
    world = World()
    step = Step(world)
    asking = asking_in(world, step, 0.5)
    for _ in range(3):
        world.gets(asking, computes=2 * MS)
    assert asking.seconds == pytest.approx(6e-3)
    asking.shift(5)
    assert (step.shifted, asking.told().computes, asking.wait()) == (5, "nothing", (1, 2))


def test_what_is_before_the_counted_steps_does_not_count() -> None:
    seconds = [3.0]
    window = CpuWindow((), lambda: seconds[0])
    looked = window.around(lambda _steps: None)
    seconds[0] = 5.0
    looked(0)
    seconds[0] = 9.0
    looked(10)
    assert window.seconds()[1:] == (None, 4.0)
