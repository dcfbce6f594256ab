"""CPU time of a script's steps, told apart from that of what lies between epochs."""

from types import SimpleNamespace

import pytest

from pipeprof.profiles.worker.steps import window
from pipeprof.profiles.worker.steps.window import WindowClock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    fake = SimpleNamespace(cpu=0, wall=0.0)
    clock = SimpleNamespace(perf_counter=lambda: fake.wall, process_time_ns=lambda: fake.cpu)
    monkeypatch.setattr(window, "time", clock)
    return fake


def test_a_validation_is_no_step(now: SimpleNamespace) -> None:
    clock = WindowClock()
    for cpu, between in ((100, 0), (200, 0), (5_300, 900), (5_400, 900)):
        now.cpu, now.wall = cpu, now.wall + 1
        clock.look(10, between)
    assert clock.cpu_ns(10) == 100
    assert clock.seconds == 4


def test_with_an_epoch_in_every_look_all_counts(now: SimpleNamespace) -> None:
    clock = WindowClock()
    for number in range(1, 4):
        now.cpu = 1_000 * number
        clock.look(10, number)
    assert clock.cpu_ns(30) == 3_000


def test_nothing_is_known_without_steps(now: SimpleNamespace) -> None:
    now.cpu = 50
    assert WindowClock().cpu_ns(0) is None
