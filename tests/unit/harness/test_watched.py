"""What the parent tells of the measured process while it runs, from what it has anyway."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pipeprof.profiles.document.shared import Quantiles, Steps
from pipeprof.profiles.harness.progress import Watched
from pipeprof.profiles.harness.received import Observed
from pipeprof.profiles.host.sampler import Sample
from pipeprof.profiles.protocol.messages import Beat, Measured, MemoryLook, MemoryMoment, StepHistograms
from tests.unit.view.test_running import WRITTEN, look

FLAT = Quantiles(mean=20.0, p50=20.0, p95=20.0, p99=20.0)


def sample(at: float, cpu: float | None) -> Sample:
    return Sample(at, 900 << 20, 800 << 20, cpu, 0, "measure")


def memory_look(at: float, batches: int) -> MemoryLook:
    return MemoryLook("measure", MemoryMoment(t=at, rss=None, live=None), look(batches))


def watched(observed: Observed, sampler: Any) -> Watched:
    return Watched(observed, cast("Any", sampler), lambda: WRITTEN)


def test_nothing_is_known_before_anything_was_sent() -> None:
    found = watched(Observed(), SimpleNamespace(last=None, limit_bytes=None))()
    assert (found.rate, found.waits, found.bytes, found.cores, found.stages) == (None, None, None, None, ())


def test_rates_are_those_between_two_looks_and_stay_until_the_next() -> None:
    observed, sampler = Observed(), SimpleNamespace(last=sample(1.0, 2.0), limit_bytes=8 << 30)
    tells = watched(observed, sampler)
    observed.take(Beat("measure", 10, 1.0, 10.5))
    observed.take(memory_look(100.0, 10))
    first = tells()
    assert (first.rate, first.bytes, first.limit_bytes, first.cores) == (10.5, 800 << 20, 8 << 30, None)
    assert {stage.per_second for stage in first.stages} == {None}
    observed.take(memory_look(102.0, 30))
    sampler.last = sample(3.0, 5.0)
    second = tells()
    assert second.cores == pytest.approx(1.5)
    decode = next(stage for stage in second.stages if stage.name == "decode")
    assert decode.per_second == pytest.approx(320.0)
    # Nothing new has come.
    assert [stage.per_second for stage in tells().stages] == [stage.per_second for stage in second.stages]
    assert tells().cores == pytest.approx(1.5)


@pytest.mark.parametrize(("busy", "waits"), [(FLAT, 0.4), (None, None)])
def test_a_wait_is_that_of_a_step(busy: Quantiles | None, waits: float | None) -> None:
    observed = Observed()
    steps = Steps(
        count=3,
        dispatch="sync",
        seconds=1.0,
        interval_ms=FLAT,
        wait_ms=FLAT,
        fetch_ms=FLAT,
        busy_ms=busy,
        wait_share=0.4,
    )
    observed.take(Measured(steps, StepHistograms([], [])))
    assert watched(observed, SimpleNamespace(last=None, limit_bytes=None))().waits == waits
