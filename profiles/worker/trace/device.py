"""Recording of a device's clock: traces of JAX and of TensorFlow with a mark around each request of a batch.

No step waits for the device because of it. `pipeprof.profiles.gaps` reads them, in another process.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.host.run_family import folder_prefix
from pipeprof.profiles.protocol.messages import LEAST_DEVICE_STEPS, REQUEST_MARK, DeviceRead

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeprof.pipelines.steps.consumer import BatchConsumer
    from pipeprof.profiles.worker.steps.loop import Feed

MOST_STEPS: Final = 200
SECONDS, MOST_SECONDS = 3.0, 15.0
"""A recording ends after the first of them with `LEAST_DEVICE_STEPS`, after the second one in any case."""


def is_enough(count: int, seconds: float) -> bool:
    """Return whether a recording has as many steps, or lasts as long, as it may."""
    return seconds >= MOST_SECONDS or (count >= LEAST_DEVICE_STEPS and (seconds >= SECONDS or count >= MOST_STEPS))


class _JaxProfiler:
    """``jax.profiler``, without the calls of Python, which take more time than the steps."""

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
        return self._jax.profiler.TraceAnnotation(REQUEST_MARK)

    def stop(self) -> None:
        try:
            for device in self._jax.local_devices():
                # Computations of a device run one after the other.
                (self._jax.device_put(0.0, device) + 1).block_until_ready()
        finally:
            self._jax.profiler.stop_trace()


class _TensorFlowProfiler:
    def __init__(self) -> None:
        self._tf: Any = sys.modules["tensorflow"]

    def start(self, folder: str) -> None:
        profiler = self._tf.profiler.experimental
        profiler.start(folder, options=profiler.ProfilerOptions(host_tracer_level=2, python_tracer_level=0))

    def mark(self) -> Any:
        return self._tf.profiler.experimental.Trace(REQUEST_MARK)

    def stop(self) -> None:
        try:
            self._tf.test.experimental.sync_devices()
        finally:
            self._tf.profiler.experimental.stop()


class TraceClock:
    """A library's own trace, with a mark around each request."""

    def __init__(self, profiler: _JaxProfiler | _TensorFlowProfiler) -> None:
        self._profiler = profiler
        self._folder = tempfile.mkdtemp(prefix=folder_prefix())
        self._mark: Any = None

    def start(self) -> None:
        """Start the trace."""
        self._profiler.start(self._folder)

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

    def read(self, came: Sequence[bool]) -> DeviceRead:
        """Wait for the devices, and write the trace."""
        self.came()
        self._profiler.stop()
        return DeviceRead(list(came), self._folder)


PROFILERS: Final[dict[str, type[_JaxProfiler | _TensorFlowProfiler]]] = {
    "jax": _JaxProfiler,
    "keras": _TensorFlowProfiler,
}
"""By the kind of a step."""


def trace_steps(feed: Feed, step: BatchConsumer, kind: str, *, stop: Callable[[], bool]) -> DeviceRead | None:
    """Take steps under the profiler of their library; None where it has none."""
    make = PROFILERS.get(kind)
    if kind == "torch":
        # Its own profiler would need a model of its trace in the worker: the reader says where to find one.
        return DeviceRead([])
    if make is None:
        return None
    clock = TraceClock(make())
    clock.start()
    count, began = 0, time.perf_counter()
    try:
        while not is_enough(count, time.perf_counter() - began) and not stop():
            step.wait()
            clock.requested()
            batch = feed.next()
            clock.came()
            step.submit(batch)
            count += 1
        clock.requested()
    finally:
        found = clock.read([True] * count)
    return found
