"""The worker's readings of its own memory, for the ledger.

Readings are taken at the ends of phases, where nothing is measured, and take a millisecond; of a heap of a million free
blocks 300. While steps are measured only TensorFlow's live bytes are read (3 µs), at looks that are taken anyway.
Everything else waits until the measurement is over.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.costs.snapshots import RawSnapshot, take_snapshot
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.procfs import PROC, read_text
from pipeprof.profiles.protocol.messages import MemoryReading, MemoryReport, PipelineLook
from pipeprof.profiles.worker.memory.glibc_heap import heap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeprof.profiles.document.shared import PhaseName
    from pipeprof.profiles.worker.steps.loop import Feed


LOOK_SECONDS = 0.2
SEND_SECONDS = 2.0
"""Seconds between looks sent to the harness, in case this process dies before its report."""
MOST_LOOKS = 120
_LARGE = 4096
"""Bytes from which an array is counted: TensorFlow and its imports have few of these."""


def tensor_bytes() -> tuple[int | None, int | None]:
    """Return bytes of tensors in TensorFlow's pool: now, and the peak since `forget_peak`; None if not counted."""
    import tensorflow as tf

    try:
        found = tf.config.experimental.get_memory_info("CPU:0")
    except (ValueError, tf.errors.OpError):
        return None, None
    return int(found["current"]), int(found["peak"])


def forget_peak() -> None:
    """Reset the peak that `tensor_bytes` reports."""
    import contextlib

    import tensorflow as tf

    with contextlib.suppress(ValueError, tf.errors.OpError):
        tf.config.experimental.reset_memory_stats("CPU:0")


def file_rss_bytes(proc: Path = PROC) -> int | None:
    """Return resident bytes of mapped files, libraries included."""
    for line in (read_text(proc / "self" / "status") or "").splitlines():
        if line.startswith("RssFile:"):
            return int(line.split()[1]) * 1024
    return None


def array_bytes(sources: Iterable[tuple[str, int]]) -> int:
    """Return the bytes of the Python arrays that in-memory sources were made of and that are still there.

    Args:
        sources: Type and bytes of each component of those sources.
    """
    import numpy as np

    wanted = {(str(dtype), nbytes) for dtype, nbytes in sources}
    seen: set[int] = set()
    total = 0
    for owner in gc.get_objects() if wanted else ():
        for one in gc.get_referents(owner):
            # By type: some objects of libraries warn when their class is read.
            if not issubclass(type(one), np.ndarray) or (one.dtype.name, one.nbytes) not in wanted:
                continue
            whole = _owner(one)
            if whole is not None and whole.nbytes >= _LARGE and id(whole) not in seen:
                seen.add(id(whole))
                total += whole.nbytes
    return total


def _owner(array: Any) -> Any:
    """Return the array that owns an array's memory; None where no array does, as for a mapped file."""
    import numpy as np

    while isinstance(array.base, np.ndarray):
        array = array.base
    return None if array.base is not None or isinstance(array, np.memmap) else array


class MemoryLog:
    """Memory readings at the ends of phases, and looks at the running pipeline.

    Args:
        send: Receives some of the looks.
        every: Seconds between two of these.
        counts_arrays: Whether the report counts Python's arrays: it looks at all objects that the process has.
    """

    def __init__(
        self,
        send: Callable[..., None] = lambda **_changes: None,
        *,
        every: float = SEND_SECONDS,
        counts_arrays: bool = True,
    ) -> None:
        self._send = send
        self._send_every = every
        self._counts_arrays = counts_arrays
        self._send_at = 0.0
        self._readings: list[MemoryReading] = []
        self._looks: list[tuple[float, int | None, int | None, PhaseName, int, int, RawSnapshot]] = []
        self._every = LOOK_SECONDS
        self._next = 0.0

    def read(self, name: str, *, used: bool = True) -> None:
        """Take a reading that ends the stretch since the last one.

        What takes long comes last: the pipeline's threads go on filling buffers meanwhile.

        Args:
            used: Whether TensorFlow's devices may be in use. To look at them starts them, and a script that comes to
                configure them then fails.
        """
        rss, peak = procfs.rss_bytes("self"), procfs.peak_rss_bytes("self")
        live, most = tensor_bytes() if used else (0, 0)
        in_use, free, mapped = heap() or (None, None, None)
        if rss is not None:
            reading = MemoryReading(
                name=name,
                rss=rss,
                peak=peak,
                file=file_rss_bytes(),
                live=live,
                live_peak=most,
                heap=in_use,
                heap_free=free,
                mapped=mapped,
                blocks=sys.getallocatedblocks(),
            )
            self._readings.append(reading)
        if used:
            forget_peak()

    def look(self, phase: PhaseName, feed: Feed, steps: int, snapshot: RawSnapshot | None = None) -> None:
        """Look at the running pipeline, at most five times a second.

        Args:
            snapshot: The model, if it has just been read.
        """
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        seen = snapshot or take_snapshot(feed.iterator)
        if seen is None:
            return
        rss, live = procfs.own_rss_bytes(), tensor_bytes()[0]
        self._looks.append((time.monotonic(), rss, live, phase, steps, feed.ended, seen))
        if now >= self._send_at:
            self._send_at = now + self._send_every
            self._send(model=seen.to_dict())
        if len(self._looks) > MOST_LOOKS:
            self._looks = self._looks[::2]
            self._every *= 2

    def report(self, *, sources: Iterable[tuple[str, int]], batch_bytes: float | None) -> MemoryReport:
        """Return all readings, with those that are only possible after the measurement."""
        return MemoryReport(
            readings=self._readings,
            looks=[
                PipelineLook(t, rss, live, phase, steps, epoch, seen.to_dict())
                for t, rss, live, phase, steps, epoch, seen in self._looks
            ],
            arrays=array_bytes(sources) if self._counts_arrays else 0,
            batch_bytes=batch_bytes,
        )
