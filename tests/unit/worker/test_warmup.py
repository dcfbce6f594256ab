"""The rule that ends the warm-up."""

from __future__ import annotations

from pipeprof.profiles.worker.steps.warmup import WarmUp


def feed(warmup: WarmUp, chunks: list[tuple[float, int, float, tuple[float, ...] | None]]) -> tuple[int, str | None]:
    for n, chunk in enumerate(chunks, 1):
        if reason := warmup.offer(*chunk):
            return n, reason
    return len(chunks), None


def test_steady_steps_settle_after_three_windows() -> None:
    assert feed(WarmUp(), [(0.5, 10, 5.0, (2.0,))] * 9) == (3, "settled after 1.5 s")


def test_a_moving_parameter_holds_it_open() -> None:
    chunks = [(0.5, 10, 5.0, (float(n),)) for n in range(6)] + [(0.5, 10, 5.0, (9.0,))] * 9
    assert feed(WarmUp(), chunks) == (9, "settled after 4.5 s")


def test_step_times_that_still_fall_hold_it_open() -> None:
    chunks = [(0.5, 10, ms, None) for ms in (20.0, 15.0, 11.0, 10.0, 10.5, 10.2)]
    assert feed(WarmUp(), chunks) == (5, "settled after 2.5 s")


def test_without_tunable_parameters_it_gives_up_after_five_seconds() -> None:
    chunks = [(0.5, 10, 5.0 * 1.5**n, None) for n in range(40)]
    assert feed(WarmUp(), chunks) == (10, "not settled after 5 s")


def test_with_tunable_parameters_it_gives_up_after_fifteen() -> None:
    chunks = [(0.5, 10, 5.0, (float(n),)) for n in range(40)]
    assert feed(WarmUp(), chunks) == (30, "not settled after 15 s")


def test_slow_steps_need_eight_to_a_window() -> None:
    assert feed(WarmUp(), [(0.2, 1, 200.0, None)] * 40) == (24, "settled after 4.8 s")


def test_a_fixed_length_is_kept_whatever_happens() -> None:
    assert feed(WarmUp(1.0), [(0.25, 10, 5.0, (2.0,))] * 9) == (4, "1 s as asked")
