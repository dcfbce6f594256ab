"""Recording of a traced stretch: the traced pipeline, and the limits of events, bytes and time.

The measured iterator itself is traced, or a rebuilt pipeline with marks in its functions where ops of several stages
are otherwise ambiguous: rebuilding runs the user's generators once more and refills the buffers, so not where it would
take long or give another pipeline.

TensorFlow keeps all events in memory until the trace ends, and has no counter of them. So a first look of a tenth of a
second, stopped whether or not a batch arrived, measures the events per second. They limit the length of the stretch
itself; where it has far too many events nevertheless, a shorter one follows.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.in_calls import with_scopes
from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.costs.op_owners import Marks
from pipeprof.pipelines.graph.costs.snapshots import take_snapshot
from pipeprof.pipelines.graph.observe.reading import SPARED_BYTES, read_written, readable
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.executed_ops import family
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import TRACE_BYTES_PER_EVENT, TRACE_BYTES_PER_SECOND
from pipeprof.profiles.host import procfs
from pipeprof.profiles.host.run_family import folder_prefix
from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.trace.threads import Looks, PythonSampler, ThreadReading, ThreadStates
from pipeprof.profiles.xplane.xplane import count_events

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.read.records import GraphDict, ModelDict


LONGEST_REFILL_SECONDS: Final = 2.0
"""Seconds until the first batch from which no pipeline is built again."""
SETTLE_SECONDS: Final = 0.3
SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.1
"""Length of the first look."""
WATCH_SECONDS: Final = 0.05
"""Between two looks at the memory that a stretch takes."""
MOST_EVENTS: Final = 400_000
"""Planned events of a stretch at most."""
MOST_BYTES: Final = 80_000_000
"""Planned bytes of its files at most."""
TOO_MANY: Final = 3
"""Factor over the planned events or bytes from which a shorter stretch follows."""
PATIENCE: Final = 3.0
"""Factor over the planned seconds for a stretch with fewer than `AT_LEAST` batches."""
LONGEST_SECONDS: Final = 8.0
"""Time limit of a stretch with few events, in the middle of a batch too."""
AT_LEAST: Final = 4
AT_MOST: Final = 2000
MOST_ELEMENTS: Final = 150_000
"""Of an epoch that is traced as a whole: each is an event."""
MOST_STAGES: Final = 8
"""Assumed number of stages that an element passes through, before elements are counted."""
LONGEST_FILL_SECONDS: Final = 1.5
"""Seconds until the first batch from which a trace starts within an epoch, to show more than the start."""
COMPARISONS: Final = 20
HERE: Final = "pipeprof compares the clocks, "
_END = object()


def to_trace(
    dataset: Any,
    feed: Feed,
    *,
    in_memory: int,
    room: int | None,
    watch: CallWatch | None,
    again: bool,
    fill_seconds: float,
    stop: Callable[[], bool],
) -> tuple[Feed, Marks | None]:
    """Choose the feed to trace; return it with the ops of its functions by dataset (None where unknown).

    Args:
        in_memory: Bytes that its sources and captured tensors hold in memory, at most.
    """
    read, size = readable(dataset, in_memory=in_memory, room=room, watch=watch)
    if size > SPARED_BYTES:
        return feed, None
    graph = read_written(read, in_memory=size, room=room)
    marks = Marks(graph, watch.lines.python if watch is not None else None)
    marked = None
    if again and read is dataset:
        marked = marked_feed(dataset, marks, graph, watch, fill_seconds=fill_seconds, stop=stop)
    return marked or feed, marks


def marked_feed(
    dataset: Any,
    marks: Marks,
    graph: GraphDict,
    watch: CallWatch | None,
    *,
    fill_seconds: float,
    stop: Callable[[], bool],
) -> Feed | None:
    """Build the pipeline again with each function in a name scope of its own, and start it.

    Returns:
        None where that is impossible or not needed.
    """
    import tensorflow as tf

    if not marks.ambiguous() or fill_seconds > LONGEST_REFILL_SECONDS or watch is None:
        return None
    if any(traits(node["op"]).stores or family(node["op"]) == "Save" for node in graph["nodes"]):
        return None
    try:
        with watch:
            again, addresses = with_scopes(dataset, watch.calls)
        heads = {stage.address: stage.head for stage in StageGraph.from_dict(graph).stages()}
        found = read_written(again, in_memory=0)
        if found["root"] is None:
            return None
        marks.scoped([heads[address] for address in addresses], found)
        feed = Feed(again)
        began = time.perf_counter()
        while time.perf_counter() - began < SETTLE_SECONDS and not stop():
            feed.next()
    except (CannotChangeError, KeyError, tf.errors.OpError, ValueError, TypeError):
        return None
    return feed


class NoTraceError(Exception):
    """Reason why there is no trace."""


@dataclass
class TracedStretch:
    """Traced stretch; times in nanoseconds are of ``time.monotonic_ns``.

    Attributes:
        model: TensorFlow's model at its start and end; None where the iterator changed or the stretch was cut.
    """

    thread: int
    python: Looks
    data: list[bytes] = field(default_factory=list)
    batches: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    began_ns: int = 0
    ended_ns: int = 0
    compared: list[int] = field(default_factory=list)
    elsewhere: set[int] = field(default_factory=set)
    looks: list[ThreadReading] = field(default_factory=list)
    model: tuple[ModelDict, ModelDict] | None = None

    @property
    def events(self) -> int:
        """Number of events."""
        return sum(map(count_events, self.data))


def events_for(room: int | None) -> int | None:
    """Return the number of events that take at most half of `room` bytes; None if a first look would take more."""
    if room is None:
        return MOST_EVENTS
    if room / 2 < LOOK_SECONDS * TRACE_BYTES_PER_SECOND:
        return None
    return min(MOST_EVENTS, room // 2 // TRACE_BYTES_PER_EVENT)


def record(
    feed: Feed, room: int | None = None, fill_seconds: float | None = None, check: Callable[[], None] = lambda: None
) -> TracedStretch:
    """Take batches for a second under TensorFlow's profiler and both samplers.

    Args:
        fill_seconds: Seconds until the first batch of a dataset that ended and was restarted; else None. Where that is
            short, the trace starts and, if possible, ends with an epoch: stages before a shuffle may run only while it
            is filled.

    Raises:
        NoTraceError: There is no trace.
    """
    most = events_for(room)
    if most is None:
        raise NoTraceError("it would take more memory than is left")
    share, looked = _first_look(feed, most, room)
    found = _record_once(feed, min(SECONDS, looked / share) if share else SECONDS, fill_seconds, room)
    if (share := _share(found.data, most)) > TOO_MANY:
        check()
        found = _record_once(feed, found.seconds / share, fill_seconds, room)
    if not found.batches or _share(found.data, most) > TOO_MANY:
        msg = f"too much happens in a batch ({found.events:,} events in {found.seconds:.1f} s, {found.batches} batches)"
        raise NoTraceError(msg)
    return found


def _first_look(feed: Feed, most: int, room: int | None) -> tuple[float, float]:
    """Return the share of the planned events or bytes that a short look has, and its seconds."""
    with _Recording(LOOK_SECONDS, room) as recording:
        _take(feed, LOOK_SECONDS, LOOK_SECONDS, recording)
    return _share(recording.stretch.data, most), recording.seconds


def _share(files: Sequence[bytes], most: int) -> float:
    return max(sum(map(count_events, files)) / most, sum(map(len, files)) / MOST_BYTES)


def _record_once(feed: Feed, seconds: float, fill_seconds: float | None, room: int | None) -> TracedStretch:
    """Record about `seconds`, or whole epochs."""
    short = fill_seconds is not None and fill_seconds <= LONGEST_FILL_SECONDS
    epochs = short and seconds == SECONDS and epoch_is_small(feed)
    if epochs:
        feed.restart()
    # With few events in the first look, only patience limits the length.
    limit = LONGEST_SECONDS if seconds == SECONDS else PATIENCE * seconds
    with _Recording(limit, room, samplers=True) as recording:
        stretch, iterator, before = recording.stretch, feed.iterator, take_snapshot(feed.iterator)
        stretch.batches, stretch.seconds = _take(feed, seconds, PATIENCE * seconds, recording, epochs=epochs)
        whole = feed.iterator is iterator and not recording.cut
        after = take_snapshot(iterator) if whole else None
    if before is not None and after is not None:
        stretch.model = before.to_dict(), after.to_dict()
    return stretch


def _take(
    feed: Feed, seconds: float, patience: float, recording: _Recording, *, epochs: bool = False
) -> tuple[int, float]:
    """Take batches for `seconds`, to the end of an epoch if `epochs`; return their number and the seconds."""
    batches, elapsed, began = 0, 0.0, time.perf_counter()
    while batches < AT_MOST:
        if not epochs:
            feed.next()
        elif next(feed.iterator, _END) is _END:
            if elapsed > seconds / 2:
                break
            feed.next()
        if recording.cut:
            return batches, recording.seconds
        batches += 1
        elapsed = time.perf_counter() - began
        if elapsed > (seconds if batches >= AT_LEAST and not epochs else patience):
            break
    return batches, elapsed


class _Recording:
    """TensorFlow's profiler, and optionally both samplers, for `limit` seconds at most.

    Args:
        limit: Seconds until it ends even if the thread that started it waits for a batch.
        room: Bytes that are left to the process; it ends when half of them are used. None for any number.
    """

    def __init__(self, limit: float, room: int | None = None, *, samplers: bool = False) -> None:
        self.cut = False
        self._samplers = samplers
        self._python = PythonSampler()
        self._watching = ThreadStates(os.getpid())
        self.stretch = TracedStretch(threading.get_native_id(), self._python.looks)
        self._limit, self._room = limit, room
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._lock = threading.Lock()
        self._ended = False

    def __enter__(self) -> _Recording:
        import tensorflow as tf

        self._profiler = tf.profiler.experimental
        level = tracer_level(tf.__version__)
        options = self._profiler.ProfilerOptions(host_tracer_level=level, python_tracer_level=0, device_tracer_level=0)
        self._folder = tempfile.TemporaryDirectory(prefix=folder_prefix(), ignore_cleanup_errors=True)
        if self._samplers:
            self._python.start()
            self._watching.start()
        try:
            self._profiler.start(self._folder.name, options)
        except tf.errors.OpError as error:
            self._stop_samplers()
            self._folder.cleanup()
            raise NoTraceError(str(error).splitlines()[0]) from error
        self.stretch.began_ns, self.stretch.cpu_seconds = time.monotonic_ns(), -time.process_time()
        self._watcher.start()
        if self._samplers:
            self.stretch.compared = _compare_clocks(self._profiler)
        return self

    def __exit__(self, *_raised: object) -> None:
        self._end()
        self._over.set()
        self.stretch.data = [file.read_bytes() for file in sorted(Path(self._folder.name).rglob("*.xplane.pb"))]
        self._folder.cleanup()

    @property
    def seconds(self) -> float:
        """Length, after the end."""
        return (self.stretch.ended_ns - self.stretch.began_ns) / 1e9

    def _watch(self) -> None:
        """End the recording after its time, or before its events take more memory than half of what is left."""
        room, before = self._room, procfs.rss_bytes("self") or 0
        pause = self._limit if room is None else WATCH_SECONDS
        end = time.monotonic_ns() + int(self._limit * 1e9)
        while (left := (end - time.monotonic_ns()) / 1e9) > 0:
            if self._over.wait(min(left, pause)):
                return
            if room is not None and (procfs.rss_bytes("self") or 0) - before > room / 2:
                break
        self._end(cut=True)

    def _end(self, *, cut: bool = False) -> None:
        with self._lock:
            if self._ended:
                return
            self.stretch.cpu_seconds += time.process_time()
            self.stretch.ended_ns = time.monotonic_ns()
            self._ended, self.cut = True, cut
            self.stretch.elsewhere = {
                thread.native_id for thread in threading.enumerate() if thread.native_id is not None
            }
            self._stop_samplers()
            self._profiler.stop()

    def _stop_samplers(self) -> None:
        if self._samplers:
            self.stretch.looks = self._watching.stop()
            self._python.stop()


def _compare_clocks(profiler: Any) -> list[int]:
    """Put marks into the trace; return the time of each on the clock of `time.monotonic_ns`."""
    compared = []
    for number in range(COMPARISONS):
        compared.append(time.monotonic_ns())
        with profiler.Trace(f"{HERE}{number}"):
            pass
    return compared


def tracer_level(version: str) -> int:
    """Return the lowest tracer level with ops and iterators: TensorFlow 2.18 has them at level 2, 2.21 at level 1."""
    return 1 if tuple(map(int, version.split(".")[:2])) >= (2, 21) else 2


def epoch_is_small(feed: Feed) -> bool:
    """Return whether an epoch, as far as the model shows it now, is small enough for a trace."""
    seen = take_snapshot(feed.iterator)
    if seen is None:
        return False
    nodes = seen.proto.nodes.values()
    largest = max((node.num_elements + node.buffered_elements for node in nodes), default=0)
    return bool(largest * MOST_STAGES <= MOST_ELEMENTS)
