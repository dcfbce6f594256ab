"""Python's share is of the measured time, though the trace has no step that would fill it."""

from __future__ import annotations

import pytest

from pipeprof.profiles.document.shared import Contention, Quantiles, Steps
from pipeprof.profiles.protocol.messages import Trace, TracedFunction
from pipeprof.profiles.time.limit import collect_causes


@pytest.mark.parametrize(
    ("interval_ms", "share"),
    [
        pytest.param(20.0, 0.1, id="a step of which Python is a tenth"),
        pytest.param(2.5, 0.8, id="no step"),
        pytest.param(1.8, 0.8, id="tracing slows the pipeline down"),
    ],
)
def test_python_share(interval_ms: float, share: float) -> None:
    times = Quantiles(mean=2 * interval_ms, p50=interval_ms, p95=interval_ms, p99=interval_ms)
    steps = Steps(count=100, seconds=2.0, interval_ms=times, wait_ms=times, fetch_ms=times, wait_share=0.1)
    functions = [
        TracedFunction("a", "f", None, None, seconds=0.3, taken_seconds=0.03),
        TracedFunction("b", "g", None, None, seconds=0.1, taken_seconds=0.09),
    ]
    traced = Trace(seconds=0.5, batches=200, python_seconds=0.4, functions=functions)
    found = collect_causes(Contention(worker_cores=1.0, runnable_wait_share=0.0), None, steps, [], traced)
    assert found is not None
    assert found.python_share == pytest.approx(share)
    assert found.python_lock_share == pytest.approx(0.3)
