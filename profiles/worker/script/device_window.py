"""Steps of a script on the clock of its GPU: how long the GPU waited for batches, where the script itself cannot tell.

A program that computes on a GPU requests its next batch while the GPU is still at work, so its time in ``next()`` is no
wait of the GPU. In some more steps after the measured ones the GPU's own clock is read: from the trace of JAX or of
TensorFlow, or from events of PyTorch around each request. The wait is the part of a fetch in which the GPU has nothing
left to do. No step waits for the GPU because of it; when these steps are over, pipeprof waits until its work is done.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.late import np
from pipeprof.profiles.document.shared import DeviceWindow
from pipeprof.profiles.worker.script.training_facts import JAX, ON_GPU, TORCH_ON_GPU, asynchronous, in_users_files
from pipeprof.profiles.worker.steps.durations import Durations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pipeprof.profiles.worker.script.consumers import Consumer, Pass
    from pipeprof.profiles.xplane.xplane import Events

    Spans: TypeAlias = NDArray[np.float64]
    Seconds: TypeAlias = NDArray[np.float64]

LEAST_STEPS, MOST_STEPS = 16, 200
SECONDS, MOST_SECONDS = 3.0, 15.0
"""The window ends after the first of them with `LEAST_STEPS`, after the second one in any case."""
LEFT_OUT = 0.25
"""Of the steps, its first ones: buffers fill, and the GPU runs dry, while a trace starts."""
_REQUEST = "pipeprof: request"
_FETCHES = frozenset(
    {"IteratorGetNextOp::DoCompute", "IteratorGetNextAsOptionalOp::DoCompute", "IteratorGetNextSyncOp::DoCompute"}
)
"""Names of TensorFlow's events of a fetch from an iterator; those of the ops end when the fetch has begun."""
_OF_GPUS = "/device:GPU:"
_WORK = ("Stream",)
"""How the names of lines with a GPU's work begin; others show the same work once more, in groups."""
_PROFILES = b"profiler"
"""In a file of the user's: one that starts a trace of its own while ours runs would get an error."""


class Clocked(NamedTuple):
    """What a GPU did from each request of a batch to the next one, in seconds.

    Attributes:
        waits: It had nothing to do while the batch was fetched.
        steps: All of the time.
        busy: It was at work; None if only its waits are known.
    """

    waits: Sequence[float]
    steps: Sequence[float]
    busy: Sequence[float] | None


class _Clock(Protocol):
    def start(self) -> None: ...

    def requested(self) -> None: ...

    def came(self) -> None: ...

    def read(self) -> Clocked: ...


class TorchClock:
    """Events of PyTorch on the current stream: each marks when the work before it was done."""

    def __init__(self) -> None:
        self._torch: Any = sys.modules["torch"]
        self._requests: list[list[Any]] = []

    def start(self) -> None:
        """Need nothing."""

    def requested(self) -> None:
        """Mark the end of the work so far."""
        self._requests.append([self._mark()])

    def came(self) -> None:
        """Mark the time, if the GPU has nothing left to do."""
        self._requests[-1].append(self._mark())

    def _mark(self) -> Any:
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def read(self) -> Clocked:
        """Wait for the GPU; return the times between the marks."""
        self._torch.cuda.synchronize()
        waits = [_seconds(marks[0], marks[-1]) if len(marks) > 1 else 0.0 for marks in self._requests[:-1]]
        return Clocked(waits, [_seconds(one[0], later[0]) for one, later in pairwise(self._requests)], None)


class Profiler(Protocol):
    """A library's own profiler, which writes ``*.xplane.pb`` files."""

    def start(self, folder: str) -> None:
        """Start the trace, without the calls of Python, which take more time than the steps."""

    def mark(self) -> Any:
        """Return a context that marks its time in the trace."""

    def stop(self) -> None:
        """Wait until the devices have done their work, and write the trace."""


class _JaxProfiler:
    """``jax.profiler``."""

    def __init__(self) -> None:
        self._jax: Any = sys.modules["jax"]

    def start(self, folder: str) -> None:
        profiler = self._jax.profiler
        if not hasattr(profiler, "ProfileOptions"):
            profiler.start_trace(folder)
            return
        options = profiler.ProfileOptions()
        options.python_tracer_level = 0
        profiler.start_trace(folder, profiler_options=options)

    def mark(self) -> Any:
        return self._jax.profiler.TraceAnnotation(_REQUEST)

    def stop(self) -> None:
        try:
            for device in self._jax.local_devices():
                # Computations of a device run one after the other.
                (self._jax.device_put(0.0, device) + 1).block_until_ready()
        finally:
            self._jax.profiler.stop_trace()


