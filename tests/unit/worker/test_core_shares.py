"""Processes that are held to a share of a core, on a clock of the test's."""

from __future__ import annotations

import os
import time

import pytest

from pipeprof.profiles.worker.turns.core_shares import LOOK_SECONDS, Held, cpu_seconds


def used_in(seconds: float, share: float, busy: float = 1.0) -> float:
    """CPU seconds of a process that uses so much of a core whenever it runs."""
    held, used, runs = Held(share, 0.0), 0.0, True
    for _ in range(round(seconds / LOOK_SECONDS)):
        used += busy * LOOK_SECONDS if runs else 0.0
        runs = held.look(LOOK_SECONDS, used)
    return used


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_a_busy_process_gets_its_share(share: float) -> None:
    assert used_in(20.0, share) == pytest.approx(20.0 * share, rel=0.01)


def test_two_threads_get_the_share_of_both() -> None:
    assert used_in(20.0, 0.6, busy=2.0) == pytest.approx(12.0, rel=0.01)


def test_a_process_that_uses_less_is_left_alone() -> None:
    assert used_in(10.0, 0.5, busy=0.3) == pytest.approx(3.0)


def test_what_was_not_used_is_not_saved() -> None:
    held = Held(0.25, 0.0)
    for _ in range(1000):
        held.look(LOOK_SECONDS, 0.0)
    assert held.due <= 6 * LOOK_SECONDS * 0.25
    assert not held.look(LOOK_SECONDS, 10 * LOOK_SECONDS)


def test_time_in_which_the_holder_was_stopped_gives_nothing() -> None:
    held = Held(0.5, 0.0, due=-0.1)
    assert not held.look(3600.0, 0.0)
    assert held.due < 0


def test_the_clock_of_a_process_is_its_cpu_time() -> None:
    assert cpu_seconds(os.getpid()) == pytest.approx(time.process_time(), abs=0.5)
    with pytest.raises(OSError, match=r"."):
        cpu_seconds(2**22 + 1)
