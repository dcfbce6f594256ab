"""Traces of the workers of a tf.data service while this process takes batches from it.

TensorFlow's profiler client requests a trace of a window from the profiler server of each worker. The iterators show
which stage runs: an op belongs to the iterator that called the function it runs in, so that no graph is needed here.
"""

from __future__ import annotations

import contextlib
import re
import socket
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.opnames import plain_path
from pipeprof.pipelines.wire import DamagedError
from pipeprof.profiles.host.run_family import folder_prefix
from pipeprof.profiles.protocol.messages import Trace, TracedCalls, TracedWork
from pipeprof.profiles.protocol.services import WorkersTraced, WorkerTraced
from pipeprof.profiles.worker.serving.profiler import WorkerMark, cores_between, offset_ps, read_marks
from pipeprof.profiles.worker.trace import recording
from pipeprof.profiles.worker.trace.nesting import nest_events
from pipeprof.profiles.worker.trace.recording import (
    AT_LEAST,
    LONGEST_SECONDS,
    LOOK_SECONDS,
    MOST_BYTES,
    MOST_EVENTS,
    tracer_level,
)
from pipeprof.profiles.worker.trace.thread_states import ThreadReading, ThreadStates, share_of_cores
from pipeprof.profiles.worker.trace.trace import TURNS, calls_by_iterator, find_callers
from pipeprof.profiles.worker.trace.work_by_key import OP, Spans, elements_by_iterator
from pipeprof.profiles.xplane.xplane import NO_STEP, Events, count_events, join_events, read_events

if TYPE_CHECKING:
    from pipeprof.profiles.worker.steps.loop import Loop

CONNECT_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 6.0
"""For a trace to come after its window."""
ALIVE_SECONDS: Final = 1.0
"""Between two signs of life."""
MOST_SAMPLED: Final = 4
"""Workers of this machine whose threads are sampled; each takes a part of a core."""
_CALLED: Final = re.compile(r"^call_(\d+)/")
_NO_BATCH: Final = "it gave no batch while it was traced"


@dataclass(frozen=True)
class TracedServer:
    """The profiler server of a worker; `pid` is its process where that was started here."""

    traced_at: str
    pid: int | None = None


@dataclass
class _Window:
    """A window of one worker, requested in a thread: the request ends with the answer, which may never come."""

    worker: TracedServer
    seconds: float
    folder: str
    sampled: bool = False
    data: list[bytes] = field(default_factory=list)
    looks: list[ThreadReading] = field(default_factory=list)
    trace: Trace | None = None
    marks: list[WorkerMark] = field(default_factory=list)
    failed: str | None = None
    done: bool = False

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._request, name="pipeprof-worker-trace", daemon=True)
        thread.start()
        return thread

    def _request(self) -> None:
        import tensorflow as tf

        profiler = tf.profiler.experimental
        options = profiler.ProfilerOptions(
            host_tracer_level=tracer_level(tf.__version__), python_tracer_level=0, device_tracer_level=0
        )
        states = ThreadStates(self.worker.pid) if self.sampled and self.worker.pid is not None else None
        if states is not None:
            states.start()
        try:
            profiler.client.trace(
                f"grpc://{self.worker.traced_at}",
                self.folder,
                max(1, round(1e3 * self.seconds)),
                num_tracing_attempts=1,
                options=options,
            )
        except tf.errors.UnavailableError:
            self.failed = "it did nothing while it was traced, or its profiler server does not answer"
        except (tf.errors.OpError, RuntimeError) as error:
            self.failed = str(error).splitlines()[0][:300]
        finally:
            self.looks = states.stop() if states is not None else []
        if self.failed is None:
            self.data = _files(self.folder)
            if not self.data:
                self.failed = (
                    "it wrote its trace on its own machine: name a folder that both machines see (--trace-folder)"
                )
        self.done = True

    def read(self) -> None:
        """Read the trace that came; `failed` says why there is none."""
        try:
            events = join_events([read_events(data) for data in self.data]) if self.data else None
        except DamagedError:
            self.failed = "TensorFlow's file is damaged"
            return
        if events is None or not len(events):
            self.failed = self.failed or "TensorFlow recorded nothing"
            return
        self.marks = read_marks(events)
        self.trace = read_worker(events, self.marks, self.looks, self.seconds)


