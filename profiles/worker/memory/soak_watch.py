"""Memory of a long run, read seldom; and, once it has grown, which of the user's lines made what stays.

A reading takes 0.2 ms of a core, and the heap 1 ms more; where that is in fragments it takes tens of milliseconds, and
is left out of most readings. The next one waits until all of them together take 0.1 % of a core. Allocations are
traced (`tracemalloc`) only when the harness has seen memory grow; readings of that time are marked, as tracing takes
time and memory itself.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import sys
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.target.user_files import is_users
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.messages import (
    MemoryReading,
    SoakEvidence,
    SoakLine,
    SoakPlace,
    SoakReading,
    SoakTraced,
)
from pipeprof.profiles.worker.memory.glibc_heap import heap
from pipeprof.profiles.worker.memory.memory_log import tensor_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pipeprof.pipelines.graph.costs.snapshots import RawSnapshot
    from pipeprof.profiles.protocol.messages import WorkerMessage

SHARE, HEAP_SHARE = 0.0004, 0.0006
"""Of one core for readings without the heap, and for the heap's."""
LEAST_SECONDS = 0.05
READINGS = 240
"""Of a soak at least, if that is within the share."""
HEAPS = 96
"""Readings of the heap at most in a soak that is not short: four for each window of memory that is compared."""
SHORT_SECONDS = 60.0
"""A shorter soak has this many readings whatever they take."""
SETTLE_SECONDS = 2.0
"""How long allocations are traced at least, so that those that stay differ from those that are dropped."""
SETTLE_LOOKS = 3
SETTLE_SHARE = 0.4
LATE = (0.7, 0.85)
"""Parts of that time after which what stays is looked at, as at its end."""
_FRAMES = 12
_MOST_LINES = 10
_IN_PIPELINE = ("script_ops.py", "from_generator_op.py")


_Line = tuple[str, int]


@dataclass
class _Total:
    """Allocations of a line: how many the pipeline's functions made, and how many TensorFlow."""

    bytes: int = 0
    count: int = 0
    inside: int = 0
    tensors: int = 0


class SoakWatch:
    """Readings of memory while a soak lasts.

    Args:
        seconds: How long it lasts.
        objects: Returns the lines that iterate, with how many of their iterators and datasets exist.
        clock: Seconds.
        cpu: CPU seconds of this thread.
    """

    def __init__(
        self,
        send: Callable[[WorkerMessage], None],
        seconds: float,
        objects: Callable[[], list[SoakPlace] | None] = lambda: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
    ) -> None:
        self._send, self._seconds, self._objects = send, seconds, objects
        self._clock, self._cpu = clock, cpu
        self._began: float | None = None
        self._next = self._heap_next = self._spent = 0.0
        self._epoch = self._steps = 0
        self._examined: _Examination | None = None

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
        if self._examined is not None:
            self._examined.settle(now, epoch, steps)
        self._began = now if self._began is None else self._began
        self._epoch, self._steps = epoch, steps
        if now < self._next:
            return
        began = self._cpu()
        is_short = self._seconds < SHORT_SECONDS
        # While allocations are traced, readings do not count.
        used = heap() if self._examined is None and (is_short or now >= self._heap_next) else None
        heap_took = self._cpu() - began if used is not None else 0.0
        memory = _memory(used)
        if memory is not None:
            places = self._objects()
            self._send(
                SoakReading(
                    t=now - self._began,
                    epoch=epoch,
                    steps=steps,
                    memory=memory,
                    buffered=_buffered(snapshot) if snapshot is not None else None,
                    iterators=sum(place.iterators for place in places) if places is not None else None,
                    datasets=sum(place.datasets for place in places) if places is not None else None,
                    cores=self._spent / (now - self._began) if now > self._began else None,
                    examined=self._examined is not None,
                )
            )
        took = self._cpu() - began
        self._spent += took
        if used is not None:
            self._heap_next = now + max(self._seconds / HEAPS, heap_took / HEAP_SHARE)
        least = max(LEAST_SECONDS, self._seconds / READINGS)
        self._next = now + (least if is_short else max(least, (took - heap_took) / SHARE))

    def examine(self) -> None:
        """Begin to look for whose the growth is; once."""
        if self._examined is None:
            now = self._clock()
            left = self._seconds - (now - (self._began if self._began is not None else now))
            self._examined = _Examination(now, self._epoch, self._steps, max(0.0, left))

    def end(self) -> None:
        """Send what was found, if it was looked for."""
        if self._examined is not None:
            examined, self._examined = self._examined, None
            found = examined.end(self._clock(), self._epoch, self._steps, self._objects() or [])
            self._send(found)


