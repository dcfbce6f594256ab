"""GPUs by NVML while steps are measured: a coarse check of what a trace of a few of them says.

Its utilisation is the share of the last sample period, of 1/6 to 1 s by product, in which at least one kernel ran: over
seconds it can confirm that a GPU idles, and it is no share of a step. Parts of a GPU (MIG) have none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.document.shared import GpuUse

SECONDS: Final = 0.5
"""Between two readings."""
LEAST_SECONDS: Final = 3.0
"""Readings over a shorter time are no check."""
APART: Final = 0.3
"""Difference of the time at work by NVML and by a trace from which one of the two is not about the measured steps."""


@contextmanager
def opened() -> Iterator[Any]:
    """NVML's Python module while it may be called; None where it is not installed, or there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    # Its own errors have no base class that all releases share.
    except Exception:
        yield None
        return
    try:
        yield pynvml
    finally:
        with suppress(Exception):
            pynvml.nvmlShutdown()


def _handles(nvml: Any) -> list[Any]:
    return [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]


def _text(name: object) -> str:
    # Old releases give bytes.
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def visible(nvml: Any, handles: Sequence[Any], environ: Mapping[str, str] = os.environ) -> list[Any]:
    """Return the GPUs that CUDA numbers from 0 on, in its order as far as ``CUDA_VISIBLE_DEVICES`` tells it."""
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return list(handles)
    found = []
    for word in (part.strip() for part in wanted.split(",")):
        if word.isdigit() and int(word) < len(handles):
            found.append(handles[int(word)])
        elif word.startswith("GPU-"):
            found += [handle for handle in handles if _text(nvml.nvmlDeviceGetUUID(handle)).startswith(word)]
        else:
            # CUDA ignores what follows a number that is none.
            break
    return found


@dataclass
class _Readings:
    """Readings of one GPU; not every one counts everything."""

    handle: Any
    model: str
    utilisation: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def read(self, nvml: Any) -> None:
        with suppress(Exception):
            self.utilisation.append(nvml.nvmlDeviceGetUtilizationRates(self.handle).gpu / 100)
        with suppress(Exception):
            self.memory.append(int(nvml.nvmlDeviceGetMemoryInfo(self.handle).used))

    def row(self, number: int, seconds: float) -> GpuUse:
        return GpuUse(
            name=f"GPU {number}",
            model=self.model,
            seconds=seconds,
            utilisation=sum(self.utilisation) / len(self.utilisation) if self.utilisation else None,
            memory_bytes=max(self.memory) if self.memory else None,
        )


class GpuWatch:
    """Reads all GPUs that the worker may use, in a thread of its own, from `start` to `stop`."""

    def __init__(self, wait: Callable[[threading.Event, float], bool] = threading.Event.wait) -> None:
        self._wait = wait
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._gpus: list[_Readings] = []
        self._began = self._ended = 0.0

    def start(self) -> None:
        """Begin; nothing without NVML."""
        self._thread = threading.Thread(target=self._run, name="pipeprof-nvml", daemon=True)
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> list[GpuUse]:
        """End; return a row for each GPU, none where the time was too short."""
        if self._thread is None:
            return []
        self._over.set()
        self._thread.join(LEAST_SECONDS)
        self._ended = self._ended or time.monotonic()
        seconds = self._ended - self._began
        if seconds < LEAST_SECONDS:
            return []
        rows = [gpu.row(number, seconds) for number, gpu in enumerate(self._gpus)]
        return [row for row in rows if row.utilisation is not None]

    def _run(self) -> None:
        with opened() as nvml:
            if nvml is None:
                return
            with suppress(Exception):
                self._gpus = [
                    _Readings(handle, _text(nvml.nvmlDeviceGetName(handle))) for handle in visible(nvml, _handles(nvml))
                ]
            while not self._wait(self._over, SECONDS):
                for gpu in self._gpus:
                    gpu.read(nvml)
            self._ended = time.monotonic()


def joined(traced: Sequence[GpuUse], seen: Sequence[GpuUse]) -> list[GpuUse]:
    """Return one row for each GPU that a trace shows at work, with what NVML saw of it; without a trace NVML's rows."""
    by_name = {gpu.name: gpu for gpu in seen}
    if not traced:
        return list(seen)
    return [replace(by_name[gpu.name], idle_share=gpu.idle_share) if gpu.name in by_name else gpu for gpu in traced]


def apart(gpu: GpuUse) -> bool:
    """Whether NVML and the trace say so different things of a GPU that one is not about the measured steps."""
    if gpu.utilisation is None or gpu.idle_share is None:
        return False
    return abs(gpu.utilisation - (1.0 - gpu.idle_share)) >= APART