def trace_workers(
    workers: Sequence[TracedServer], loop: Loop, interval_seconds: float, folder: str | None = None
) -> WorkersTraced:
    """Take batches while the workers are traced, and read what they did for them.

    Args:
        interval_seconds: From one batch to the next, as it was measured.
        folder: Where workers of other machines write; None for a temporary one.
    """
    seconds = min(LONGEST_SECONDS, max(recording.SECONDS, AT_LEAST * len(workers) * interval_seconds))
    notes = {worker: None if _listens(worker.traced_at) else "nothing listens there" for worker in workers}
    live = [worker for worker in workers if notes[worker] is None]
    look = _record(live, loop, min(LOOK_SECONDS, seconds), folder, sampled=False)
    share = max((_share(window.data) for window in look), default=0.0) * seconds / min(LOOK_SECONDS, seconds)
    windows = _record(live, loop, seconds / max(1.0, share), folder, sampled=True)
    if seconds < LONGEST_SECONDS and any(window.trace is not None and not window.trace.batches for window in windows):
        # Where cores are short, a worker was perhaps busy with one batch all the time.
        share *= LONGEST_SECONDS / seconds
        again = _record(live, loop, LONGEST_SECONDS / max(1.0, share), folder, sampled=True)
        windows = again if _number_read(again) >= _number_read(windows) else windows
    found, traces = [], []
    for worker in workers:
        window = next((one for one in windows if one.worker is worker), None)
        trace = window.trace if window is not None else None
        if window is None or trace is None:
            said = notes[worker] or (window.failed if window is not None else None)
            found.append(WorkerTraced(worker.traced_at, note=said or "no trace came in time"))
            continue
        traces.append(trace)
        found.append(
            WorkerTraced(
                worker.traced_at,
                cores_between(window.marks),
                max((mark.rss_bytes for mark in window.marks), default=None) or None,
                None if trace.batches else _NO_BATCH,
            )
        )
    return WorkersTraced(found, merged(traces))


def _record(
    workers: Sequence[TracedServer], loop: Loop, seconds: float, shared: str | None, *, sampled: bool
) -> list[_Window]:
    """Trace all workers at once for some seconds, and take batches meanwhile."""
    with contextlib.ExitStack() as ending:
        windows = []
        for number, worker in enumerate(workers):
            folder = ending.enter_context(_folder(shared))
            windows.append(_Window(worker, seconds, folder, sampled=sampled and number < MOST_SAMPLED))
        threads = [window.start() for window in windows]
        end = time.monotonic() + seconds + ANSWER_SECONDS
        alive = time.monotonic() + ALIVE_SECONDS
        while any(thread.is_alive() for thread in threads) and time.monotonic() < end and not loop.stop():
            _take(loop)
            if time.monotonic() >= alive:
                loop.alive()
                alive += ALIVE_SECONDS
    windows = [window for window in windows if window.done]
    for window in windows if sampled else ():
        window.read()
    return windows


def _number_read(windows: Sequence[_Window]) -> int:
    return sum(window.trace is not None for window in windows)


def _take(loop: Loop) -> None:
    if loop.step is None:
        loop.feed.next()
        return
    loop.step.wait()
    loop.step.submit(loop.feed.next())


@contextlib.contextmanager
def _folder(shared: str | None) -> Iterator[str]:
    """A folder of its own for one trace, which is removed afterwards."""
    import tensorflow as tf

    if shared is None:
        with tempfile.TemporaryDirectory(prefix=folder_prefix(), ignore_cleanup_errors=True) as folder:
            yield folder
        return
    folder = f"{shared.rstrip('/')}/{folder_prefix()}{time.monotonic_ns()}-{threading.get_native_id()}"
    tf.io.gfile.makedirs(folder)
    try:
        yield folder
    finally:
        with contextlib.suppress(tf.errors.OpError, OSError):
            tf.io.gfile.rmtree(folder)


def _files(folder: str) -> list[bytes]:
    """The traces in a folder, which may be a path of an object store."""
    import tensorflow as tf

    found = []
    for place, _, names in tf.io.gfile.walk(folder):
        for name in sorted(names):
            if name.endswith(".xplane.pb"):
                with tf.io.gfile.GFile(f"{place}/{name}", "rb") as file:
                    found.append(file.read())
    return found


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS):
        return True
    return False


def _share(data: Sequence[bytes]) -> float:
    """Recorded events or bytes as a share of what a window may have."""
    try:
        return max(sum(map(count_events, data)) / MOST_EVENTS, sum(map(len, data)) / MOST_BYTES)
    except DamagedError:
        return 0.0


