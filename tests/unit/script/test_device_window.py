"""What follows a measurement: waits of a GPU by its own clock, steps under a library's profiler, and a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from unit.worker.fakes import FakeChannel, plan

from pipeprof.pipelines.steps.consumer import StepFacts
from pipeprof.profiles.gaps.steps import read_device
from pipeprof.profiles.protocol.messages import LEAST_DEVICE_STEPS, DeviceRead, Trace
from pipeprof.profiles.worker import sample
from pipeprof.profiles.worker.script import hooks
from pipeprof.profiles.worker.script.hooks import JAX, DeviceSteps, TorchClock, TraceClock
from pipeprof.profiles.worker.trace import device as device_clock
from pipeprof.profiles.worker.trace.device import MOST_STEPS, trace_steps

PASSES: Any = [object(), object()]


class Cuda:
    """A GPU with one stream, and the host that gives it work; times in ms."""

    def __init__(self) -> None:
        self.now = self.free = 0.0
        gpu = self

        class Event:
            def __init__(self, *, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                self.at = max(gpu.now, gpu.free)

            def elapsed_time(self, later: Event) -> float:
                return later.at - self.at

        self.Event = Event

    def synchronize(self) -> None:
        self.now = max(self.now, self.free)

    def train(self, clock: TorchClock, steps: int, fetch: float, work: float, *, reads: bool = False) -> None:
        for _ in range(steps):
            clock.requested()
            self.now += fetch
            clock.came()
            self.free = max(self.now, self.free) + work
            if reads:
                self.now = self.free


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    gpu = Cuda()
    modules = {"torch": SimpleNamespace(cuda=gpu), "jax": None}
    monkeypatch.setattr(hooks, "sys", SimpleNamespace(modules=modules))
    return gpu


@pytest.mark.parametrize(
    ("fetch", "work", "reads", "wait"),
    [
        (20.0, 8.0, False, 12.0),  # the GPU computes while the batch is fetched
        (20.0, 8.0, True, 20.0),  # the script reads a result of each step
        (4.0, 20.0, False, 0.0),  # the pipeline is ahead of the GPU
    ],
)
def test_the_wait_of_a_gpu_is_what_it_idles_while_a_batch_is_fetched(
    cuda: Cuda, fetch: float, work: float, reads: bool, wait: float
) -> None:
    clock = TorchClock()
    cuda.train(clock, 40, fetch, work, reads=reads)
    window = read_device(clock.read([True] * 40)).window
    assert window is not None
    assert window.wait_ms.mean == pytest.approx(wait)
    assert window.step_ms.mean + window.wait_ms.mean == pytest.approx(1e3 * window.seconds / window.count)
    assert window.wait_share == pytest.approx(wait / (wait + work))
    assert (window.count, window.busy_share) == (29, None)


def test_what_lies_between_two_epochs_is_no_step(cuda: Cuda) -> None:
    clock = TorchClock()
    cuda.train(clock, 20, 20.0, 8.0)
    clock.requested()  # there is none
    cuda.now += 1000.0
    cuda.train(clock, 20, 20.0, 8.0)
    window = read_device(clock.read([True] * 20 + [False] + [True] * 20)).window
    assert window is not None
    # The first step of an epoch finds a GPU that has nothing left to do.
    assert window.seconds == pytest.approx(28 * 0.020 + 0.028)


class Clock:
    """A clock that takes no time; `fails` names a method that raises."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.calls = fails, list[str]()

    def __getattr__(self, name: str) -> Any:
        def call(came: list[bool] | None = None) -> DeviceRead:
            self.calls.append(name)
            if name == self.fails:
                raise RuntimeError
            count = self.calls.count("requested") - 1
            return DeviceRead(list(came or []), None, [0.001] * count, [0.004] * count)

        return call


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    at = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(hooks, "time", SimpleNamespace(perf_counter=lambda: at.seconds))
    return at


@pytest.fixture
def train(now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Any:
    def train(
        clock: Clock, steps: int, seconds: float = 0.1, *, kind: str = "loop", stops: bool = False
    ) -> DeviceSteps:
        """Take so many steps, or those to the window's end; ten are an epoch, which `fit` has."""
        monkeypatch.setattr(hooks, "_clock_for", lambda _main: clock)
        main, device = SimpleNamespace(kind=kind), DeviceSteps()
        for number in range(steps):
            if not device.goes_on(main, PASSES[number // 10 if kind == "fit" else 0], stopped=False):
                return device
            if kind == "loop":
                device.came()
            now.seconds += seconds
        if stops:
            assert not device.goes_on(main, PASSES[0], stopped=True)
        return device

    return train


def test_the_steps_of_fit_are_those_within_an_epoch(train: Any) -> None:
    clock = Clock()
    steps = train(clock, 20, 0.0, kind="fit")
    steps.close()
    assert steps.read.came == [True] * 9 + [False] + [True] * 9 + [False]
    assert clock.calls[1:3] == ["requested", "came"]


def test_the_window_ends_with_enough_steps(train: Any) -> None:
    clock = Clock()
    steps = train(clock, 1000)
    assert (clock.calls[0], clock.calls[-1]) == ("start", "read")
    assert abs(clock.calls.count("requested") - 30) <= 1
    assert read_device(steps.read).window is not None
    assert not steps.goes_on(SimpleNamespace(kind="loop"), PASSES[0], stopped=False)


def test_a_run_that_is_stopped_keeps_what_the_clock_showed(train: Any) -> None:
    window = read_device(train(Clock(), 2 * LEAST_DEVICE_STEPS, 0.01, stops=True).read).window
    assert window is not None
    assert window.wait_share == pytest.approx(0.25)


@pytest.mark.parametrize("fails", ["start", "requested", "came", "read"])
def test_a_clock_that_fails_leaves_the_wait_unknown_and_is_stopped_if_it_was_started(fails: str, train: Any) -> None:
    """A trace that cannot be started is the script's own at work."""
    clock = Clock(fails)
    read = train(clock, 1000).read
    assert read is None or read_device(read).window is None
    assert ("read" in clock.calls) is (fails != "start")


@pytest.mark.parametrize(("text", "clock"), [("import jax\n", TraceClock), ("jax.profiler.start_trace('x')\n", None)])
def test_a_script_with_a_profiler_of_its_own_gets_no_other(
    text: str, clock: type | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text(text)
    main, jax = ModuleType("__main__"), SimpleNamespace(default_backend=lambda: "gpu")
    main.__file__ = str(tmp_path / "train.py")
    monkeypatch.setattr(hooks, "asynchronous", lambda _main: JAX)
    for module in (hooks, device_clock):
        monkeypatch.setattr(module, "sys", SimpleNamespace(modules={"jax": jax, "__main__": main}))
    found = hooks._clock_for(SimpleNamespace(kind="loop"))
    assert found is None if clock is None else isinstance(found, clock)


@pytest.mark.parametrize("stopped", [True, False])
def test_where_no_gpu_computes_nothing_more_is_requested(stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "asynchronous", lambda _main: JAX)
    modules = {"jax": SimpleNamespace(default_backend=lambda: "cpu")}
    monkeypatch.setattr(hooks, "sys", SimpleNamespace(modules=modules))
    steps = DeviceSteps()
    assert not steps.goes_on(SimpleNamespace(kind="loop"), PASSES[0], stopped=stopped)
    assert not steps.began


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
    run.feed, run._step.kind = one, "jax"
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
