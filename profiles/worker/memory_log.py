"""The worker's readings of its own memory, for the ledger.

Readings are taken at the ends of phases, where nothing is measured, and take a millisecond; of a heap of a million free
blocks 300. While steps are measured only TensorFlow's live bytes are read (3 µs), at looks that are taken anyway.
Everything else waits until the measurement is over.

Beside them, snapshots of TensorFlow's model for each iterator of the measured window. An iterator that ends takes its
counters with it, and drops its inputs as soon as they have ended, which may be many batches earlier. So every look at
the loop takes a snapshot. For each iterator, the last one that shows every kind of its inputs is kept, the last of all,
and a bounded number in between, because the inner iterators of an interleave come and go.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.costs.snapshots import RawSnapshot, take_snapshot
from pipeprof.profiles.document.shared import Phase
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.procfs import PROC
from pipeprof.profiles.protocol.messages import CostSegment, MemoryReading, MemoryReport, PipelineLook, SoakReading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pipeprof.pipelines.graph.read.records import ModelDict
    from pipeprof.profiles.document.shared import PhaseName
    from pipeprof.profiles.protocol.channel import WorkerEnd
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


class _MallInfo(ctypes.Structure):
    _fields_ = [("numbers", ctypes.c_size_t * 10)]
    """In the order of ``malloc.h``: hblkhd is number 4, uordblks and fordblks are 7 and 8."""


def heap() -> tuple[int, int] | None:
    """Return bytes of glibc's blocks in use, those with a mapping of their own among them, and free; None without it.

    It walks the heap's lists: 20 µs for hundreds of free blocks, 300 ms for a million.
    """
    function = getattr(_libc(), "mallinfo2", None)
    if function is None:
        return None
    function.restype = _MallInfo
    numbers = function().numbers
    return int(numbers[7]) + int(numbers[4]), int(numbers[8])


@cache
def _libc() -> Any:
    # To load it and to look a function up takes longer than to read a heap of few free blocks.
    try:
        return ctypes.CDLL(None)
    except (OSError, TypeError):
        return None


def read_memory(name: str, *, reads_heap: bool = True, used: bool = True) -> MemoryReading | None:
    """Read the process's memory; None where the system does not tell.

    Args:
        reads_heap: Whether to read glibc's heap, which may take long.
        used: Whether TensorFlow's devices may be in use. To look at them starts them, and a script that comes to
            configure them then fails.
    """
    pages = procfs.own_pages()
    if pages is None:
        return None
    live, most = tensor_bytes() if used else (0, 0)
    in_use, free = (heap() if reads_heap else None) or (None, None)
    return MemoryReading(
        name=name,
        rss=pages.rss_bytes,
        file=pages.mapped_bytes,
        live=live,
        live_peak=most,
        in_use=in_use,
        heap_free=free,
        blocks=sys.getallocatedblocks(),
    )


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
        held = gc.get_referents(owner)
        # The collector does not track a dictionary or a tuple of arrays alone.
        inside = [one for one in held if type(one) in (dict, tuple) and not gc.is_tracked(one)]
        for one in [*held, *gc.get_referents(*inside)]:
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
        """Take a reading that ends the stretch since the last one."""
        peak = procfs.peak_rss_bytes("self")
        if (reading := read_memory(name, used=used)) is not None:
            self._readings.append(replace(reading, peak=peak))
        if used:
            forget_peak()

    def look(self, phase: PhaseName, feed: Feed, steps: int, snapshot: RawSnapshot | None = None) -> None:
        """Look at the running pipeline, at most five times a second."""
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


class Phases:
    """Reporter of each phase's start, duration and peak RSS.

    The kernel's high-water mark is reset at the start of a phase. Where that is forbidden, as in some containers, the
    mark is still exact for a phase in which it rose; otherwise the parent's samples are used.

    Attributes:
        current: The phase that has begun last.
        note: What is said of it at its end.
    """

    def __init__(self, channel: WorkerEnd, proc: Path = PROC) -> None:
        self._channel = channel
        self._proc = proc
        self._warned = False
        self.current: PhaseName = "import"
        self.note: str | None = None
        self._open: tuple[float, bool, int | None] | None = None

    @contextmanager
    def enter(self, name: PhaseName) -> Iterator[None]:
        """Run the body as the phase `name`; one that raises does not end it."""
        self.begin(name)
        yield
        self.end()

    def begin(self, name: PhaseName) -> None:
        """Begin a phase."""
        self.current, self.note = name, None
        reset = procfs.reset_peak("self", self._proc)
        before = procfs.peak_rss_bytes("self", self._proc)
        if not reset and before is not None and not self._warned:
            self._warned = True
            text = "The kernel's memory high-water mark cannot be reset here: peaks by phase are the largest samples."
            self._channel.warn("no-clear-refs", text)
        self._open = time.perf_counter(), reset, before
        self._channel.send(phases=[Phase(name=name)])

    def end(self) -> None:
        """End the phase that is open, if one is."""
        if self._open is None:
            return
        (began, reset, before), self._open = self._open, None
        peak = procfs.peak_rss_bytes("self", self._proc)
        exact = peak is not None and (reset or (before is not None and peak > before))
        ended = Phase(
            name=self.current,
            seconds=time.perf_counter() - began,
            peak_rss_bytes=peak if exact else None,
            end_rss_bytes=procfs.rss_bytes("self", self._proc),
            note=self.note,
        )
        self._channel.send(phases=[ended])


SHARE = 0.001
"""Of one core for readings."""
LEAST_SECONDS = 0.05
SHORT_SECONDS = 60.0
MOST, LEAST, LEAST_OF_SHORT = 240, 20, 80
"""Readings of a soak at most, and at least, whatever they take: some for each window of memory that is compared."""


class SoakWatch:
    """Readings of memory while a soak lasts."""

    def __init__(
        self,
        send: Callable[..., None],
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._send, self._seconds = send, seconds
        self._clock, self._cpu = clock, cpu
        self._began: float | None = None
        self._next = self._spent = 0.0
        self._examines = self._traces = False

    @property
    def has_begun(self) -> bool:
        """Whether memory was read."""
        return self._began is not None

    @property
    def is_over(self) -> bool:
        """Whether it has lasted as long as it should."""
        return self._began is not None and self._clock() - self._began >= self._seconds

    def look(self, epoch: int, steps: int, snapshot: RawSnapshot | None) -> None:
        """Read memory if a reading is due.

        Args:
            snapshot: The model as it is now, for what the buffers hold.
        """
        now = self._clock()
        self._began = now if self._began is None else self._began
        if now < self._next:
            return
        began = self._cpu()
        memory = read_memory("soak", reads_heap=not self._examines)
        if memory is not None:
            self._send(
                soak=SoakReading(
                    t=now - self._began,
                    epoch=epoch,
                    steps=steps,
                    memory=memory,
                    buffered=_buffered(snapshot) if snapshot is not None else None,
                    cores=self._spent / (now - self._began) if now > self._began else None,
                    python=tracemalloc.get_traced_memory()[0] if self._examines else None,
                )
            )
        took = self._cpu() - began
        self._spent += took
        least = LEAST_OF_SHORT if self._seconds < SHORT_SECONDS else LEAST
        self._next = now + max(LEAST_SECONDS, self._seconds / MOST, min(took / SHARE, self._seconds / least))

    def examine(self) -> None:
        """Trace Python's allocations from now on, unless the script does."""
        self._examines = True
        if not tracemalloc.is_tracing():
            self._traces = True
            tracemalloc.start()

    def end(self) -> None:
        """Send what Python's garbage collector frees, if allocations were traced."""
        if not self._examines:
            return
        self._examines = False
        self._send(soak_freed=_collected())
        if self._traces:
            tracemalloc.stop()


