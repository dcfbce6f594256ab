"""Trace phase: a short traced stretch after the measurement, for the work inside the stages.

Three sources are combined: TensorFlow's own trace, the thread states sampled from outside (`thread_states`), and the
Python functions (`python_sampler`). Tracing slows a pipeline by 10 to 40 %, so only proportions are used. The ops of a
stage are identified by the name scope that the builder of a spec gave its function, or by what the functions of a graph
contain (`pipeprof.pipelines.graph.costs.op_owners`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.addresses import address_of
from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.opnames import plain_path
from pipeprof.pipelines.target.user_files import is_generated
from pipeprof.pipelines.wire import DamagedError
from pipeprof.profiles.protocol.messages import LONGEST_TRACE, Trace, TracedCalls, TracedFunction, TracedWork
from pipeprof.profiles.worker.trace.nesting import nest_events
from pipeprof.profiles.worker.trace.recording import HERE, NoTraceError, TracedStretch, record
from pipeprof.profiles.worker.trace.thread_states import share_of_cores
from pipeprof.profiles.worker.trace.work_by_key import Spans, elements_by_iterator
from pipeprof.profiles.xplane.xplane import NO_STEP, Events, join_events, read_events

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeprof.pipelines.graph.costs.op_owners import Marks
    from pipeprof.profiles.worker.steps.loop import Feed

    Integers = NDArray[np.int64]


ITERATOR: Final = "Iterator::"
BEGINS: Final = "InstantiatedCapturedFunction::Run"
GOES_ON: Final = f"{BEGINS}Async"
TURNS: Final = frozenset({"ExecutorState::Process", "ExecutorDoneCallback"})
_OP: Final = re.compile(r"^[^:]+:\w+$")


def calls_by_iterator(events: Events) -> dict[str, TracedCalls]:
    """Sum up calls by the path of the calling iterator, without the numbers of inner iterators."""
    paths = [*events.names, *(name.rpartition("::")[0] for name in events.names)]
    steps, path = find_callers(events)
    spent, begun = _sum_own_time(events, steps)
    calls, turns, begins = (
        np.bincount(path, weights=weights, minlength=len(paths)) for weights in (None, spent, begun)
    )
    found: dict[str, TracedCalls] = {}
    for index in np.flatnonzero(calls):
        name = plain_path(paths[index])
        before = found.get(name, TracedCalls(0, 0.0))
        found[name] = TracedCalls(
            before.calls + int(calls[index]), before.ms + turns[index] / 1e9, before.begin_ms + begins[index] / 1e9
        )
    return found


def find_callers(events: Events) -> tuple[Integers, Integers]:
    """Return the numbers of the calls, sorted, and the name index of the calling iterator of each.

    An index from ``len(names)`` on stands for the iterator whose input has that name: a thread kept for calls first
    takes the elements from the input iterator.
    """
    chosen = np.flatnonzero(events.which(lambda name: name.startswith((ITERATOR, BEGINS))))
    name, thread, step = events.name[chosen], events.thread[chosen], events.step[chosen]
    iterates = events.which(lambda name: name.startswith(ITERATOR))[chosen]
    nested = nest_events(thread, events.start_ps[chosen], events.end_ps[chosen])
    inside = nested.find_nearest(iterates)
    # By thread and start: the latest iterator that is inside no other.
    order = nested.order
    outer = iterates & (inside < 0)
    last = np.maximum.accumulate(np.where(outer[order], np.arange(len(order)), -1)) if len(order) else order
    latest = np.empty(len(order), np.int64)
    latest[order] = np.where(last >= 0, order[last], -1)
    latest[(latest >= 0) & (thread[latest] != thread)] = -1
    caller = np.where(inside >= 0, name[inside], np.where(latest >= 0, name[latest] + len(events.names), -1))
    begins = ~iterates & (step != NO_STEP) & (caller >= 0)
    ordered = order[begins[order]][::-1]
    steps, first = np.unique(step[ordered], return_index=True)
    return steps, caller[ordered][first]


def _sum_own_time(events: Events, steps: Integers) -> tuple[Integers, Integers]:
    """Return the time of the executor and of beginning each call, in picoseconds; `steps` are sorted."""
    if not len(steps):
        return steps, steps
    turn = events.which(lambda name: name in TURNS)
    begin = events.which(lambda name: name.startswith(GOES_ON))
    chosen = np.flatnonzero(turn | events.which(lambda name: name.startswith((ITERATOR, BEGINS)) or _OP.match(name)))
    own = nest_events(events.thread[chosen], events.start_ps[chosen], events.end_ps[chosen]).self_time()
    step = events.step[chosen]
    place = np.minimum(np.searchsorted(steps, step), len(steps) - 1)
    right = steps[place] == step
    spent, begun = (
        np.bincount(place[part], weights=own[part], minlength=len(steps)).astype(np.int64)
        for part in (right & turn[chosen], right & begin[chosen])
    )
    return spent, begun


_PYTHON = re.compile(r":(?:Eager)?PyFunc(?:Stateless)?$")
_SCOPE = re.compile(r"^(?P<scope>(?:stages_\d+|source)(?:_stages_\d+|_source)*)/")


def python_time(events: Events) -> tuple[float, float]:
    """Return seconds in which at least one Python function ran, and milliseconds inside them over all threads."""
    calls = events.which(_PYTHON.search)
    if not calls.any():
        return 0.0, 0.0
    start, end = events.start_ps[calls], events.end_ps[calls]
    order = np.argsort(start, kind="stable")
    start, until = start[order], np.maximum.accumulate(end[order])
    first = np.maximum(start[1:], until[:-1])
    covered = int(until[0] - start[0]) + int(np.sum(until[1:] - first))
    return covered / 1e12, int(np.sum(end[order] - start)) / 1e9


def key_of(path: str, marks: Marks | None) -> str | None:
    """Return the key of the op at `path` (see `work_by_key`); None where its stage is unknown."""
    if match := _SCOPE.match(path):
        return f"at:{address_of(match['scope'])}"
    dataset = marks.dataset_of(path) if marks is not None else None
    return f"in:{dataset}" if dataset is not None else None


def _offset_ps(compared: Sequence[int], events: Events) -> int | None:
    """Return the offset from our clock to the trace's: the smallest, as a thread may lose its core between readings."""
    numbers = {f"{HERE}{number}": at for number, at in enumerate(compared)}
    found = [
        int(events.start_ps[events.name == index].min()) - numbers[name] * 1000
        for index, name in enumerate(events.names)
        if name in numbers
    ]
    return min(found, default=None)


