"""Nesting of events on threads, as of calls on a stack, with numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Nest:
    """Nesting of events; a span is a time between two starts or ends of events on a thread, with an event around it.

    Attributes:
        order: Indices of the events by thread and start; of events with the same start, the longest first.
        parent: The innermost event around each event; -1 for none.
        begin: Starts of the spans, by thread and time.
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
