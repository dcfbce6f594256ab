"""The worker's readings of its own memory, for the ledger.

Readings are taken at the ends of phases, where nothing is measured, and take a millisecond, or 40 where the pool's
pages are counted. While steps are measured only TensorFlow's live bytes are read (3 µs) and the heap's where that is
quick (0.1 ms), at looks that are taken anyway and between epochs, where the clock of the steps stands still. Everything
else waits until the measurement is over.
"""

from __future__ import annotations

import gc
import os
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.costs.snapshots import RawSnapshot, take_snapshot
from pipeprof.profiles.constants import OWN_MAPPING_FROM, POOL_INDEX_SHARE
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.procfs import PAGE_BYTES, PROC, read_text
from pipeprof.profiles.protocol.messages import (
    MemoryLook,
    MemoryMoment,
    MemoryReading,
    MemoryReport,
    PipelineLook,
    PythonObjects,
)
from pipeprof.profiles.worker.memory.glibc_heap import PAUSE_SECONDS, HeapWatch, trimmed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeprof.profiles.document.shared import PhaseName
    from pipeprof.profiles.protocol.messages import WorkerMessage
    from pipeprof.profiles.worker.steps.loop import Feed


MIB = 1 << 20
MOST_PAGES = 30_000
"""Most resident pages searched for the head of a block, at 2 µs each; with more of them the result is unknown. Heaps of
threads, where small tensors lie, are skipped: 120 MB of them are as many pages."""
_HEAD = struct.Struct("<8Q")
_LEAD = 0x30
"""Bytes before the second head, which glibc writes for a block aligned to 64 B."""
_MAPPED = 2
_AT_ONCE = 1024
_ABSENT = bytes(range(0x80))
_HEAP_STEP = 64 * MIB
"""Alignment of the heaps of threads (`HEAP_MAX_SIZE` in glibc's `arena.c`)."""
_HEAP_HEAD = 0x100
"""Bytes at most before the arena in the first of its heaps."""
_POWERS = frozenset(MIB << power for power in range(24))

Pages = Callable[[int, int], bytes]
"""Function of an address and a number of pages: one byte per page, 0x80 or more if resident."""
Head = Callable[[int], bytes]
"""Function of an address: the 64 bytes there."""


@dataclass(frozen=True)
class Pool:
    """Sizes of the pool's regions.

    Attributes:
        resident: Bytes of them that are resident.
        hidden: Upper bound of the bytes of further regions inside glibc's heap.
        index: Bytes of the pool's index of them, in addition.
    """

    resident: int
    hidden: int
    index: int