class _TensorFlowProfiler:
    """``tf.profiler.experimental``."""

    def __init__(self) -> None:
        self._tf: Any = sys.modules["tensorflow"]

    def start(self, folder: str) -> None:
        profiler = self._tf.profiler.experimental
        profiler.start(folder, options=profiler.ProfilerOptions(host_tracer_level=2, python_tracer_level=0))

    def mark(self) -> Any:
        return self._tf.profiler.experimental.Trace(_REQUEST)

    def stop(self) -> None:
        try:
            self._tf.test.experimental.sync_devices()
        finally:
            self._tf.profiler.experimental.stop()


class TraceClock:
    """A library's own trace, with a mark around each request.

    Args:
        inside: Batches are fetched by TensorFlow, inside of the function of a step.
    """

    def __init__(self, profiler: Profiler, *, inside: bool = False) -> None:
        self._profiler = profiler
        self._inside = inside
        self._folder = tempfile.TemporaryDirectory(prefix="pipeprof-")
        self._mark: Any = None

    def start(self) -> None:
        """Start the trace."""
        self._profiler.start(self._folder.name)

    def requested(self) -> None:
        """Begin a mark."""
        self.came()
        self._mark = self._profiler.mark()
        self._mark.__enter__()

    def came(self) -> None:
        """End it."""
        if self._mark is not None:
            self._mark.__exit__(None, None, None)
            self._mark = None

    def read(self) -> Clocked:
        """Wait for the devices, and read the trace."""
        self.came()
        self._profiler.stop()
        with self._folder as name:
            return read_trace(next(Path(name).rglob("*.xplane.pb")).read_bytes(), inside=self._inside)


def read_trace(data: bytes, *, inside: bool = False) -> Clocked:
    """Read a trace; with several devices the mean of theirs.

    Args:
        inside: As in `TraceClock`: the marks are where steps begin, and TensorFlow has noted its fetches.

    Raises:
        ValueError: There is no work of a device in it, or no mark.
    """
    # NumPy is not imported before the script does it.
    from pipeprof.profiles.xplane.xplane import plane_names, read_events

    host = read_events(data)
    requests = _spans(host, lambda name: name == _REQUEST)
    fetches = _spans(host, _FETCHES.__contains__) if inside else requests
    gpus = [read_events(data, planes=name, lines=_WORK) for name in plane_names(data) if name.startswith(_OF_GPUS)]
    works = [_union(_spans(events)) for events in gpus if len(events)]
    if len(requests) < 2 or not works:
        msg = "the trace shows no device at work"
        raise ValueError(msg)
    begins, nexts = requests[:-1, 0], requests[1:, 0]
    of_step = np.searchsorted(requests[:, 0], fetches[:, 0], side="right") - 1
    within = (of_step >= 0) & (of_step < len(begins))
    of_step, fetched = of_step[within], fetches[within]
    ends = np.minimum(fetched[:, 1], nexts[of_step])
    waits, busy = np.zeros(len(begins)), np.zeros(len(begins))
    for work in works:
        busy += _worked(work, begins, nexts) / len(works)
        idle = ends - fetched[:, 0] - _worked(work, fetched[:, 0], ends)
        waits += np.bincount(of_step, idle, len(begins)) / len(works)
    return Clocked(waits.tolist(), (nexts - begins).tolist(), busy.tolist())


def _spans(events: Events, test: Callable[[str], object] = bool) -> Spans:
    """Return begin and end of events whose name passes a test, shape (events, 2), in seconds, by their begin."""
    which = events.which(test)
    spans = np.stack((events.start_ps[which], events.end_ps[which]), axis=1) / 1e12
    return spans[np.argsort(spans[:, 0], kind="stable")]


def _union(spans: Spans) -> Spans:
    """Return the same times, in order and apart from each other."""
    if not len(spans):
        return spans
    ends = np.maximum.accumulate(spans[:, 1])
    new = np.concatenate(([True], spans[1:, 0] > ends[:-1]))
    last = np.concatenate((np.flatnonzero(new)[1:] - 1, [len(spans) - 1]))
    return np.stack((spans[new, 0], ends[last]), axis=1)


