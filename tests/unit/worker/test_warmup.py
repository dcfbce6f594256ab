"""The rule that ends the warm-up."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.worker.steps.statistics import EpochStart
from pipeprof.profiles.worker.steps.window import Looked, WarmUp


def feed(warmup: WarmUp, chunks: list[tuple[float, int, float, tuple[float, ...] | None]]) -> tuple[int, str | None]:
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
    assert feed(WarmUp(), chunks) == (until, why)


def test_a_fixed_length_is_kept_whatever_happens() -> None:
    assert feed(WarmUp(1.0), [(0.25, 10, 5.0, (2.0,))] * 9) == (4, "1 s as asked")


def epochs(
    *lengths: float, steps: int = 10, looks: int = 4, tuned: bool = True, medians: list[float] | None = None
) -> tuple[float, str | None]:
    """Epochs of so many seconds whose parameters never rest; returns when the warm-up was over, and why."""
    warmup, elapsed, start, looked = WarmUp(), 0.0, None, 0
    for number, length in enumerate(lengths):
        for look in range(looks):
            elapsed += length / looks
            looked += 1
            median = medians[look % len(medians)] if medians else 1e3 * length / steps
            seen = Looked(length / looks, steps // looks, median, start)
            reason = warmup.offer(seen, (float(looked),) if tuned else None)
            if reason:
                return elapsed, reason
        start = EpochStart(number + 1, (number + 1) * steps, elapsed)
    return elapsed, None


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
    assert reason is not None
    assert reason.endswith(": whole epochs took as long as each other")
    assert reason.startswith("settled after ")
    assert elapsed <= (until + 1) * length + 1e-6


def test_the_first_epoch_may_take_longer() -> None:
    assert (epochs(3.0, *[0.6] * 20)[1] or "").startswith("settled after 5.0 s")


def test_epochs_that_still_get_shorter_hold_it_open() -> None:
    elapsed, reason = epochs(2.0, 1.5, 1.2, 1.0, 0.8, 0.6, 0.6, 0.6, 0.6, 0.6)
    assert reason == f"settled after {elapsed:.1f} s: whole epochs took as long as each other"
    assert elapsed == pytest.approx(8.35 + 0.1)


def test_epochs_that_never_take_as_long_end_at_the_limit() -> None:
    assert epochs(*[0.6, 1.2] * 40) == (pytest.approx(15.0, abs=0.31), "not settled after 15 s")


def test_steady_steps_inside_of_a_long_epoch_settle_as_before() -> None:
    assert epochs(20.0, looks=40, steps=400, tuned=False)[1] == "settled after 1.5 s"