def _collected() -> int | None:
    before = read_memory("soak")
    gc.collect()
    after = read_memory("soak")
    if before is None or after is None or before.in_use is None or after.in_use is None:
        return None
    return before.in_use - after.in_use


def _buffered(snapshot: RawSnapshot) -> int:
    return sum(int(node.buffered_bytes) for node in snapshot.proto.nodes.values())


MOST_SNAPSHOTS = 60
"""Looks within iterators that are kept, and iterators."""
_NEW: ModelDict = {"output": 0, "nodes": [], "ram_budget": 0.0}


@dataclass(frozen=True, eq=False)
class _ModelLook:
    number: int
    steps: int
    snapshot: RawSnapshot | None

    def record(self) -> ModelDict:
        return self.snapshot.to_dict() if self.snapshot is not None else _NEW


@dataclass
class _Stretch:
    """The looks at one iterator; `fullest`: the last one that shows every kind of its inputs."""

    start: _ModelLook
    between: list[_ModelLook] = field(default_factory=list)
    fullest: _ModelLook | None = None
    latest: _ModelLook | None = None
    kinds: int = 0

    def looks(self) -> list[_ModelLook]:
        """All of them in order."""
        kept = [self.start, *self.between, self.fullest, self.latest]
        return sorted({one for one in kept if one is not None}, key=lambda one: one.number)


