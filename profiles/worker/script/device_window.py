"""Steps of a script on the clock of its GPU, where the script itself cannot tell how long the GPU waits for batches.

A program that computes on a GPU requests its next batch while the GPU is still at work, so its time in ``next()`` is no
wait of the GPU. In some more steps after the measured ones the GPU's own clock is read: from the trace of JAX or of
TensorFlow, or from events of PyTorch around each request. No step waits for the GPU because of it; when these steps are
over, pipeprof waits until its work is done.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.target.user_files import is_users, read_source
from pipeprof.profiles.protocol.messages import DeviceRead
from pipeprof.profiles.worker.trace.device import PROFILERS, TraceClock, is_enough

if TYPE_CHECKING:
    from pipeprof.profiles.worker.script.consumers import Consumer, Pass

JAX = "JAX returns before a step has ended"
ON_GPU = "on a GPU TensorFlow returns before a step has ended"
TORCH_ON_GPU = "on a GPU PyTorch returns before a step has ended"
_PROFILES = b"profiler"
"""In a file of the user's: one that starts a trace of its own while ours runs would get an error."""


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

    def read(self, came: Sequence[bool]) -> DeviceRead:
        """Wait for the GPU; return the times between the marks, and for each request whether there was a batch."""
        self._torch.cuda.synchronize()
        waits = [_seconds(marks[0], marks[-1]) if len(marks) > 1 else 0.0 for marks in self._requests[:-1]]
        steps = [_seconds(one[0], later[0]) for one, later in pairwise(self._requests)]
        return DeviceRead(list(came), None, waits, steps)


def _seconds(begin: Any, end: Any) -> float:
    return float(begin.elapsed_time(end)) / 1e3


class DeviceSteps:
    """The steps after the measured ones, as long as the GPU's clock is to be read."""

    def __init__(self) -> None:
        self.read: DeviceRead | None = None
        """What the clock showed; None until then, and if that failed."""
        self.began = False
        """Whether steps that follow are no longer the measured ones."""
        self._pass: Any = None
        self._clock: TorchClock | TraceClock | None = None
        self._came: list[bool] = []
        self._began_at = 0.0
        self._inside = self._over = False

    def goes_on(self, main: Consumer | None, one: Pass, *, stopped: bool) -> bool:
        """Return, before each request, whether one more batch is to be requested before the run ends."""
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
            if stopped or is_enough(len(self._came), time.perf_counter() - self._began_at):
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
        with suppress(Exception):
            self.read = clock.read(self._came) if clock is not None else None


def asynchronous(main: Consumer) -> str | None:
    """Why a step may go on when the script requests the next batch; None where it cannot."""
    if _held(sys.modules.get("torch.cuda")).get("is_initialized", bool)():
        return TORCH_ON_GPU
    if main.kind == "loop" and jax_computes():
        return JAX
    tensorflow: Any = sys.modules["tensorflow"]
    return ON_GPU if tensorflow.config.list_logical_devices("GPU") else None


def jax_computes() -> bool:
    """Return whether JAX has a backend: it has none before it computes, however often it was imported."""
    backends = _held(sys.modules.get("jax._src.xla_bridge")).get("_backends", True)
    return "jax" in sys.modules and bool(backends)


def _in_users_files(word: bytes) -> bool:
    """Whether a file of the user's that was imported, or runs, has a word in it."""
    files = [_held(module).get("__file__") for module in list(sys.modules.values())]
    return any(isinstance(file, str) and is_users(file) and word in read_source(Path(file)) for file in files)


def _held(module: object) -> Mapping[str, Any]:
    """The names of a module, read without its class: one that is loaded lazily imports itself for any other look."""
    return object.__getattribute__(module, "__dict__") if issubclass(type(module), ModuleType) else {}


def _clock_for(main: Consumer) -> TorchClock | TraceClock | None:
    """Return what reads the clock of the GPU that the script computes on; None where none can."""
    why = asynchronous(main) if main.kind in ("loop", "fit") else None
    if why == TORCH_ON_GPU and main.kind == "loop":
        return TorchClock()
    if why is None or _in_users_files(_PROFILES):
        return None
    if why == JAX and sys.modules["jax"].default_backend() == "gpu":
        return TraceClock(PROFILERS["jax"]())
    return TraceClock(PROFILERS["keras"]()) if why == ON_GPU else None
