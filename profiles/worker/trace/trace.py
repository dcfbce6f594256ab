"""Trace phase: a short traced stretch after the measurement, for the work inside the stages.

Three sources are combined: TensorFlow's own trace, the thread states sampled from outside (`thread_states`), and the
Python functions (`python_sampler`). Tracing slows a pipeline by 10 to 40 %, so only proportions are used. The ops of a
stage are identified by the name scope that the builder of a spec gave its function, or by what the functions of a graph
contain (`pipeprof.pipelines.graph.costs.op_owners`).
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.addresses import address_of
from pipeprof.pipelines.graph.costs.snapshots import take_snapshot
from pipeprof.pipelines.target.user_files import is_generated
from pipeprof.profiles.constants import TRACE_BYTES_PER_SECOND
from pipeprof.profiles.protocol.messages import Trace, TracedFunction, TracedWork
from pipeprof.profiles.worker.trace.function_calls import calls_by_iterator
from pipeprof.profiles.worker.trace.python_sampler import PythonSampler
from pipeprof.profiles.worker.trace.thread_states import ThreadStates, share_of_cores
from pipeprof.profiles.worker.trace.work_by_key import Spans, elements_by_iterator
from pipeprof.profiles.worker.trace.xplane import Event, read_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipeprof.pipelines.graph.costs.op_owners import Marks
    from pipeprof.profiles.worker.steps.loop import Feed

SECONDS = 1.0
AT_LEAST = 4
AT_MOST = 2000
PATIENCE_SECONDS = 3.0
MOST_ELEMENTS = 150_000
"""Most elements that iterators produce while tracing. Each is an event: 840,000 of them took TensorFlow 1.2 GB at the
end of the trace, and 0.6 GB and 8 s more to read."""
MOST_STAGES = 8
"""Assumed number of stages that an element passes through, before elements are counted."""
LONGEST_FILL_SECONDS = 1.5
"""Seconds until the first batch from which a trace starts within an epoch, to show more than the start."""
_LOOK_SECONDS = 0.05
SHORTEST_SECONDS = 0.1
_PYTHON = re.compile(r":(?:Eager)?PyFunc(?:Stateless)?$")
COMPARISONS = 20
_END = object()
_HERE = "pipeprof compares the clocks, "
_SCOPE = re.compile(r"^(?P<scope>(?:stages_\d+|source)(?:_stages_\d+|_source)*)/")


def python_time(events: Iterable[Event]) -> tuple[float, float]:
    """Return seconds in which at least one Python function ran, and milliseconds inside them over all threads."""
    spans = sorted((e.start_ps, e.start_ps + e.duration_ps) for e in events if _PYTHON.search(e.name))
    covered, until = 0, 0
    for start, end in spans:
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered / 1e12, sum(end - start for start, end in spans) / 1e9


def key_of(path: str, marks: Marks | None) -> str | None:
    """Return the key of the op at `path` (see `work_by_key`); None where its stage is unknown."""
    if match := _SCOPE.match(path):
        return f"at:{address_of(match['scope'])}"
    dataset = marks.dataset_of(path) if marks is not None else None
    return f"in:{dataset}" if dataset is not None else None


class _ElementCount:
    """Number of elements that the iterators of a feed have produced since its creation."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._next = 0.0
        self._first: dict[int, int] | None = None

    def too_many(self, elapsed: float) -> bool:
        """Return whether the trace's limit is reached; reads the model only from time to time."""
        if elapsed < self._next:
            return False
        self._next = elapsed + _LOOK_SECONDS
        seen = take_snapshot(self._feed.iterator)
        if seen is None:
            return False
        elements = {key: int(node.num_elements) for key, node in seen.proto.nodes.items()}
        if self._first is None:
            self._first = elements
        return passed_on(self._first, elements) >= MOST_ELEMENTS


def passed_on(first: Mapping[int, int], now: Mapping[int, int]) -> int:
    """Return the number of elements between two readings of the model's counters; new iterators start at 0."""
    return sum(max(0, count - first.get(key, 0)) for key, count in now.items())


def _compare_clocks(profiler: Any) -> list[int]:
    """Put marks into the trace; return the time of each on the clock of `time.monotonic_ns`."""
    compared = []
    for number in range(COMPARISONS):
        compared.append(time.monotonic_ns())
        with profiler.Trace(f"{_HERE}{number}"):
            pass
    return compared


def _offset_ps(compared: Sequence[int], events: Iterable[Event]) -> int | None:
    """Return the offset from our clock to the trace's: the smallest, as a thread may lose its core between readings."""
    numbers = {f"{_HERE}{number}": at for number, at in enumerate(compared)}
    return min((event.start_ps - numbers[event.name] * 1000 for event in events if event.name in numbers), default=None)


def seconds_for(room: int | None) -> float | None:
    """Return the seconds to trace so that the trace takes at most half of `room` bytes; None if too few."""
    if room is None:
        return SECONDS
    seconds = room / 2 / TRACE_BYTES_PER_SECOND
    return min(SECONDS, seconds) if seconds >= SHORTEST_SECONDS else None


def epoch_is_small(feed: Feed) -> bool:
    """Return whether an epoch, as far as the model shows it now, is small enough for a trace."""
    seen = take_snapshot(feed.iterator)
    if seen is None:
        return False
    nodes = seen.proto.nodes.values()
    largest = max((node.num_elements + node.buffered_elements for node in nodes), default=0)
    return bool(largest * MOST_STAGES <= MOST_ELEMENTS)


