"""Overhead of calling a stage's functions, without their ops: scheduling them in the executor, and the call's end.

TensorFlow's model counts the ops of a function, not the executor that runs them; most tiny ops are in no trace either.
Where an iterator has a thread for calls, the model counts what this thread takes to begin them, too.
The trace numbers each call: the event that begins it is inside the calling iterator, or on the thread that this
iterator keeps for calls, and the executor's events carry the same number.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.graph.opnames import plain_path
from pipeprof.profiles.protocol.messages import TracedCalls
from pipeprof.profiles.worker.trace.nesting import nest_events
from pipeprof.profiles.worker.trace.xplane import NO_STEP, Events

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

ITERATOR: Final = "Iterator::"
BEGINS: Final = "InstantiatedCapturedFunction::Run"
GOES_ON: Final = f"{BEGINS}Async"
TURNS: Final = frozenset({"ExecutorState::Process", "ExecutorDoneCallback"})
_OP: Final = re.compile(r"^[^:]+:\w+$")


def calls_by_iterator(events: Events) -> dict[str, TracedCalls]:
    """Sum up calls by the path of the calling iterator, without the numbers of inner iterators."""
    paths = [*events.names, *(name.rpartition("::")[0] for name in events.names)]
    steps, path = _find_callers(events)
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


def _find_callers(events: Events) -> tuple[Integers, Integers]:
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
