"""What is looked at after a measurement: its graphs, a trace, and steps under a library's profiler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from unit.worker.fakes import FakeChannel, plan

from pipeprof.pipelines.steps.consumer import StepFacts
from pipeprof.profiles.gaps.steps import read_device
from pipeprof.profiles.protocol.messages import LEAST_DEVICE_STEPS, DeviceRead, Trace
from pipeprof.profiles.worker import sample
from pipeprof.profiles.worker.trace import device as device_clock
from pipeprof.profiles.worker.trace.device import MOST_STEPS, trace_steps


class Bench:
    """A loop of steps of equal length on a clock that stands still otherwise, and its profiler."""

    def __init__(self, seconds: float, fails_at: int | None = None) -> None:
        self.events: list[str] = []
        self.now, self.taken = 0.0, 0
        self.seconds, self.fails_at = seconds, fails_at
        self.on: str | None = "gpu"

    def start(self, _folder: str) -> None:
        self.events.append("start")

    @contextmanager
    def mark(self) -> Iterator[None]:
        self.events.append("[")
        yield
        self.events.append("]")

    def stop(self) -> None:
        self.events.append("stop")

    def next(self) -> int:
        self.taken += 1
        if self.taken == self.fails_at:
            raise RuntimeError("the input fails")
        self.events.append("fetch")
        return self.taken

    def wait(self) -> tuple[int, int]:
        return 0, 0

    def submit(self, _batch: object) -> tuple[int, int]:
        self.events.append("step")
        self.now += self.seconds
        return 0, 0

    def told(self) -> StepFacts:
        return StepFacts(on=self.on)

    def trace(self, kind: str) -> DeviceRead | None:
        feed: Any = self
        return trace_steps(feed, feed, kind, stop=lambda: False)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def make(seconds: float, fails_at: int | None = None) -> Bench:
        made = Bench(seconds, fails_at)
        monkeypatch.setattr(device_clock, "time", SimpleNamespace(perf_counter=lambda: made.now))
        monkeypatch.setattr(device_clock, "PROFILERS", {"jax": lambda: made})
        monkeypatch.setattr(device_clock.tempfile, "mkdtemp", lambda **_: str(tmp_path))
        return made

    return make


@pytest.mark.parametrize(("seconds", "count"), [(0.001, MOST_STEPS), (0.125, 24), (1.0, 15), (0.5, LEAST_DEVICE_STEPS)])
def test_each_request_has_a_mark_and_the_recording_ends_with_enough_steps(
    bench: Any, seconds: float, count: int, tmp_path: Path
) -> None:
    one = bench(seconds)
    found = one.trace("jax")
    assert found == DeviceRead([True] * count, str(tmp_path))
    assert one.events[:5] == ["start", "[", "fetch", "]", "step"]
    # The last step ends where the next request would begin.
    assert one.events[-4:] == ["step", "[", "]", "stop"]


def test_of_a_library_without_a_profiler_nothing_is_recorded_and_of_pytorch_the_report_says_so(bench: Any) -> None:
    one = bench(0.1)
    assert one.trace("python") is None
    read = one.trace("torch")
    assert read == DeviceRead([])
    assert one.events == []
    seen = read_device(read)
    assert (seen.window, seen.gaps) == (None, None)
    assert "`pipeprof gaps TRACE` reads one that torch.profiler has written" in seen.unknown


def test_a_pipeline_that_fails_ends_the_profiler(bench: Any) -> None:
    one = bench(0.1, fails_at=4)
    with pytest.raises(RuntimeError, match="the input fails"):
        one.trace("jax")
    assert one.events[-1] == "stop"


@pytest.mark.parametrize(("on", "sent"), [("gpu", 1), ("tpu", 1), ("cpu", 0), (None, 0)])
def test_steps_are_traced_where_they_compute_on_a_device(bench: Any, on: str | None, sent: int) -> None:
    one = bench(0.1)
    one.on = on
    channel: Any = FakeChannel()
    run = sample.JobRun(plan(), channel)
    run.feed, run._step_job = one, SimpleNamespace(kind="jax")  # type: ignore[assignment]
    run._trace_device(one)
    assert len(channel.of("device")) == sent


@pytest.mark.parametrize(("fails", "said"), [(False, "trace"), (True, "warnings")])
def test_the_trace_comes_last_and_one_that_fails_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, fails: bool, said: str
) -> None:
    done: list[str] = []

    def trace(_run: object) -> Trace:
        done.append("trace")
        if fails:
            raise RuntimeError("by chance")
        return Trace()

    monkeypatch.setattr(sample, "replay", lambda *_: done.append("replay"))
    monkeypatch.setattr(sample.JobRun, "_run_trace", trace)
    channel: Any = FakeChannel()
    run: Any = sample.JobRun(plan(), channel)
    run._describe = lambda: done.append("graphs")
    run._measure_extras(None)
    assert done == ["graphs", "replay", "trace"]
    sent = [name for changes in channel.sent for name in changes if name != "phases"]
    assert sent == ["trace_ends_in", said]
