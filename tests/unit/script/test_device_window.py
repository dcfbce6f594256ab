"""Waits of a GPU by its own clock: made traces, a GPU of PyTorch that is not there, and where the window ends."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worker.encoded_trace import event, line, named, plane

from pipeprof.profiles.worker.script import device_window, training_facts
from pipeprof.profiles.worker.script.device_window import (
    LEAST_STEPS,
    MOST_STEPS,
    Clocked,
    DeviceSteps,
    TorchClock,
    TraceClock,
    read_trace,
    window_of,
)
from pipeprof.profiles.worker.script.training_facts import JAX

MS = 10**9  # picoseconds
PASS: Any = object()
TRACES = Path(__file__).parents[2] / "recorded" / "traces"


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
    monkeypatch.setattr(
        device_window, "sys", SimpleNamespace(modules={"torch": SimpleNamespace(cuda=gpu), "jax": None})
    )
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
    window = window_of(clock.read(), [True] * 40)
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
    window = window_of(clock.read(), [True] * 20 + [False] + [True] * 20)
    assert window is not None
    # The first step of an epoch finds a GPU that has nothing left to do.
    assert window.seconds == pytest.approx(28 * 0.020 + 0.028)


def trace(*spans: tuple[float, float], marks: list[tuple[float, float]], device: str = "/device:GPU:0") -> bytes:
    """A trace with fetches, and work of a device on two streams, in ms; begin and length."""
    work = [event(1, round(begin * MS), round(length * MS)) for begin, length in spans]
    fetches = [event(1, round(begin * MS), round(length * MS)) for begin, length in marks]
    return plane(
        device,
        line(*work[::2], name="Stream #7(Compute)"),
        line(*work[1::2], name="Stream #8(MemcpyH2D)", thread=78),
        line(event(1, 0, 1000 * MS), name="XLA Modules", thread=79),
        named(1, "kernel"),
    ) + plane("/host:CPU", line(*fetches), named(1, "pipeprof: request"))


def test_a_trace_is_read_by_the_union_of_a_devices_streams() -> None:
    # A batch each 10 ms: 6 ms of fetching, in the first 2 of which the device is still at work.
    marks = [(10.0 * number, 6.0) for number in range(24)]
    spans = [(10.0 * number + 6, 5.0) for number in range(24)] + [(10.0 * number + 8, 4.0) for number in range(24)]
    window = window_of(read_trace(trace(*spans, marks=marks)), [True] * 24)
    assert window is not None
    assert window.wait_ms.mean == pytest.approx(4.0)
    assert (window.wait_share, window.busy_share) == (pytest.approx(0.4), pytest.approx(0.6))


def test_fetches_of_tensorflow_inside_of_a_step_are_its_own_events() -> None:
    # A step begins each 10 ms; TensorFlow fetches 2 ms later, for 6 ms, and the device works from 8 to 11 ms.
    steps = [event(1, 10 * number * MS, 0) for number in range(24)]
    fetches = [event(2, (10 * number + 2) * MS, 6 * MS) for number in range(24)]
    ops = [event(3, (10 * number + 1) * MS, 9 * MS) for number in range(24)]
    work = [event(1, (10 * number + 8) * MS, 3 * MS) for number in range(-1, 24)][1:]
    data = plane("/device:GPU:0", line(*work, name="Stream #7"), named(1, "kernel")) + plane(
        "/host:CPU",
        line(*steps),
        line(*fetches, *ops, thread=78),
        named(1, "pipeprof: request"),
        named(2, "IteratorGetNextOp::DoCompute"),
        named(3, "IteratorGetNext:IteratorGetNext"),
    )
    window = window_of(read_trace(data, inside=True), [True] * 24)
    assert window is not None
    assert window.wait_ms.mean == pytest.approx(6.0)
    assert (window.wait_share, window.busy_share) == (pytest.approx(0.6), pytest.approx(0.3))


def test_a_trace_of_a_gpu_shows_when_it_ran_dry(monkeypatch: pytest.MonkeyPatch) -> None:
    """An H200 and a loop in JAX: batches of 20.1 ms, steps of 9.4 ms alone, and a copy for which the loop waits."""
    monkeypatch.setattr(device_window, "_REQUEST", "input: next(iterator)")
    clocked = read_trace(gzip.decompress((TRACES / "h200_jax_loop.xplane.pb.gz").read_bytes()))
    assert len(clocked.steps) == 11
    later = slice(3, None)
    assert clocked.busy is not None
    steps, waits, busy = (sum(values[later]) / 8e-3 for values in (clocked.steps, clocked.waits, clocked.busy))
    assert steps == pytest.approx(25.2, abs=0.1)
    # Of its 20.1 ms in a fetch the GPU is at work for the first 7.9.
    assert waits == pytest.approx(12.2, abs=0.1)
    assert busy == pytest.approx(8.7, abs=0.1)


@pytest.mark.usefixtures("now")
def test_the_steps_of_fit_are_those_within_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, counted = Clock(), list[int]()
    monkeypatch.setattr(device_window, "_clock_for", lambda _main: clock)
    monkeypatch.setattr(device_window, "window_of", lambda _clocked, came: counted.extend(came))
    steps, epochs = DeviceSteps(), [object(), object()]
    for number in range(20):
        assert steps.goes_on(SimpleNamespace(kind="fit"), epochs[number // 10], stopped=False)  # type: ignore[arg-type]
    steps.close()
    assert counted == [True] * 9 + [False] + [True] * 9 + [False]
    assert clock.calls[1:3] == ["requested", "came"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        trace((1.0, 2.0), marks=[]),
        trace(marks=[(0.0, 1.0), (2.0, 1.0)]),
        trace((1.0, 2.0), marks=[(0.0, 1.0), (2.0, 1.0)], device="/device:CUSTOM:0"),
    ],
)
def test_a_trace_without_marks_or_without_a_device_shows_no_wait(data: bytes) -> None:
    with pytest.raises(ValueError, match="no device at work"):
        read_trace(data)


@given(
    st.lists(st.tuples(st.floats(0.01, 5.0), st.floats(0.01, 5.0)), max_size=8),
    st.lists(st.tuples(st.floats(0.0, 50.0), st.floats(0.0, 50.0)), min_size=1, max_size=5),
)
def test_work_within_a_time_is_the_sum_of_what_is_common(
    lengths: list[tuple[float, float]], times: list[tuple[float, float]]
) -> None:
    edges = np.cumsum([length for pair in lengths for length in pair]).reshape(-1, 2)
    begins, ends = (np.array(values) for values in zip(*map(sorted, times), strict=True))
    found = device_window._worked(edges, begins, ends)
    for begin, end, worked in zip(begins, ends, found, strict=True):
        assert worked == pytest.approx(sum(max(0.0, min(end, b) - max(begin, a)) for a, b in edges), abs=1e-9)


class Clock:
    """A clock that takes no time; `fails` names a method that raises."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.calls = fails, list[str]()

    def __getattr__(self, name: str) -> Any:
        def call() -> Clocked:
            self.calls.append(name)
            if name == self.fails:
                raise RuntimeError
            count = self.calls.count("requested") - 1
            return Clocked([0.001] * count, [0.004] * count, None)

        return call


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    at = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(device_window, "time", SimpleNamespace(perf_counter=lambda: at.seconds))
    return at