class _Examination:
    """Traced allocations and traced functions, from now to `end`."""

    def __init__(self, at: float, epoch: int, steps: int, seconds: float) -> None:
        self._at, self._epoch, self._steps = at, epoch, steps
        self._first_epoch = epoch
        # Most of the time is for what stays.
        self._until, self._settle = at + SETTLE_SHARE * seconds, min(SETTLE_SECONDS, SETTLE_SHARE * seconds / 4)
        # Who traces allocations already goes on with it, and there is nothing to tell apart.
        self._traces = not tracemalloc.is_tracing()
        self._before = traced_by_code()
        self._settled: dict[_Line, _Total] = {}
        self._stays: dict[_Line, _Total] | None = None
        self._late = [at + share * seconds for share in LATE]
        self._to = at, steps
        self._looks = 0
        if self._traces:
            tracemalloc.start(_FRAMES)

    def settle(self, at: float, epoch: int, steps: int) -> None:
        """Begin once more after two epochs: what is made anew in each, and dropped, exists by then.

        Late looks see what stays: at any of them another part of an epoch may be held.
        """
        if self._late and at >= self._late[0]:
            self._late.pop(0)
            self._look_late(at, steps)
        if self._looks >= SETTLE_LOOKS or at > self._until or at - self._at < self._settle or epoch < self._epoch + 2:
            return
        self._looks += 1
        self._at, self._epoch, self._steps = at, epoch, steps
        if self._traces and tracemalloc.is_tracing():
            for line, total in _totals(tracemalloc.take_snapshot().traces).items():
                # The most that a line had at once, whatever moment of an epoch it was.
                self._settled[line] = max(total, self._settled.get(line, total), key=lambda one: one.bytes)

    def _look_late(self, at: float, steps: int) -> None:
        if not self._traces or not tracemalloc.is_tracing():
            return
        now, before = _totals(tracemalloc.take_snapshot().traces), self._stays
        if before is None:
            self._stays, self._to = now, (at, steps)
        else:
            self._stays = {
                line: min(now[line], total, key=lambda one: one.bytes) for line, total in before.items() if line in now
            }

    def end(self, at: float, epoch: int, steps: int, places: list[SoakPlace]) -> SoakEvidence:
        freed = _collected()
        self._look_late(at, steps)
        lines = _lines(self._stays or {}, self._settled)
        if self._traces:
            tracemalloc.stop()
        traced = []
        for code, (after, objects) in traced_by_code().items():
            before, _ = self._before.get(code, (0, 0))
            if after > before:
                traced.append(SoakTraced(*code, before, after, objects))
        traced.sort(key=lambda one: one.before - one.after)
        return SoakEvidence(
            seconds=self._to[0] - self._at,
            epochs=epoch - self._first_epoch,
            steps=self._to[1] - self._steps,
            lines=lines,
            traced=traced[:_MOST_LINES],
            places=places,
            freed=freed,
        )


def traced_by_code() -> dict[tuple[str, str, int], tuple[int, int]]:
    """Count traces and objects of the user's tf.functions that exist, by name, file and line: some are made anew."""
    found: dict[tuple[str, str, int], tuple[int, int]] = {}
    for one in gc.get_objects():
        # The class is private; the method and the attribute are public.
        if type(one).__name__ == "Function" and hasattr(type(one), "experimental_get_tracing_count"):
            with contextlib.suppress(Exception):
                code = inspect.unwrap(one.python_function).__code__
                if is_users(code.co_filename):
                    key = code.co_name, code.co_filename, code.co_firstlineno
                    traces, objects = found.get(key, (0, 0))
                    found[key] = traces + one.experimental_get_tracing_count(), objects + 1
    return found


def _totals(traces: Iterable[Any]) -> dict[_Line, _Total]:
    """Sum allocations by the innermost line of the user's."""
    found: dict[_Line, _Total] = {}
    places: dict[Any, tuple[_Line, bool, bool] | None] = {}
    for trace in traces:
        frames = trace.traceback
        if frames not in places:
            places[frames] = _place(list(frames))
        place = places[frames]
        if place is not None:
            line, inside, made_there = place
            total = found.setdefault(line, _Total())
            total.bytes += trace.size
            total.count += 1
            total.inside += inside
            total.tensors += made_there
    return found


def _place(frames: list[Any]) -> tuple[_Line, bool, bool] | None:
    """Return the user's line, whether the pipeline called it, and whether TensorFlow allocated; outermost first."""
    for place in range(len(frames) - 1, -1, -1):
        if is_users(frames[place].filename):
            inside = any(frame.filename.endswith(_IN_PIPELINE) for frame in frames[:place])
            made_there = any("tensorflow" in frame.filename for frame in frames[place + 1 :])
            return (frames[place].filename, frames[place].lineno), inside, made_there
    return None


def _lines(after: Mapping[_Line, _Total], before: Mapping[_Line, _Total]) -> list[SoakLine]:
    """Return the lines that have most more than before, by bytes and by number."""
    found = []
    for (file, line), total in after.items():
        old = before.get((file, line), _Total())
        nbytes, count = total.bytes - old.bytes, total.count - old.count
        inside, tensors = 2 * total.inside > total.count, 2 * total.tensors > total.count
        found.append(SoakLine(file, line, None, nbytes, count, in_pipeline=inside, tensors=tensors))
    found.sort(key=lambda one: -one.bytes)
    return found[:_MOST_LINES] + sorted(found[_MOST_LINES:], key=lambda one: -one.count)[:_MOST_LINES]


def _memory(found: tuple[int, int, int] | None) -> MemoryReading | None:
    """Read memory; the heap as it was found."""
    pages = procfs.own_pages()
    if pages is None:
        return None
    used, free, mapped = found if found is not None else (None, None, None)
    return MemoryReading(
        name="soak",
        rss=pages.rss_bytes,
        file=pages.mapped_bytes,
        live=tensor_bytes()[0],
        heap=used,
        heap_free=free,
        mapped=mapped,
        blocks=sys.getallocatedblocks(),
    )


def _collected() -> int | None:
    """Return the bytes in use that Python's garbage collector frees."""
    before = _memory(heap())
    gc.collect()
    after = _memory(heap())
    if before is None or after is None or before.in_use is None or after.in_use is None:
        return None
    return before.in_use - after.in_use


def _buffered(snapshot: RawSnapshot) -> int:
    return sum(int(node.buffered_bytes) for node in snapshot.proto.nodes.values())
