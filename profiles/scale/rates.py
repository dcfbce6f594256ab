"""How many batches a second come with so many workers, and how many workers are enough: pure functions.

The rate is the smallest of four: what all workers make together, what the host can receive, what the link carries, and
what the step takes. From one measured worker, more of them are so many times its rate.

A step takes longer than it keeps the device busy: unless the host runs ahead of it, the device waits while one thread
gets the next batch, also where that has long been there. More cores do not shorten it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeprof.profiles.document.findings import ScaleLimit

WORTH: Final = 0.07
"""Least part of the rate that another worker has to add: the rule of Cachew (USENIX ATC 2022)."""
USES_ALL: Final = 0.8
"""Part of its cores from which on a process is taken to use all of them."""
NEAR: Final = 0.9
"""Of what everything else allows: a rate from there on is not the worker's alone."""


@dataclass(frozen=True)
class Setting:
    """What the machines give.

    Attributes:
        host_cores: Cores of the host that trains.
        worker_cores: Of each worker.
        step_ms: Time that a step keeps the device busy; 0 without a device.
        link: Bytes per second to that host; None for any number.
        ahead: Whether the host gets the next batch while the device is busy with one.
    """

    host_cores: float
    worker_cores: float
    step_ms: float = 0.0
    link: float | None = None
    ahead: bool = False


@dataclass(frozen=True)
class Load:
    """What a batch costs on both sides of a cut.

    Attributes:
        worker_ms: CPU time on a worker.
        client_ms: CPU time on the host that reads.
        bytes_per_batch: That are sent.
        most: Batches per second that one worker makes at most, however many cores it has.
        client_most: The same of the host that reads.
        loop_ms: CPU time there of the thread that gets the batch.
        per_worker: Batches per second of one worker, as measured; None where its CPU time is all that is known.
    """

    worker_ms: float
    client_ms: float
    bytes_per_batch: float = 0.0
    most: float = math.inf
    client_most: float = math.inf
    loop_ms: float = 0.0
    per_worker: float | None = None


@dataclass(frozen=True)
class Rate:
    """Batches per second, and what sets them."""

    batches_per_second: float
    limit: ScaleLimit


@dataclass(frozen=True)
class Seen:
    """One worker, measured.

    Attributes:
        rate: Batches per second.
        worker_ms: CPU time of the worker per batch; None where it was not read.
        client_ms: The same of the process that reads.
        loop_ms: The same of its thread that gets them.
    """

    rate: float
    worker_ms: float | None = None
    client_ms: float | None = None
    loop_ms: float | None = None


@dataclass(frozen=True)
class Price:
    """What an hour costs, in any unit."""

    host: float
    worker: float

    def of_million(self, workers: int, batches_per_second: float) -> float:
        """Of a million batches.

        Example:
            >>> round(Price(3.6, 0.36).of_million(2, 1000.0), 3)
            1.2
        """
        return (self.host + workers * self.worker) / 3600 / batches_per_second * 1e6


def per_worker(load: Load, setting: Setting) -> float:
    """Batches per second of one worker alone.

    Example:
        >>> per_worker(Load(worker_ms=50.0, client_ms=1.0), Setting(host_cores=8, worker_cores=4))
        80.0
    """
    if load.per_worker is not None:
        return load.per_worker
    return min(_per_second(load.worker_ms, setting.worker_cores), load.most)


def rate_of(load: Load, setting: Setting, workers: int) -> Rate:
    """What so many workers give, at least one.

    Example:
        >>> load, setting = Load(worker_ms=50.0, client_ms=2.0, loop_ms=1.0), Setting(8, 4, step_ms=4.0)
        >>> [rate_of(load, setting, workers).batches_per_second for workers in (1, 2, 3)]
        [80.0, 160.0, 200.0]
    """
    return min([Rate(workers * per_worker(load, setting), "workers"), *_others(load, setting)], key=_by_rate)


def _others(load: Load, setting: Setting) -> list[Rate]:
    """The rates that everything but the workers allows."""
    link = setting.link / load.bytes_per_batch if setting.link is not None and load.bytes_per_batch else math.inf
    host = min(_per_second(load.client_ms, setting.host_cores), _per_second(load.loop_ms, 1.0), load.client_most)
    stepped = setting.step_ms + (load.loop_ms if setting.step_ms and not setting.ahead else 0.0)
    return [Rate(_per_second(stepped, 1.0), "step"), Rate(host, "client"), Rate(link, "link")]


def _by_rate(rate: Rate) -> float:
    return rate.batches_per_second


def _per_second(ms: float, cores: float) -> float:
    return 1e3 * cores / ms if ms > 0 else math.inf


def calibrated(load: Load, setting: Setting, seen: Seen) -> Load:
    """The costs as one worker showed them.

    Its rate tells what a worker makes where nothing else was near its own limit; where something was, its CPU time
    tells it.
    """
    known = replace(
        load,
        worker_ms=seen.worker_ms if seen.worker_ms is not None else load.worker_ms,
        client_ms=seen.client_ms if seen.client_ms is not None else load.client_ms,
        loop_ms=seen.loop_ms if seen.loop_ms is not None else load.loop_ms,
        per_worker=None,
    )
    most = min(map(_by_rate, _others(known, setting)))
    alone = seen.rate if seen.rate < NEAR * most else max(seen.rate, per_worker(known, setting))
    # What it leaves of its cores, it could not use: whatever the run said of that, the worker knows better.
    uses = alone * known.worker_ms / 1e3 / setting.worker_cores
    return replace(known, per_worker=alone, most=alone if uses < USES_ALL else math.inf)


def enough(rates: Sequence[float], worth: float = WORTH) -> int:
    """The number of workers after which one more adds less than it has to; 0 where even these are not worth it.

    Args:
        rates: Batches per second by the number of workers, from 0 on.

    Example:
        >>> enough([10.0, 20.0, 40.0, 60.0, 61.0]), enough([10.0, 5.0, 10.0, 15.0]), enough([10.0, 10.1, 10.2])
        (3, 3, 0)
    """
    most = len(rates) - 1
    found = next((n for n in range(1, most) if rates[n + 1] < (1 + worth) * rates[n]), most)
    return found if found and rates[found] >= (1 + worth) * rates[0] else 0


def cheapest(rates: Sequence[float], price: Price) -> int:
    """The number of workers with which a batch costs least, none among them; of equal ones the smallest.

    Example:
        >>> cheapest([10.0, 20.0, 30.0, 31.0], Price(host=3.0, worker=0.3))
        2
    """
    return min(range(len(rates)), key=lambda n: (price.of_million(n, rates[n]) if rates[n] > 0 else math.inf, n))


def number_of(rates: Sequence[float], price: Price | None) -> int:
    """How many workers are to be had: by their price, else by what each adds."""
    return cheapest(rates, price) if price is not None else enough(rates)


def scaled_to(cores: float, wanted: float, spare: float = 0.8) -> float:
    """The factor by which cores and step are scaled down, so that all processes fit into this machine's cores.

    Args:
        cores: Of this machine.
        wanted: That all processes use together, at their real sizes.
        spare: Part of the cores that is used at most: the rest is for what measures.

    Example:
        >>> scaled_to(2.0, 12.8), scaled_to(2.0, 0.5)
        (0.125, 1.0)
    """
    return min(1.0, spare * cores / wanted) if wanted > 0 else 1.0