def _take(feed: Feed, seconds: float, passed: _ElementCount, *, epochs: bool) -> tuple[int, float]:
    """Take batches for `seconds`, to the end of an epoch if `epochs`; return their number and the seconds."""
    batches, elapsed, began = 0, 0.0, time.perf_counter()
    while batches < AT_MOST:
        if not epochs:
            feed.next()
        elif next(feed.iterator, _END) is _END:
            if elapsed > seconds / 2:
                break
            feed.next()
        batches += 1
        elapsed = time.perf_counter() - began
        if elapsed > (seconds if batches >= AT_LEAST and not epochs else PATIENCE_SECONDS):
            break
        if batches >= AT_LEAST and passed.too_many(elapsed):
            break
    return batches, elapsed


def traced_ops(
    feed: Feed, marks: Marks | None = None, room: int | None = None, fill_seconds: float | None = None
) -> Trace:
    """Take batches for a second under TensorFlow's profiler and both samplers, and read what ran.

    Args:
        feed: Where the batches come from.
        marks: The ops of its functions by dataset; None where they are not known.
        room: Bytes that are left to the process; None for any number.
        fill_seconds: Seconds until the first batch of a dataset that ended and was restarted; else None. Where that is
            short, the trace starts and, if possible, ends with an epoch: stages before a shuffle may run only while it
            is filled.
    """
    import tensorflow as tf

    seconds = seconds_for(room)
    if seconds is None:
        return Trace(note="it would take more memory than is left")

    short = fill_seconds is not None and fill_seconds <= LONGEST_FILL_SECONDS
    epochs = short and seconds == SECONDS and epoch_is_small(feed)
    if epochs:
        feed.restart()
    profiler = tf.profiler.experimental
    python = PythonSampler()
    python.start()
    watching = ThreadStates(os.getpid())
    with tempfile.TemporaryDirectory(prefix="pipeprof-trace-") as folder:
        level = _tracer_level(tf.__version__)
        options = profiler.ProfilerOptions(host_tracer_level=level, python_tracer_level=0, device_tracer_level=0)
        try:
            watching.start()
            profiler.start(folder, options)
        except tf.errors.OpError as error:
            watching.stop()
            python.stop()
            return Trace(note=str(error).splitlines()[0])
        passed = _ElementCount(feed)
        passed.too_many(0.0)
        iterator, model = feed.iterator, take_snapshot(feed.iterator)
        began_ns, cpu = time.monotonic_ns(), time.process_time()
        try:
            compared = _compare_clocks(profiler)
            batches, elapsed = _take(feed, seconds, passed, epochs=epochs)
        finally:
            cpu, ended_ns = time.process_time() - cpu, time.monotonic_ns()
            model_then = take_snapshot(feed.iterator) if feed.iterator is iterator else None
            elsewhere = {thread.native_id for thread in threading.enumerate() if thread.native_id is not None}
            looks = watching.stop()
            sampled = python.stop()
            profiler.stop()
        files = sorted(Path(folder).rglob("*.xplane.pb"))
        if not files:
            return Trace(note="TensorFlow wrote none")
        events = [event for file in files for event in read_events(file.read_bytes())]
    offset = _offset_ps(compared, events)
    spans = Spans(events, lambda path: key_of(path, marks))
    mine = {event.thread: threading.get_native_id() for event in events if event.name.startswith(_HERE)}
    share = share_of_cores(looks, cpu, began_ns, ended_ns)
    doing = spans.doing(looks, offset, mine, elsewhere, share) if offset is not None else {}
    further = spans.further_ms()
    python_seconds, python_ms = python_time(events)
    return Trace(
        batches=batches,
        ops={key.removeprefix("at:"): dict(ops) for key, ops in spans.ops.items() if key.startswith("at:")},
        seconds=elapsed,
        python_seconds=python_seconds,
        python_ms=python_ms,
        work={
            key: TracedWork(
                ms=ms,
                computing=doing[key].computing if key in doing else None,
                waiting=doing[key].waiting if key in doing else None,
                intra_op_ms=further.get(key, 0.0),
                ops=dict(spans.ops.get(key, {})),
            )
            for key, ms in spans.milliseconds().items()
        },
        functions=[_with_dataset(function, marks) for function in sampled.functions()],
        sampled_seconds=sampled.ns / 1e9,
        lock_share=sampled.taken_ns / sampled.ns if sampled.ns else None,
        looks=len(looks),
        unattributed_ops=dict(spans.nobodys),
        calls=calls_by_iterator(events),
        elements=elements_by_iterator(events),
        cpu_seconds=cpu,
        model=(model.to_dict(), model_then.to_dict()) if model is not None and model_then is not None else None,
    )


def _tracer_level(version: str) -> int:
    """Return the lowest tracer level with ops and iterators: TensorFlow 2.18 has them at level 2, 2.21 at level 1."""
    return 1 if tuple(map(int, version.split(".")[:2])) >= (2, 21) else 2


def _with_dataset(function: TracedFunction, marks: Marks | None) -> TracedFunction:
    """Add the function's dataset; code that AutoGraph generated gets the place where the user's code was passed on."""
    place = marks.called.get(function.token) if marks is not None else None
    if is_generated(function.file or ""):
        function = replace(function, file=place.file if place else None, line=place.line if place else None)
    return replace(function, dataset=marks.dataset_with(function.token) if marks is not None else None)