def read_worker(events: Events, marks: Sequence[WorkerMark], looks: Sequence[ThreadReading], seconds: float) -> Trace:
    """Attribute the events of one worker to the paths of its iterators.

    Args:
        marks: Of the worker; none where it makes none.
        looks: States of its threads; none of a worker on another machine.
        seconds: Length of the window.
    """
    named, paths = by_caller(events)
    spans = Spans(named, lambda path: _caller_of(path, paths))
    offset, cores = offset_ps(marks), cores_between(marks)
    doing: Mapping[str, Any] = {}
    if offset is not None and cores is not None and looks:
        begin, end = marks[0].at_ns, marks[-1].at_ns
        share = share_of_cores(looks, cores * (end - begin) / 1e9, begin, end)
        doing = spans.doing(looks, offset, share=share)
    further = spans.further_ms()
    elements = elements_by_iterator(events)
    work = {
        key: TracedWork(
            ms=ms,
            computing=doing[key].computing if key in doing else None,
            waiting=doing[key].waiting if key in doing else None,
            intra_op_ms=further.get(key, 0.0),
            ops=dict(spans.ops.get(key, {})),
        )
        for key, ms in spans.milliseconds().items()
    }
    return Trace(
        batches=sum(count for path, count in elements.items() if path.count("::") == _ROOT_PARTS),
        seconds=seconds,
        work=work,
        calls=calls_by_iterator(events),
        elements=elements,
        cpu_seconds=cores * seconds if cores is not None else None,
        looks=len(looks),
    )


_ROOT_PARTS: Final = 2
"""Separators in the path of an iterator that gives the elements which leave the worker: ``Iterator::Root::Batch``."""


def by_caller(events: Events) -> tuple[Events, list[str]]:
    """Put the number of a path before the name of each op that ran in a call of that iterator's functions.

    Two functions may have ops of one name; the executor's turn around an op has the number of its call,
    and the call is inside the iterator that made it.

    Returns:
        The events, and the paths.
    """
    steps, caller = find_callers(events)
    paths = [plain_path(path) for path in (*events.names, *(name.rpartition("::")[0] for name in events.names))]
    turns = events.which(lambda name: name in TURNS)
    ops = events.which(OP.match)
    chosen = np.flatnonzero(turns | ops)
    if not len(chosen) or not len(steps):
        return events, paths
    nested = nest_events(events.thread[chosen], events.start_ps[chosen], events.end_ps[chosen])
    around = nested.find_nearest(turns[chosen])
    step = np.where(around >= 0, events.step[chosen][np.maximum(around, 0)], NO_STEP)
    place = np.minimum(np.searchsorted(steps, step), len(steps) - 1)
    called = ops[chosen] & (steps[place] == step)
    of, path = chosen[called], caller[place[called]]
    pairs, index = np.unique(events.name[of] * len(paths) + path, return_inverse=True)
    names = [f"call_{pair % len(paths)}/{events.names[pair // len(paths)]}" for pair in pairs.tolist()]
    name = events.name.copy()
    name[of] = len(events.names) + index
    return replace(events, names=[*events.names, *names], name=name), paths


def _caller_of(path: str, paths: Sequence[str]) -> str | None:
    found = _CALLED.match(path)
    return f"it:{paths[int(found[1])]}" if found is not None else None


def merged(traces: Sequence[Trace]) -> Trace:
    """Add up the traces of several workers, each for the batches that it made."""
    work: dict[str, list[TracedWork]] = defaultdict(list)
    calls: dict[str, list[TracedCalls]] = defaultdict(list)
    elements: dict[str, int] = defaultdict(int)
    for trace in traces:
        for key, one in trace.work.items():
            work[key].append(one)
        for path, called in trace.calls.items():
            calls[path].append(called)
        for path, number in trace.elements.items():
            elements[path] += number
    known = [trace.cpu_seconds for trace in traces if trace.cpu_seconds is not None]
    return Trace(
        batches=sum(trace.batches for trace in traces),
        seconds=max((trace.seconds for trace in traces), default=0.0),
        work={key: _added(parts) for key, parts in work.items()},
        calls={
            path: TracedCalls(
                sum(one.calls for one in parts), sum(one.ms for one in parts), sum(one.begin_ms for one in parts)
            )
            for path, parts in calls.items()
        },
        elements=dict(elements),
        cpu_seconds=sum(known) if known and len(known) == len(traces) else None,
        looks=sum(trace.looks for trace in traces),
    )


def _added(parts: Sequence[TracedWork]) -> TracedWork:
    ops: dict[str, float] = defaultdict(float)
    for part in parts:
        for op, ms in part.ops.items():
            ops[op] += ms
    return TracedWork(
        ms=sum(part.ms for part in parts),
        computing=_weighted(parts, lambda part: part.computing),
        waiting=_weighted(parts, lambda part: part.waiting),
        intra_op_ms=sum(part.intra_op_ms for part in parts),
        ops=dict(ops),
    )


def _weighted(parts: Sequence[TracedWork], share: Callable[[TracedWork], float | None]) -> float | None:
    """A share of the time, over the workers with a known one."""
    known = [(part.ms, value) for part in parts if (value := share(part)) is not None]
    total = sum(ms for ms, _ in known)
    return sum(ms * value for ms, value in known) / total if total > 0 else None
