"""Steps under a library's profiler: what is marked, when it ends, and on which devices it is done at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from unit.worker.test_after_the_measurement import Channel

from pipeprof.pipelines.steps.consumer import StepFacts
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.gaps.steps import read_device
from pipeprof.profiles.protocol.messages import LEAST_DEVICE_STEPS, DeviceRead
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.worker import sample
from pipeprof.profiles.worker.trace import device as device_clock
from pipeprof.profiles.worker.trace.device import MOST_STEPS, trace_steps


class Profiler:
    """A profiler that writes down what happened."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def start(self, folder: str) -> None:
        self.events.append("start")
        Path(folder, "host.xplane.pb").write_bytes(b"trace")

    @contextmanager
    def mark(self) -> Iterator[None]:
        self.events.append("[")
        yield
        self.events.append("]")

    def stop(self) -> None:
        self.events.append("stop")


class Bench:
    """A loop of steps of equal length on a clock that stands still otherwise."""

    def __init__(self, seconds: float, fails_at: int | None = None) -> None:
        self.profiler, self.now, self.taken = Profiler(), 0.0, 0
        self.seconds, self.fails_at = seconds, fails_at
        self.on: str | None = "gpu"

    def next(self) -> int:
        self.taken += 1
        if self.taken == self.fails_at:
            raise RuntimeError("the input fails")
        self.profiler.events.append("fetch")
        return self.taken

    def wait(self) -> tuple[int, int]:
        return 0, 0

    def submit(self, _batch: object) -> tuple[int, int]:
        self.profiler.events.append("step")
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
        monkeypatch.setattr(device_clock, "PROFILERS", {"jax": lambda: made.profiler})
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
    assert one.profiler.events[:5] == ["start", "[", "fetch", "]", "step"]
    # The last step ends where the next request would begin.
    assert one.profiler.events[-4:] == ["step", "[", "]", "stop"]


def test_a_step_of_a_library_without_a_profiler_is_not_traced(bench: Any) -> None:
    assert bench(0.1).trace("python") is None


def test_of_pytorch_nothing_is_recorded_and_the_report_says_so(bench: Any) -> None:
    one = bench(0.1)
    read = one.trace("torch")
    assert read == DeviceRead([])
    assert one.profiler.events == []
    seen = read_device(read)
    assert (seen.window, seen.gaps) == (None, None)
    assert seen.unknown == (
        "n/a: pipeprof records no trace of PyTorch; `pipeprof gaps TRACE` reads one that torch.profiler has written"
    )


def test_a_pipeline_that_fails_ends_the_profiler(bench: Any) -> None:
    one = bench(0.1, fails_at=4)
    with pytest.raises(RuntimeError, match="the input fails"):
        one.trace("jax")
    assert one.profiler.events[-1] == "stop"


@pytest.mark.parametrize(("on", "sent"), [("gpu", 1), ("tpu", 1), ("cpu", 0), (None, 0)])
def test_steps_are_traced_where_they_compute_on_a_device(bench: Any, on: str | None, sent: int) -> None:
    one = bench(0.1)
    one.on = on
    channel = Channel()
    run = sample.JobRun(Options(ParsedTarget("spec", Path("a.yaml")), []), channel)  # type: ignore[arg-type]
    run.feed, run._step_job = one, SimpleNamespace(kind="jax")  # type: ignore[assignment]
    run._trace_device(one)
    assert len([changes for changes in channel.sent if "device" in changes]) == sent