class _Deadline:
    """Time limit of the trace; TensorFlow may take seconds to free an iterator that ends in it, which do not count."""

    def __init__(self, seconds: float, feed: Feed) -> None:
        self._feed = feed
        self._until = time.monotonic() + seconds - feed.paused_ns / 1e9

    def check(self) -> None:
        if time.monotonic() > self._until + self._feed.paused_ns / 1e9:
            raise NoTraceError(f"it took longer than {LONGEST_TRACE:g} s")


def traced_ops(
    feed: Feed, marks: Marks | None = None, room: int | None = None, fill_seconds: float | None = None
) -> Trace:
    """Take batches for a second under TensorFlow's profiler and both samplers, and read the trace.

    Args:
        marks: The ops of its functions by dataset; None where they are not known.
        room: Bytes that are left to the process; None for any number.
        fill_seconds: Seconds until the first batch of a dataset that ended and was restarted; else None.

    Returns:
        The trace; where there is none, one with nothing but a note.
    """
    check = _Deadline(LONGEST_TRACE, feed).check
    try:
        return read_stretch(record(feed, room, fill_seconds, check), marks, check)
    except NoTraceError as problem:
        return Trace(note=str(problem))
    except DamagedError:
        return Trace(note="TensorFlow's file is damaged")


def read_stretch(stretch: TracedStretch, marks: Marks | None, check: Callable[[], None] = lambda: None) -> Trace:
    """Read the events of a traced stretch and attribute them.

    Args:
        marks: The ops of its functions by dataset; None where they are not known.
        check: Called between steps; an exception ends the reading.

    Raises:
        NoTraceError: There are no events.
        DamagedError: A file is damaged.
    """
    events = join_events([read_events(data, check) for data in stretch.data])
    if not len(events):
        raise NoTraceError("TensorFlow recorded nothing")
    check()
    spans = Spans(events, lambda path: key_of(path, marks))
    check()
    calls = calls_by_iterator(events)
    check()
    offset = _offset_ps(stretch.compared, events)
    here = np.unique(events.thread[events.which(lambda name: name.startswith(HERE))])
    mine = {int(thread): stretch.thread for thread in here}
    looks = stretch.looks
    share = share_of_cores(looks, stretch.cpu_seconds, stretch.began_ns, stretch.ended_ns)
    doing = spans.doing(looks, offset, mine, stretch.elsewhere, share) if offset is not None else {}
    further = spans.further_ms()
    python_seconds, python_ms = python_time(events)
    sampled = stretch.python
    return Trace(
        batches=stretch.batches,
        ops={key.removeprefix("at:"): dict(ops) for key, ops in spans.ops.items() if key.startswith("at:")},
        seconds=stretch.seconds,
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
        calls=calls,
        elements=elements_by_iterator(events),
        cpu_seconds=stretch.cpu_seconds,
        model=stretch.model,
    )


def _with_dataset(function: TracedFunction, marks: Marks | None) -> TracedFunction:
    """Add the function's dataset; code that AutoGraph generated gets the place where the user's code was passed on."""
    place = marks.called.get(function.token) if marks is not None else None
    if is_generated(function.file or ""):
        function = replace(function, file=place.file if place else None, line=place.line if place else None)
    return replace(function, dataset=marks.dataset_with(function.token) if marks is not None else None)