def pool_pages(proc: Path = PROC) -> Pool | None:
    """Read the pages of TensorFlow's pool in this process; None where they are unknown or no region was found.

    The pool reports only its bytes in use, and never returns memory to the system. It allocates from glibc regions of
    1, 2, 4, … MiB, aligned to 64 B, and glibc gives each a mapping of its own, before which it writes how large it is
    (`malloc.c`, `mmapped_chunk`). Linux joins mappings that lie side by side, so regions are found by these heads.
    Nothing else allocates a power of two of MiB with that alignment: tensors of this size lie in the pool.
    """
    found: list[tuple[int, int]] = []
    mine = proc / "self"
    try:
        pagemap = os.open(mine / "pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            memory = os.open(mine / "mem", os.O_RDONLY | os.O_CLOEXEC)
            try:

                def pages(at: int, many: int) -> bytes:
                    return os.pread(pagemap, 8 * many, at // PAGE_BYTES * 8)[7::8]

                def head(at: int) -> bytes:
                    return os.pread(memory, _HEAD.size, at)

                left = MOST_PAGES
                for low, high in _anonymous(read_text(mine / "maps") or ""):
                    for at, size in _regions(low, high, pages, head):
                        if not size:
                            left -= 1
                        elif size - PAGE_BYTES in _POWERS:
                            found.append((size, PAGE_BYTES * _resident_bytes(at, size // PAGE_BYTES, pages)))
                        if left < 0:
                            return None
            finally:
                os.close(memory)
        finally:
            os.close(pagemap)
    except OSError:
        return None
    if not found:
        return None
    sizes = [size for size, _ in found]
    index = round(POOL_INDEX_SHARE * sum(size - PAGE_BYTES for size in sizes))
    return Pool(sum(one for _, one in found), _hidden_bytes(sizes), index)


def _anonymous(maps: str) -> Iterator[tuple[int, int]]:
    """Yield anonymous private mappings large enough for a region."""
    for line in maps.splitlines():
        words = line.split()
        if len(words) == 5 and words[1].startswith("rw-p"):
            low, high = (int(name, 16) for name in words[0].split("-"))
            if high - low > MIB:
                yield low, high


def _regions(low: int, high: int, pages: Pages, head: Head) -> Iterator[tuple[int, int]]:
    """Yield address and size of blocks aligned to 64 B; size 0 for each page searched that starts no block."""
    at, known, known_at = low, b"", low
    while at + MIB < high:
        index = (at - known_at) // PAGE_BYTES
        if index >= len(known):
            known, known_at, index = pages(at, min(_AT_ONCE, (high - at) // PAGE_BYTES)), at, 0
            if not known:
                return
        if known[index] < len(_ABSENT):
            at += PAGE_BYTES
            continue
        first = head(at)
        skipped = _thread_heap(at, first, high - at)
        if skipped:
            at += skipped
            continue
        size, aligned = _block(first, high - at)
        if aligned or not size:
            yield at, size
        at += size or PAGE_BYTES


def _thread_heap(at: int, head: bytes, room: int) -> int:
    """Return the bytes of a thread's heap that begins here; 0 if none does.

    It begins with where its arena is, the heap before it, its size and how much of it may be used.
    """
    if at % _HEAP_STEP or len(head) < _HEAD.size:
        return 0
    arena, before, size, usable, *_ = _HEAD.unpack(head)
    if not arena or not 0 < arena % _HEAP_STEP < _HEAP_HEAD or before % _HEAP_STEP:
        return 0
    fits = 0 < size <= usable <= min(room, _HEAP_STEP) and not size % PAGE_BYTES and not usable % PAGE_BYTES
    return usable if fits else 0


def _block(head: bytes, room: int) -> tuple[int, bool]:
    """Return the size of the block with this head (0 for none), and whether it is aligned to 64 B."""
    if len(head) < _HEAD.size:
        return 0, False
    words = _HEAD.unpack(head)
    size = words[1] & ~7
    if words[0] or words[1] & 7 != _MAPPED or not 0 < size <= room or size % PAGE_BYTES:
        return 0, False
    return size, words[6] == _LEAD and words[7] == words[1] - _LEAD


def _resident_bytes(at: int, many: int, pages: Pages) -> int:
    found = 0
    for first in range(0, many, 1 << 16):
        found += len(pages(at + first * PAGE_BYTES, min(1 << 16, many - first)).translate(None, _ABSENT))
    return found


def _hidden_bytes(sizes: list[int]) -> int:
    """Return an upper bound of the bytes in regions smaller than those found.

    Region sizes double; a region that is larger because of a large tensor is followed by one of the same size.
    """
    first, *others = sorted(sizes)
    return 0 if first in others[:1] else min(first - PAGE_BYTES, OWN_MAPPING_FROM) - MIB


LOOK_SECONDS = 0.2
SEND_SECONDS = 2.0
"""Seconds between looks sent to the harness, in case this process dies before its report."""
MOST_LOOKS = 120
POOL_AT = frozenset({"iterator", "first", "measure"})
"""Stretches at whose end the pool's pages are counted (some 40 ms) if it was used. The pool never returns memory, so
its size at the end of the measurement is that at the peak. Not just before the measurement: buffers would fill
meanwhile."""
POOL_BYTES = 1_000_000
"""Bytes that the pool must have held for that."""
REST_SECONDS = 0.5
"""Longest time in seconds for the pipeline to become idle after the last batch was taken."""
_REST_EVERY = 0.02
_AT_REST = 3
_LARGE = 4096
"""Bytes from which a Python object is counted on its own: TensorFlow and its imports have few of these."""
_MANY = 1000
"""Items from which a container is counted with its contents."""
_SOME = 500
"""Items of such a container that are sampled."""
_DEEP = 3
_OWN = 6
"""Largest reference count of an object held only by its container; includes the references of the inspection itself."""
_TEXTS = (bytes, bytearray, str)
_PLAIN = (*_TEXTS, int, float, complex, list, tuple, dict, set, frozenset)


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


def mapped_data_bytes(proc: Path = PROC) -> int:
    """Return resident bytes of mapped files other than libraries."""
    found, counts = 0, False
    for line in (read_text(proc / "self" / "smaps") or "").splitlines():
        head = line.split(None, 5)
        if len(head) >= 5 and "-" in head[0] and not head[0].endswith(":"):
            path = head[5] if len(head) > 5 else ""
            library = path.endswith(".so") or ".so." in path or "x" in head[1] or "/bin/" in path
            counts = path.startswith("/") and not path.startswith(("/dev/zero", "/memfd:")) and not library
        elif counts and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found


def file_rss_bytes(proc: Path = PROC) -> int | None:
    """Return resident bytes of mapped files, libraries included."""
    for line in (read_text(proc / "self" / "status") or "").splitlines():
        if line.startswith("RssFile:"):
            return int(line.split()[1]) * 1024
    return None


def python_objects(sources: Iterable[tuple[str, int]] = ()) -> PythonObjects:
    """Return the bytes of large Python objects: `arrays` of in-memory sources, and `others`.

    Args:
        sources: Type and bytes of each component of those sources.
    """
    import numpy as np

    wanted = {(str(dtype), nbytes) for dtype, nbytes in sources}
    arrays = others = 0
    seen: set[int] = set()

    def visit(one: Any) -> None:
        nonlocal arrays, others
        # By type: some objects of libraries warn when their class is read.
        if issubclass(type(one), np.ndarray) and id(one) not in seen:
            seen.add(id(one))
            whole = _owner(one)
            if whole is None or whole.nbytes < _LARGE or (whole is not one and id(whole) in seen):
                return
            seen.add(id(whole))
            if (one.dtype.name, one.nbytes) in wanted or (whole.dtype.name, whole.nbytes) in wanted:
                arrays += whole.nbytes
            else:
                others += whole.nbytes
        elif type(one) in _TEXTS and len(one) >= _LARGE and id(one) not in seen:
            seen.add(id(one))
            others += sys.getsizeof(one)

    todo = gc.get_objects()
    mine = {id(todo), id(seen), id(wanted)}
    for holder in todo:
        if id(holder) in mine:
            continue
        others += _table_bytes(holder)
        for one in gc.get_referents(holder):
            if type(one) in (dict, tuple) and not gc.is_tracked(one) and id(one) not in seen:
                # The garbage collector lists no objects that cannot be part of a cycle.
                seen.add(id(one))
                others += _table_bytes(one)
                for inner in gc.get_referents(one):
                    visit(inner)
            visit(one)
    return PythonObjects(arrays, others)


def _table_bytes(one: Any) -> int:
    """Estimate bytes of a large container with its own contents from a sample of items; 0 for other objects."""
    if type(one) not in (list, tuple, set, dict, frozenset) or len(one) < _MANY:
        return 0
    items = gc.get_referents(one)
    many = len(items)
    # An odd step, since keys and values of a dict alternate.
    some = items[:: many // _SOME | 1]
    del items
    return sys.getsizeof(one) + round(many * sum(_deep_bytes(item, _DEEP) for item in some) / len(some)) if some else 0


def _deep_bytes(one: Any, depth: int) -> int:
    """Return the bytes of a small object without other references, and of the objects in it."""
    kind = type(one)
    if kind not in _PLAIN and kind.__name__ != "ndarray" and not kind.__dictoffset__ and not hasattr(kind, "__slots__"):
        return 0
    if issubclass(kind, (type, ModuleType)) or callable(one) or sys.getrefcount(one) > _OWN:
        return 0
    size = sys.getsizeof(one)
    if size >= _LARGE:
        return 0
    return size + sum(_deep_bytes(inner, depth - 1) for inner in gc.get_referents(one)) if depth else size


def _owner(array: Any) -> Any:
    """Return the array that owns an array's memory; None where no array does, as for a mapped file."""
    import numpy as np

    while isinstance(array.base, np.ndarray):
        array = array.base
    return None if array.base is not None or isinstance(array, np.memmap) else array


def _read_moment() -> MemoryMoment:
    return MemoryMoment(t=time.monotonic(), rss=procfs.own_rss_bytes(), live=tensor_bytes()[0])


class MemoryLog:
    """Memory readings at the ends of phases, and looks at the running pipeline.

    Args:
        send: Receives every reading at once, and some of the looks.
        every: Seconds between two of these looks.
        counts_objects: Whether the report counts Python's objects: it looks at all that the process has.
    """

    def __init__(
        self,
        send: Callable[[WorkerMessage], None] = lambda _message: None,
        *,
        every: float = SEND_SECONDS,
        counts_objects: bool = True,
    ) -> None:
        self._send = send
        self._send_every = every
        self._counts_objects = counts_objects
        self._send_at = 0.0
        self._readings: list[MemoryReading] = []
        self._looks: list[tuple[MemoryMoment, PhaseName, int, int, RawSnapshot]] = []
        self._every = LOOK_SECONDS
        self._next = 0.0
        self._heap = HeapWatch()

    def read(self, name: str, *, used: bool = True) -> None:
        """Take a reading that ends the stretch since the last one.

        What takes long comes last: the pipeline's threads go on filling buffers meanwhile.

        Args:
            used: Whether TensorFlow's devices may be in use. To look at them starts them, and a script that comes to
                configure them then fails.
        """
        rss, peak = procfs.rss_bytes("self"), procfs.peak_rss_bytes("self")
        live, most = tensor_bytes() if used else (0, 0)
        # Batches that are made meanwhile lie in the pool: it comes before the heap.
        pool = pool_pages() if name in POOL_AT and (most or 0) >= POOL_BYTES else None
        heap = self._heap.end()
        if rss is not None:
            reading = MemoryReading(
                name=name,
                rss=rss,
                peak=peak,
                file=file_rss_bytes(),
                live=live,
                live_peak=most,
                heap=heap.end.used if heap else None,
                heap_free=heap.end.free if heap else None,
                mapped=heap.end.mapped if heap else None,
                heap_most=heap.most_used if heap else None,
                near_rss=heap.nearest.rss if heap else None,
                near_heap=heap.nearest.used if heap else None,
                near_free=heap.nearest.free if heap else None,
                blocks=sys.getallocatedblocks(),
                pool=pool.resident if pool else None,
                pool_hidden=pool.hidden if pool else None,
                pool_index=pool.index if pool else None,
            )
            self._readings.append(reading)
            self._send(reading)
        if used:
            forget_peak()

    def between_epochs(self) -> None:
        """Read the heap between two epochs, when no buffers exist: what remains is kept by glibc."""
        self._heap.see(PAUSE_SECONDS)

    def now(self) -> MemoryMoment | None:
        """Read memory now, from any thread; None before the first reading."""
        return _read_moment() if self._readings else None

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
        moment, epoch = _read_moment(), feed.ended
        heap = self._heap.see()
        self._looks.append((moment, phase, steps, epoch, seen))
        if now >= self._send_at:
            self._send_at = now + self._send_every
            if heap is not None:
                moment = replace(moment, heap=heap.used, heap_free=heap.free)
            self._send(MemoryLook(phase, moment, seen.to_dict()))
        if len(self._looks) > MOST_LOOKS:
            self._looks = self._looks[::2]
            self._every *= 2

    def rest(self, feed: Feed, wait: Callable[[float], object] = time.sleep) -> None:
        """Look at the pipeline when its buffers are full and nothing is in flight, or after half a second.

        Args:
            feed: The pipeline's feed, while no batches are taken from it.
            wait: Called with seconds to wait.
        """
        before, same = tensor_bytes()[0], 0
        for _ in range(round(REST_SECONDS / _REST_EVERY) if before is not None else 0):
            wait(_REST_EVERY)
            live = tensor_bytes()[0]
            before, same = live, same + 1 if live == before else 0
            if same >= _AT_REST:
                break
        seen = take_snapshot(feed.iterator)
        if seen is not None:
            self._looks.append((_read_moment(), "trace", 0, feed.ended, seen))

    def report(self, *, sources: Iterable[tuple[str, int]], batch_bytes: float | None) -> MemoryReport:
        """Return all readings, with those that are only possible after the measurement."""
        return MemoryReport(
            readings=self._readings,
            looks=[
                PipelineLook(moment.t, moment.rss, moment.live, phase, steps, epoch, seen.to_dict())
                for moment, phase, steps, epoch, seen in self._looks
            ],
            python=python_objects(sources) if self._counts_objects else PythonObjects(0, 0),
            mapped_data=mapped_data_bytes(),
            batch_bytes=batch_bytes,
            trimmed=trimmed_bytes(),
        )