class ModelLog:
    """Snapshots collected while the loop runs, converted to plain records afterwards."""

    def __init__(self) -> None:
        self._numbers = count()
        self._stretches: list[_Stretch] = []
        self._every = 1

    @property
    def latest(self) -> RawSnapshot | None:
        """The snapshot of the latest look at this iterator."""
        latest = self._stretches[-1].latest if self._stretches else None
        return latest.snapshot if latest is not None else None

    def parameters(self, feed: Feed | None) -> tuple[Any, ...] | None:
        """Return the parameters that AUTOTUNE has set; `None` without a model or tunable parameters."""
        snapshot = take_snapshot(feed.iterator) if feed is not None else None
        return (snapshot.parameters() or None) if snapshot is not None else None

    def look(self, feed: Feed | None) -> ModelDict | None:
        """Return the model as it is now, as a plain record."""
        snapshot = take_snapshot(feed.iterator) if feed is not None else None
        return snapshot.to_dict() if snapshot is not None else None

    def begin(self, feed: Feed) -> None:
        """Begin the measured window on the feed's iterator; what was seen before is forgotten."""
        self._stretches = []
        self.resume(feed, 0)

    def observe(self, feed: Feed, steps: int) -> None:
        """Look at the model after `steps` measured steps."""
        snapshot = take_snapshot(feed.iterator)
        if snapshot is None:
            return
        seen = self._take_look(steps, snapshot)
        if not self._stretches:
            self._stretches.append(_Stretch(seen))
        stretch = self._stretches[-1]
        stretch.latest = seen
        kinds = len({node.name for node in snapshot.proto.nodes.values()})
        if kinds >= stretch.kinds:
            stretch.kinds, stretch.fullest = kinds, seen
        if seen.number % self._every == 0:
            stretch.between.append(seen)
            if sum(len(one.between) for one in self._stretches) > MOST_SNAPSHOTS:
                self._every *= 2
                for one in self._stretches:
                    one.between = one.between[1::2]

    def observe_pass(self, feed: Feed, seconds: float, stopped: Callable[[], bool]) -> bool:
        """Begin here and take batches for a while; return whether the dataset ended before that."""
        self.begin(feed)
        ended, batches, until = feed.ended, 0, float("inf")
        while time.perf_counter() < until and not stopped():
            feed.next()
            if feed.ended != ended:
                return True
            # What fills buffers before the first batch is no part of it.
            batches, until = batches + 1, min(until, time.perf_counter() + seconds)
            self.observe(feed, batches)
        return False

    def restart(self, feed: Feed, steps: int) -> None:
        """Note that the feed's iterator ended after `steps` measured steps; the next one's counters start at 0."""
        self.observe(feed, steps)
        self.follow(steps)

    def follow(self, steps: int) -> None:
        """Go on with an iterator that began after `steps` measured steps, with counters that started at 0."""
        self._begin_stretch(steps, None)

    def resume(self, feed: Feed, steps: int) -> None:
        """Go on after `steps` measured steps; what happened since the latest look is in no segment."""
        self._begin_stretch(steps, take_snapshot(feed.iterator))

    def _begin_stretch(self, steps: int, snapshot: RawSnapshot | None) -> None:
        self._stretches = [*self._stretches[1 - MOST_SNAPSHOTS :], _Stretch(self._take_look(steps, snapshot))]

    def _take_look(self, steps: int, snapshot: RawSnapshot | None) -> _ModelLook:
        return _ModelLook(next(self._numbers), steps, snapshot)

    def segments(self) -> list[CostSegment]:
        """Return pairs of snapshots of one iterator in order, with the batches between them."""
        return [
            CostSegment(before, after, batches=end.steps - start.steps)
            for stretch in self._stretches
            for (start, before), (end, after) in pairwise((look, look.record()) for look in stretch.looks())
        ]
