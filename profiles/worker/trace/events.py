"""Events of a trace as calls on a stack, with numpy: what is inside what, calls of functions, and elements."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.graph.opnames import plain_path
from pipeprof.profiles.protocol.messages import TracedCalls
from pipeprof.profiles.xplane.xplane import NO_STEP, Events

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]


ITERATOR: Final = "Iterator::"
BEGINS: Final = "InstantiatedCapturedFunction::Run"
TURNS: Final = frozenset({"ExecutorState::Process", "ExecutorDoneCallback"})
_OP: Final = re.compile(r"^[^:]+:\w+$")
_PYTHON = re.compile(r":(?:Eager)?PyFunc(?:Stateless)?$")


def calls_by_iterator(events: Events) -> dict[str, TracedCalls]:
    """Sum up calls by the path of the calling iterator, without the numbers of inner iterators."""
    paths = [*events.names, *(name.rpartition("::")[0] for name in events.names)]
    steps, path = find_callers(events)
    calls = np.bincount(path, minlength=len(paths))
    turns = np.bincount(path, weights=_sum_own_time(events, steps), minlength=len(paths))
    found: dict[str, TracedCalls] = {}
    for index in np.flatnonzero(calls):
        name = plain_path(paths[index])
        before = found.get(name, TracedCalls(0, 0.0))
        found[name] = TracedCalls(before.calls + int(calls[index]), before.ms + turns[index] / 1e9)
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


def _sum_own_time(events: Events, steps: Integers) -> Integers:
    """Return the time of the executor for each call, in picoseconds; `steps` are sorted."""
    if not len(steps):
        return steps
    turn = events.which(lambda name: name in TURNS)
    chosen = np.flatnonzero(turn | events.which(lambda name: name.startswith((ITERATOR, BEGINS)) or _OP.match(name)))
    own = nest_events(events.thread[chosen], events.start_ps[chosen], events.end_ps[chosen]).self_time()
    step = events.step[chosen]
    place = np.minimum(np.searchsorted(steps, step), len(steps) - 1)
    part = (steps[place] == step) & turn[chosen]
    return np.bincount(place[part], weights=own[part], minlength=len(steps)).astype(np.int64)


def python_seconds(events: Events) -> float:
    """Return the seconds in which at least one Python function ran."""
    calls = events.which(_PYTHON.search)
    if not calls.any():
        return 0.0
    start, end = events.start_ps[calls], events.end_ps[calls]
    order = np.argsort(start, kind="stable")
    start, until = start[order], np.maximum.accumulate(end[order])
    first = np.maximum(start[1:], until[:-1])
    covered = int(until[0] - start[0]) + int(np.sum(until[1:] - first))
    return covered / 1e12


@dataclass(frozen=True)
class Nest:
    """Nesting of events; a span is a time between two starts or ends of events on a thread, with an event around it.

    Attributes:
        order: Indices of the events by thread and start; of events with the same start, the longest first.
        parent: The innermost event around each event; -1 for none.
    """

    order: Integers
    parent: Integers
    owner: Integers
    begin: Integers
    end: Integers

    def self_time(self) -> Integers:
        """Return the time of each event without the events inside it."""
        # Sums of whole picoseconds are exact in floating point, up to some hours.
        spent = np.bincount(self.owner, weights=self.end - self.begin, minlength=len(self.order))
        return spent.astype(np.int64)

    def find_nearest(self, wanted: Flags) -> Integers:
        """Return the innermost wanted event around each event; -1 for none."""
        found = self.parent
        while True:
            other = (found >= 0) & ~wanted[found]
            if not other.any():
                return found
            found = np.where(other, self.parent[found], found)


def nest_events(thread: Integers, start: Integers, end: Integers) -> Nest:
    """Nest events.

    An event that a later one outlasts is cut at its start: events of TensorFlow's executor overlap by 0.1 µs.
    """
    many = len(start)
    shift = _find_shifts(thread, start, end)
    start, end = start + shift, end + shift
    order = np.lexsort((-end, start))
    end[order] = _cut_overlaps(start[order], end[order])
    place = np.empty(many, np.int64)
    place[order] = np.arange(many)
    events = np.concatenate((np.arange(many), np.arange(many)))
    opens = np.arange(2 * many) < many
    # At the same time, ends come before starts, but an event of zero length ends after its start.
    turn = np.where(opens, 2 * place[events], np.where((end == start)[events], 2 * place[events] + 1, -1))
    times = np.concatenate((start, end))
    sweep = np.lexsort((turn, times))
    events, opens, times = events[sweep], opens[sweep], times[sweep]
    inside = _find_innermost(events, opens, np.cumsum(np.where(opens, 1, -1)))
    before = np.concatenate((np.full(1, -1), inside[:-1]))[: 2 * many]
    parent = np.empty(many, np.int64)
    parent[events[opens]] = before[opens]
    following = np.append(times[1:], times[-1:])
    real = (inside >= 0) & (following > times)
    owner = inside[real]
    return Nest(order, parent, owner, times[real] - shift[owner], following[real] - shift[owner])


def _find_shifts(thread: Integers, start: Integers, end: Integers) -> Integers:
    """Return what to add to the times of each event so that the threads follow one another."""
    _, rank = np.unique(thread, return_inverse=True)
    length = int(end.max() - start.min()) + 1 if len(start) else 0
    return rank.astype(np.int64) * length


def _cut_overlaps(start: Integers, end: Integers) -> Integers:
    """Return the ends of sorted events, cut where a later event begins that outlasts them."""
    first = np.arange(1, len(start) + 1)
    # Events that begin before an event ends.
    past = np.searchsorted(start, end)
    around = np.flatnonzero(past > first)
    first, past = first[around], past[around]
    outlasted = _find_largest(end, first, past) > end[around]
    around, first, past = around[outlasted], first[outlasted], past[outlasted]
    while (past - first > 1).any():
        middle = np.maximum((first + past) // 2, first + 1)
        left = _find_largest(end, first, middle) > end[around]
        first, past = np.where(left, first, np.minimum(middle, past - 1)), np.where(left, middle, past)
    cut = end.copy()
    cut[around] = start[first]
    return cut


def _find_largest(values: Integers, first: Integers, past: Integers) -> Integers:
    """Return the largest value in each range of indices."""
    pairs = np.stack((first, past), axis=1).ravel()
    padded = np.append(values, values[-1:])
    return np.maximum.reduceat(padded, pairs)[::2] if len(pairs) else pairs


def _find_innermost(events: Integers, opens: Flags, depth: Integers) -> Integers:
    """Return the innermost open event after each start and end; -1 for none.

    At a given depth it is the latest event that started at this depth.
    """
    by_depth = np.argsort(depth, kind="stable")
    opened = np.where(opens[by_depth], np.arange(len(by_depth)), 0)
    latest = np.maximum.accumulate(opened) if len(opened) else opened
    inside = np.empty(len(events), np.int64)
    inside[by_depth] = events[by_depth][latest]
    inside[depth <= 0] = -1
    return inside


def elements_by_iterator(events: Events) -> dict[str, int]:
    """Count the ``GetNext`` calls of each iterator, by its path without the numbers of inner iterators."""
    counts = np.bincount(events.name, minlength=len(events.names))
    found: dict[str, int] = defaultdict(int)
    for name, number in zip(events.names, counts, strict=True):
        if number and name.startswith(ITERATOR):
            found[plain_path(name)] += int(number)
    return dict(found)
