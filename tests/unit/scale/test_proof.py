"""The scaled-down proof: shares, the stretched step, and what blocks say."""

from __future__ import annotations

import math

import pytest

from pipeprof.profiles.protocol.job import CoreShares, StepJob
from pipeprof.profiles.protocol.turns import TurnEnded
from pipeprof.profiles.scale.proof import (
    FULL,
    LEAST_SHARE,
    MOST_SMALLER,
    Alone,
    MeasuredNumbers,
    Scaled,
    block_of,
    factor_of,
    first_factor,
    largest_share_error,
    numbers_to_measure,
    stretched,
    wanted_cores,
)
from pipeprof.profiles.scale.rates import Load, Setting
from pipeprof.profiles.scale.transport import NAMES, costs_of_blocks

SETTING = Setting(host_cores=2.0, worker_cores=4.0, step_ms=10.0)
BUSY = Load(worker_ms=100.0, client_ms=5.0)
ALONE = Alone(ms=100.0, rate=20.0)


def block(steps: int, seconds: float, **more: float) -> TurnEnded:
    given = {"wait_seconds": None, "cpu_seconds": 0.0, "peak_bytes": None, **more}
    return TurnEnded(steps, seconds, **given)  # type: ignore[arg-type]


def test_all_shares_are_smaller_by_one_factor() -> None:
    scaled = Scaled(0.1, 2.0, SETTING)
    assert scaled.shares(BUSY, 3, ALONE) == CoreShares(client=0.2, worker=0.4, factor=0.1)
    assert scaled.shares(BUSY, 0, ALONE) == CoreShares(client=0.2, factor=0.1)


def test_a_pipeline_that_cannot_use_its_cores_has_no_share_of_them_all() -> None:
    serial = Load(worker_ms=100.0, client_ms=5.0, most=10.0)
    scaled = Scaled(0.1, 2.0, SETTING)
    shares = scaled.shares(serial, 1, ALONE)
    assert (shares.worker, shares.client) == (pytest.approx(0.1), pytest.approx(0.2))
    assert scaled.shares(BUSY, 0, Alone(100.0, 10.0, most=10.0)).client == pytest.approx(0.1)


def test_what_one_worker_shows_does_not_bound_the_pipeline_without_any() -> None:
    serial = Load(worker_ms=100.0, client_ms=5.0, most=10.0)
    assert Scaled(0.1, 2.0, SETTING).shares(serial, 0, ALONE).client == pytest.approx(0.2)


def test_nothing_is_held_where_the_real_sizes_fit() -> None:
    alike = Setting(host_cores=2.0, worker_cores=2.0)
    assert Scaled(1.0, 2.0, alike).shares(BUSY, 1, ALONE) == CoreShares()
    assert Scaled(1.0, 2.0, Setting(2.0, 1.0)).shares(BUSY, 1, ALONE) == CoreShares(worker=1.0)


@pytest.mark.parametrize(
    ("load", "workers", "cores"),
    [
        (BUSY, 0, 100.0 * 20 / 1e3),
        (BUSY, 1, 4.0 + 40 * 5.0 / 1e3),
        (BUSY, 4, 100.0 * 100.0 / 1e3 + 100.0 * 5.0 / 1e3),
        (Load(10.0, 1.0, most=5.0), 2, 10 * 10.0 / 1e3 + 10 * 1.0 / 1e3),
    ],
)
def test_cores_that_are_wanted_together(load: Load, workers: int, cores: float) -> None:
    assert wanted_cores(load, SETTING, workers, ALONE) == pytest.approx(cores)


def test_numbers_that_follow_keep_the_factor_while_they_fit() -> None:
    needed = factor_of(BUSY, SETTING, [0, 1, 2], ALONE, cores=2.0)
    assert needed == pytest.approx(0.8 * 2.0 / 8.4)
    assert factor_of(BUSY, SETTING, [0, 1, 2], ALONE, cores=2.0, before=needed / 2) == needed / 2
    full = FULL / 0.8 * needed
    assert factor_of(BUSY, SETTING, [0, 1, 2], ALONE, cores=2.0, before=0.99 * full) == 0.99 * full
    assert factor_of(BUSY, SETTING, [0, 1, 2], ALONE, cores=2.0, before=1.01 * full) == needed


