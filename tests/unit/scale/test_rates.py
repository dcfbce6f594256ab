"""Rates with workers: what they can be, and how many workers are enough."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.scale.rates import (
    NEAR,
    WORTH,
    Load,
    Price,
    Rate,
    Seen,
    Setting,
    calibrated,
    cheapest,
    enough,
    number_of,
    per_worker,
    rate_of,
    scaled_to,
)

ms = st.floats(0.01, 1e4)
cores = st.floats(0.1, 256.0)
loads = st.builds(
    Load,
    worker_ms=ms,
    client_ms=ms,
    bytes_per_batch=st.floats(0.0, 1e9),
    loop_ms=st.one_of(st.just(0.0), ms),
    most=st.one_of(st.just(math.inf), st.floats(0.1, 1e5)),
)
settings = st.builds(
    Setting,
    host_cores=cores,
    worker_cores=cores,
    step_ms=st.one_of(st.just(0.0), ms),
    link=st.one_of(st.none(), st.floats(1e3, 1e12)),
    ahead=st.booleans(),
)


@given(loads, settings, st.integers(1, 64))
def test_more_workers_never_give_less(load: Load, setting: Setting, workers: int) -> None:
    fewer, more = (rate_of(load, setting, n).batches_per_second for n in (workers, workers + 1))
    assert fewer <= more <= fewer * (workers + 1) / workers * (1 + 1e-9)


@given(loads, settings, st.integers(1, 64))
def test_no_rate_is_above_what_anything_allows(load: Load, setting: Setting, workers: int) -> None:
    rate = rate_of(load, setting, workers).batches_per_second
    assert rate <= workers * per_worker(load, setting) * (1 + 1e-9)
    assert rate * load.client_ms <= 1e3 * setting.host_cores * (1 + 1e-9)
    assert rate * setting.step_ms <= 1e3 * (1 + 1e-9)
    if setting.link is not None:
        assert rate * load.bytes_per_batch <= setting.link * (1 + 1e-9)
    assert rate <= workers * load.most * (1 + 1e-9)


@given(loads, settings, st.floats(1.1, 10.0))
def test_larger_workers_and_wider_links_never_give_less(load: Load, setting: Setting, factor: float) -> None:
    before = rate_of(load, setting, 2).batches_per_second
    wider = None if setting.link is None else setting.link * factor
    cores = setting.host_cores * factor, setting.worker_cores * factor
    larger = Setting(*cores, setting.step_ms, wider, setting.ahead)
    assert rate_of(load, larger, 2).batches_per_second >= before * (1 - 1e-9)


@given(loads, settings, ms, ms, st.floats(0.01, 1e5))
def test_one_measured_worker_is_predicted_as_it_was(
    load: Load, setting: Setting, worker_ms: float, client_ms: float, rate: float
) -> None:
    seen = Seen(rate, worker_ms, client_ms)
    known = calibrated(load, setting, seen)
    others = [Load(0.0, client_ms, load.bytes_per_batch, loop_ms=load.loop_ms, per_worker=math.inf)]
    most = rate_of(others[0], setting, 1).batches_per_second
    predicted = rate_of(known, setting, 1).batches_per_second
    if rate < NEAR * most:
        assert predicted == pytest.approx(rate)
    else:
        assert predicted >= min(rate, most) * (1 - 1e-9)


def test_a_limit_is_named() -> None:
    load = Load(worker_ms=50.0, client_ms=2.0, bytes_per_batch=1e6)
    assert rate_of(load, Setting(4, 4), 1).limit == "workers"
    assert rate_of(load, Setting(4, 4, step_ms=20.0), 1).limit == "step"
    assert rate_of(load, Setting(0.1, 4), 1).limit == "client"
    assert rate_of(load, Setting(4, 4, link=1e7), 1).limit == "link"


def test_a_device_waits_while_the_loop_gets_a_batch() -> None:
    load = Load(worker_ms=10.0, client_ms=3.0, loop_ms=2.0)
    assert rate_of(load, Setting(4, 4, step_ms=8.0), 3) == Rate(100.0, "step")
    assert rate_of(load, Setting(4, 4, step_ms=8.0, ahead=True), 3) == Rate(125.0, "step")
    assert rate_of(load, Setting(4, 4, step_ms=1.0, ahead=True), 3) == Rate(500.0, "client")
    assert rate_of(load, Setting(4, 4), 3) == Rate(500.0, "client")


def test_one_measured_worker_shows_what_the_loop_takes() -> None:
    load, setting = Load(worker_ms=10.0, client_ms=3.0, loop_ms=0.5), Setting(1, 1, step_ms=8.0)
    known = calibrated(load, setting, Seen(60.0, worker_ms=16.0, client_ms=3.0, loop_ms=2.0))
    assert [rate_of(known, setting, workers).batches_per_second for workers in (1, 2)] == [60.0, 100.0]
    assert rate_of(calibrated(load, setting, Seen(60.0)), setting, 9).batches_per_second == pytest.approx(1e3 / 8.5)


def test_one_measured_worker_near_another_limit_is_told_by_its_cpu_time() -> None:
    load, setting = Load(worker_ms=10.0, client_ms=1.0), Setting(4, 4, step_ms=20.0)
    known = calibrated(load, setting, Seen(49.5, worker_ms=20.0, client_ms=1.0))
    assert known.per_worker == pytest.approx(200.0)


def test_one_worker_shows_whether_it_can_use_its_cores() -> None:
    load, setting = Load(worker_ms=10.0, client_ms=1.0, most=20.0), Setting(4, 4)
    assert calibrated(load, setting, Seen(380.0, worker_ms=10.0)).most == math.inf
    assert calibrated(load, setting, Seen(40.0, worker_ms=10.0)).most == 40.0


@given(st.lists(st.floats(0.1, 1e4), min_size=2, max_size=12))
def test_enough_is_where_the_next_one_adds_too_little(rates: list[float]) -> None:
    found = enough(rates)
    if found:
        assert rates[found] >= (1 + WORTH) * rates[0]
        assert found == len(rates) - 1 or rates[found + 1] < (1 + WORTH) * rates[found]
        assert all(rates[n + 1] >= (1 + WORTH) * rates[n] for n in range(1, found))


def test_one_slower_worker_is_no_reason_against_three() -> None:
    assert enough([30.0, 20.0, 40.0, 60.0, 61.0]) == 3


@given(st.lists(st.floats(0.1, 1e4), min_size=2, max_size=12), st.floats(0.01, 100), st.floats(0.0, 100))
def test_nothing_is_cheaper_than_the_cheapest(rates: list[float], host: float, worker: float) -> None:
    price = Price(host, worker)
    found = cheapest(rates, price)
    least = price.of_million(found, rates[found])
    assert all(price.of_million(n, rate) >= least for n, rate in enumerate(rates))


def test_free_workers_are_taken_while_they_add_and_dear_ones_never() -> None:
    rates = [10.0, 20.0, 30.0, 31.0]
    assert number_of(rates, Price(1.0, 0.0)) == 3
    assert number_of(rates, Price(1.0, 100.0)) == 0
    assert number_of(rates, None) == 2


@given(cores, st.floats(0.001, 1e4))
def test_what_is_scaled_down_fits_and_is_never_scaled_up(machine: float, wanted: float) -> None:
    factor = scaled_to(machine, wanted)
    assert 0 < factor <= 1
    assert factor * wanted <= max(machine, 0.8 * machine) + 1e-9
    assert factor == 1 or wanted > 0.8 * machine