def steps_of(clock: Clock, now: SimpleNamespace, seconds: float, monkeypatch: pytest.MonkeyPatch) -> DeviceSteps:
    """Train to the window's end with steps that take `seconds`."""
    monkeypatch.setattr(device_window, "_clock_for", lambda _main: clock)
    steps = DeviceSteps()
    while steps.goes_on(SimpleNamespace(kind="loop"), PASS, stopped=False):
        steps.came()
        now.seconds += seconds
    return steps


@pytest.mark.parametrize(
    ("seconds", "count"), [(0.001, MOST_STEPS), (0.1, 30), (0.5, LEAST_STEPS), (0.9, LEAST_STEPS + 1), (2.0, 8)]
)
def test_the_window_ends_with_enough_steps_or_after_a_while(
    seconds: float, count: int, now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    steps = steps_of(clock, now, seconds, monkeypatch)
    assert clock.calls[0] == "start"
    assert clock.calls[-1] == "read"
    assert abs(clock.calls.count("requested") - count) <= 1
    assert (steps.window is not None) == (count >= LEAST_STEPS)
    assert not steps.goes_on(SimpleNamespace(kind="loop"), PASS, stopped=False)


@pytest.mark.parametrize("fails", ["start", "requested", "came", "read"])
def test_a_clock_that_fails_leaves_the_wait_unknown(
    fails: str, now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert steps_of(Clock(fails), now, 0.1, monkeypatch).window is None


@pytest.mark.parametrize(("fails", "stopped"), [("start", False), ("requested", True)])
def test_only_a_trace_that_was_started_is_stopped(
    fails: str, stopped: bool, now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot be started is the script's own at work."""
    clock = Clock(fails)
    steps_of(clock, now, 0.1, monkeypatch)
    assert ("read" in clock.calls) is stopped


@pytest.mark.parametrize(("text", "clock"), [("import jax\n", TraceClock), ("jax.profiler.start_trace('x')\n", None)])
def test_a_script_with_a_profiler_of_its_own_gets_no_other(
    text: str, clock: type | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text(text)
    main, jax = ModuleType("__main__"), SimpleNamespace(default_backend=lambda: "gpu")
    main.__file__ = str(tmp_path / "train.py")
    monkeypatch.setattr(device_window, "asynchronous", lambda _main: JAX)
    monkeypatch.setattr(device_window, "sys", SimpleNamespace(modules={"jax": jax}))
    monkeypatch.setattr(training_facts, "sys", SimpleNamespace(modules={"__main__": main}))
    found = device_window._clock_for(SimpleNamespace(kind="loop"))
    assert found is None if clock is None else isinstance(found, clock)


def test_a_run_that_is_stopped_keeps_what_the_clock_showed(
    now: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(device_window, "_clock_for", lambda _main: clock)
    steps = DeviceSteps()
    for _ in range(2 * LEAST_STEPS):
        assert steps.goes_on(SimpleNamespace(kind="loop"), PASS, stopped=False)
        steps.came()
        now.seconds += 0.01
    assert not steps.goes_on(SimpleNamespace(kind="loop"), PASS, stopped=True)
    assert steps.window is not None
    assert steps.window.wait_share == pytest.approx(0.25)


@pytest.mark.parametrize("stopped", [True, False])
def test_where_no_gpu_computes_nothing_more_is_requested(stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_window, "asynchronous", lambda _main: JAX)
    monkeypatch.setattr(
        device_window, "sys", SimpleNamespace(modules={"jax": SimpleNamespace(default_backend=lambda: "cpu")})
    )
    steps = DeviceSteps()
    assert not steps.goes_on(SimpleNamespace(kind="loop"), PASS, stopped=stopped)
    assert not steps.began