def test_one_worker_is_scaled_down_as_those_that_are_expected_to_follow() -> None:
    free = Setting(host_cores=2.0, worker_cores=4.0)
    one, two, eight = (factor_of(BUSY, free, numbers, ALONE, cores=2.0) for numbers in ([0, 1], [0, 1, 2], range(9)))
    assert first_factor(BUSY, free, [0, 1, 2], ALONE, cores=2.0) == two < one
    assert first_factor(BUSY, free, range(9), ALONE, cores=2.0) == one / MOST_SMALLER > eight


def test_one_worker_never_has_less_than_the_least_share_for_those_that_follow() -> None:
    idle = Load(worker_ms=10.0, client_ms=5.0, most=10.0)
    one = factor_of(idle, SETTING, [0, 1], ALONE, cores=2.0)
    assert one * 0.1 > LEAST_SHARE > one * 0.1 / MOST_SMALLER
    assert first_factor(idle, SETTING, range(99), ALONE, cores=2.0) == one


def test_a_step_is_stretched_in_all_its_parts() -> None:
    step = StepJob("simulate", {"base_ms": 4.0, "stdev_ms": 1.0, "every": [(1000, 400.0)]})
    assert stretched(step, 0.5, 4.0).arguments == {"base_ms": 8.0, "stdev_ms": 2.0, "every": [(1000, 800.0)]}


def test_a_real_step_is_simulated_only_where_it_has_to_be_longer() -> None:
    real = StepJob("python", {"function": "f.py:step"})
    assert stretched(real, 1.0, 12.0) is real
    assert stretched(real, 0.25, 12.0) == StepJob("simulate", {"base_ms": 48.0})
    assert stretched(StepJob(), 0.25, 0.0) == StepJob()


def test_rates_are_those_of_the_real_sizes() -> None:
    rounds = [{0: block(10, 1.0), 1: block(20, 1.0)} for _ in range(6)]
    found = MeasuredNumbers(rounds, factor=0.25)
    alone, gain = found.rate(0), found.over(1, 0)
    assert alone is not None
    assert gain is not None
    assert alone.value == pytest.approx(40.0)
    assert gain.value == pytest.approx(2.0)
    assert gain.low == pytest.approx(2.0)
    assert found.over(2, 1) is None
    assert found.rate(3) is None


def test_cores_and_wait_of_blocks() -> None:
    blocks = [block(10, 2.0, wait_seconds=0.5, counted_cpu_seconds=0.2, workers_bytes=100), block(10, 2.0)]
    one, both = MeasuredNumbers([{1: blocks[0]}], factor=0.5), MeasuredNumbers([{1: one} for one in blocks])
    assert one.cores(1, lambda read: read.counted_cpu_seconds) == pytest.approx(0.2)
    assert both.cores(1, lambda read: read.counted_cpu_seconds) is None
    assert one.wait_share(1) == 0.25
    assert one.memory(1) == 100


def test_a_block_of_long_steps_has_a_few_of_them() -> None:
    assert block_of(0.0).seconds == 0.35
    assert block_of(0.5).seconds == 2.0
    assert (block_of(4.0).seconds, block_of(4.0).settle_seconds) == (12.0, 4.0)


def test_one_more_than_is_recommended_is_measured() -> None:
    assert numbers_to_measure(2, 8, None) == [0, 1, 2, 3]
    assert numbers_to_measure(8, 8, None) == list(range(9))
    assert numbers_to_measure(1, 8, 3) == [0, 1, 2, 3]


def test_workers_that_would_stand_still_are_refused() -> None:
    scaled = Scaled(0.001, 2.0, Setting(2.0, 4.0))
    assert largest_share_error(Scaled(0.1, 2.0, SETTING), BUSY, [0, 3]) is None
    why = largest_share_error(scaled, BUSY, [0, 1, 400])
    assert why is not None
    assert why.startswith("400 workers of 4 cores do not fit into the 2 cores of this machine")
    assert "at most 40 can be measured here" in why


def test_two_sizes_tell_elements_from_bytes() -> None:
    small = [block(1000, 1.0, workers_cpu_seconds=0.2, counted_cpu_seconds=0.15)]
    large = [block(100, 1.0, workers_cpu_seconds=0.2, counted_cpu_seconds=0.175)]
    found = costs_of_blocks({"small": small, "large": large})
    assert found is not None
    assert set(found) == set(NAMES)
    assert found["sent_mb_ms"] == pytest.approx(1.8 / 3.999)
    assert found["sent_message_ms"] == pytest.approx(0.2, abs=0.001)
    assert found["received_mb_ms"] == pytest.approx(1.6 / 3.999)
    assert all(math.isfinite(value) for value in found.values())
    assert costs_of_blocks({"small": small, "large": [block(1, 1.0)]}) is None