def _worked(work: Spans, begins: Seconds, ends: Seconds) -> Seconds:
    """Return for how long there was work between begins and ends, shape (n,) each."""
    done = np.concatenate(([0.0], np.cumsum(work[:, 1] - work[:, 0])))

    def until(times: Seconds) -> Seconds:
        whole = np.searchsorted(work[:, 1], times)
        rest = np.maximum(times - np.append(work[:, 0], np.inf)[whole], 0.0)
        found: Seconds = done[whole] + rest
        return found

    return until(ends) - until(begins)


def _seconds(begin: Any, end: Any) -> float:
    return float(begin.elapsed_time(end)) / 1e3


class DeviceSteps:
    """The steps after the measured ones, as long as the GPU's clock is to be read.

    Attributes:
        window: The waits that were read; None until then, and if reading failed.
        began: Whether steps that follow are no longer the measured ones.
    """

    def __init__(self) -> None:
        self.window: DeviceWindow | None = None
        self._pass: Any = None
        self._inside = False
        self.began = False
        self._clock: _Clock | None = None
        self._came: list[bool] = []
        self._began_at = 0.0
        self._over = False

    def goes_on(self, main: Consumer | None, one: Pass, *, stopped: bool) -> bool:
        """Return whether one more batch is to be requested before the run ends; called before each request.

        Args:
            one: The pass that it belongs to.
            stopped: Whether the run has to end now.
        """
        if self._over:
            return False
        try:
            if self._clock is None:
                clock = None if main is None or stopped else _clock_for(main)
                if clock is None or main is None:
                    self._over = True
                    return False
                self.began, self._inside = True, main.kind != "loop"
                clock.start()
                # Only now: one that did not start is not stopped, as the trace at work is the script's own.
                self._clock, self._began_at = clock, time.perf_counter()
            elif self._inside and one is self._pass:
                self._came[-1] = True
            seconds, count = time.perf_counter() - self._began_at, len(self._came)
            enough = count >= LEAST_STEPS and (seconds >= SECONDS or count >= MOST_STEPS)
            if stopped or enough or seconds >= MOST_SECONDS:
                self.close()
                return False
            self._clock.requested()
            self._came.append(False)
            self._pass = one
            if self._inside:
                self._clock.came()
        except Exception:
            # The script has a profiler of its own at work, or captures a graph: its wait stays unknown.
            self.close()
            return False
        return True

    def came(self) -> None:
        """Note that the batch came; without it the dataset has ended, and what follows is no step."""
        if self._clock is not None:
            with suppress(Exception):
                self._clock.came()
                self._came[-1] = True

    def close(self) -> None:
        """Read the clock, if it ran."""
        if self._over:
            return
        self._over, clock, self._clock = True, self._clock, None
        if clock is None:
            return
        with suppress(Exception):
            self.window = window_of(clock.read(), self._came)


def _clock_for(main: Consumer) -> _Clock | None:
    """Return what reads the clock of the GPU that the script computes on; None where none can."""
    why = asynchronous(main) if main.kind in ("loop", "fit") else None
    if why == TORCH_ON_GPU and main.kind == "loop":
        return TorchClock()
    if why is None or in_users_files(_PROFILES):
        return None
    if why == JAX and sys.modules["jax"].default_backend() == "gpu":
        return TraceClock(_JaxProfiler())
    return TraceClock(_TensorFlowProfiler(), inside=main.kind == "fit") if why == ON_GPU else None


def window_of(clocked: Clocked, came: Sequence[bool]) -> DeviceWindow | None:
    """Return the numbers of a profile; None with too few steps.

    Args:
        came: Whether there was a batch, for each request.
    """
    first = int(LEFT_OUT * len(came))
    kept = [number for number in range(first, len(clocked.steps)) if came[number]]
    if len(kept) < (1 - LEFT_OUT) * LEAST_STEPS - 1:
        return None
    waited, total = ([values[number] for number in kept] for values in (clocked.waits, clocked.steps))
    waits, rest = Durations(), Durations()
    waits.add([round(1e9 * wait) for wait in waited])
    rest.add([round(1e9 * (step - wait)) for step, wait in zip(total, waited, strict=True)])
    busy = clocked.busy
    return DeviceWindow(
        count=len(kept),
        seconds=sum(total),
        wait_ms=waits.summary(),
        step_ms=rest.summary(),
        wait_share=min(1.0, sum(waited) / sum(total)),
        busy_share=min(1.0, sum(busy[number] for number in kept) / sum(total)) if busy is not None else None,
    )
