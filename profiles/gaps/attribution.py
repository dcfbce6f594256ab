"""Whose the time of gaps is: what the host did from a gap's begin until it launched the device's next work.

The time of a gap is divided, not its beginning: at the beginning the host is often still inside of the wait for the
step before. The launching thread counts first; where it has nothing to do, or only waits, the main thread of its
process; then any thread inside of an input call or a compilation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from pipeprof.profiles.gaps.intervals import covers, distinct, union
from pipeprof.profiles.gaps.names import (
    COMPILE,
    COPY,
    DEVICE_WAIT,
    LAUNCH,
    NOTHING,
    OP,
    PIPELINE,
    PYTHON,
    SYNC,
    TURN,
    UNKNOWN,
)
from pipeprof.profiles.gaps.trace import NO_CORRELATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipeprof.profiles.gaps.trace import DeviceTrace

    Times = NDArray[np.int64]

WAITED_NS: Final = 100_000
"""Time after a launch beyond which a device's work waits for something else than its launch: on 19 public traces a
kernel begins 4 to 12 µs after its launch where nothing holds it."""
NO_THREAD: Final = -1


class Parts(NamedTuple):
    """Parts of gaps, arrays of shape (parts,), in no order.

    Attributes:
        gap: Index of the gap.
        cause: Index into `names.CAUSES`.
        thread: On which the cause was seen; `NO_THREAD` where no thread shows it.
    """

    gap: Times
    begin: Times
    end: Times
    cause: Times
    thread: Times

    def where(self, which: NDArray[np.bool_]) -> Parts:
        """Some of them."""
        return Parts(*(column[which] for column in self))


@dataclass(frozen=True)
class _Timeline:
    """What one thread, or several, did: `label[i]` from `cut[i]` until `cut[i + 1]`."""

    cut: Times
    label: Times

    @classmethod
    def of(cls, cause: Times, begin: Times, end: Times) -> _Timeline:
        """Of several things at a time the first in the order of causes counts."""
        some = (cause != NOTHING) & (end > begin)
        cause, begin, end = cause[some], begin[some], end[some]
        cut = distinct(np.concatenate((begin, end)))
        label = np.full(len(cut), NOTHING)
        for one in np.unique(cause)[::-1]:
            which = cause == one
            label[covers(*union(begin[which], end[which]), cut)] = one
        # Neighbours of one cause are one: a thread with 10⁵ events has few changes where it matters.
        if len(cut):
            new = np.concatenate(([True], label[1:] != label[:-1]))
            cut, label = cut[new], label[new]
        return cls(cut, label)

    def split(self, begin: Times, end: Times) -> tuple[Times, Times, Times, Times]:
        """Return the parts of intervals: index of the interval, begin, end, label."""
        first = np.searchsorted(self.cut, begin, side="right") - 1
        last = np.maximum(np.searchsorted(self.cut, end, side="left") - 1, first)
        count = last - first + 1
        owner = np.repeat(np.arange(len(begin)), count)
        index = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + first[owner]
        cut = np.concatenate(([np.iinfo(np.int64).min], self.cut, [np.iinfo(np.int64).max]))
        label = np.concatenate(([NOTHING], self.label))
        part_begin = np.maximum(cut[index + 1], begin[owner])
        part_end = np.minimum(cut[index + 2], end[owner])
        some = part_end > part_begin
        return owner[some], part_begin[some], part_end[some], label[index + 1][some]


class Attribution:
    """The causes of idle time in one trace."""

    def __init__(self, trace: DeviceTrace) -> None:
        self._trace = trace
        self._timelines: dict[int, _Timeline] = {}
        host = trace.host
        self._cause = host.causes[host.kind] if len(host.kind) else host.kind
        order = np.argsort(host.thread, kind="stable")
        bounds = np.searchsorted(host.thread[order], np.arange(len(trace.threads) + 1))
        self._of_thread = [order[bounds[one] : bounds[one + 1]] for one in range(len(trace.threads))]

    def events_of(self, thread: int) -> Times:
        """Return the indices of a thread's events."""
        return self._of_thread[thread]

    def _timeline(self, thread: int) -> _Timeline:
        found = self._timelines.get(thread)
        if found is None:
            which = self._of_thread[thread]
            host = self._trace.host
            found = _Timeline.of(self._cause[which], host.begin[which], host.end[which])
            self._timelines[thread] = found
        return found

    @cached_property
    def _inputs(self) -> _Timeline:
        host = self._trace.host
        which = (self._cause == PIPELINE) | (self._cause == COMPILE)
        return _Timeline.of(self._cause[which], host.begin[which], host.end[which])

    @cached_property
    def main_threads(self) -> dict[str, int]:
        """The main thread of each process, by the process."""
        trace = self._trace
        found: dict[str, tuple[tuple[bool, int], int]] = {}
        for number, thread in enumerate(trace.threads):
            which = self._of_thread[number]
            if not len(which):
                continue
            ops = int(np.isin(self._cause[which], (OP, PYTHON, PIPELINE)).sum())
            rank = (thread.main, ops)
            if thread.process not in found or rank > found[thread.process][0]:
                found[thread.process] = (rank, number)
        return {process: number for process, (_, number) in found.items()}

    @cached_property
    def _main(self) -> int:
        """The main thread of all: that of the process with the most events."""
        mains = self.main_threads.values()
        return max(mains, key=lambda number: len(self._of_thread[number]), default=NO_THREAD)

    def knows_python(self, thread: int) -> bool:
        """Whether a thread that does nothing else runs Python, as far as the trace records what a program does."""
        one = self._trace.threads[thread]
        return self._trace.shows_program and (one.main or not self._trace.origin.startswith("XPlane"))

    @cached_property
    def _launches(self) -> tuple[Times, Times]:
        """Return correlations of the host's events, sorted, and the events' indices; the first event of each."""
        host = self._trace.host
        which = np.flatnonzero(host.correlation != NO_CORRELATION)
        order = which[np.lexsort((host.begin[which], host.correlation[which]))]
        keys = host.correlation[order]
        first = np.concatenate(([True], keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.bool_)
        return keys[first], order[first]

    def launches_of(self, correlation: Times) -> Times:
        """Return the index of the host's event that launched work; -1 where the trace has none."""
        keys, events = self._launches
        if not len(keys):
            return np.full(len(correlation), -1)
        at = np.minimum(np.searchsorted(keys, correlation), len(keys) - 1)
        return np.where((keys[at] == correlation) & (correlation != NO_CORRELATION), events[at], -1)

    def divide(self, begin: Times, end: Times, launch: Times) -> Parts:
        """Divide the time of gaps, in nanoseconds.

        Args:
            launch: Index of the host's event that launched the work after the gap; -1 without one.
        """
        host = self._trace.host
        gap, nowhere = np.arange(len(begin)), np.full(len(begin), NO_THREAD)
        # Without a launch all of the gap is the main thread's.
        asked, done, cause = end.copy(), end.copy(), np.full(len(begin), LAUNCH)
        thread = np.full(len(begin), self._main)
        known = launch >= 0
        which = launch[known]
        asked[known], done[known], thread[known] = host.begin[which], host.end[which], host.thread[which]
        cause[known] = np.where(self._cause[which] == COPY, COPY, LAUNCH)
        waited = np.where(end - done > WAITED_NS, DEVICE_WAIT, LAUNCH)
        asked, done = np.clip(asked, begin, end), np.clip(done, begin, end)
        parts = _join(
            self._before_launch(Parts(gap, begin, asked, np.full(len(begin), NOTHING), thread)),
            Parts(gap, asked, done, cause, thread),
            Parts(gap, done, end, waited, nowhere),
        )
        return parts.where(parts.end > parts.begin)

    def _before_launch(self, parts: Parts) -> Parts:
        parts = parts.where(parts.end > parts.begin)
        if not len(parts.gap):
            return parts
        threads = np.unique(parts.thread)
        return _join(*(self._of_launcher(parts.where(parts.thread == one), int(one)) for one in threads))

    def _of_launcher(self, parts: Parts, thread: int) -> Parts:
        main = NO_THREAD
        if thread != NO_THREAD:
            main = self.main_threads.get(self._trace.threads[thread].process, self._main)
        parts = parts._replace(thread=np.full(len(parts.gap), NO_THREAD))
        for one in dict.fromkeys((thread, main)):
            parts = _relabel(parts, self._timeline(one), one) if one != NO_THREAD else parts
        parts = _relabel(parts, self._inputs, NO_THREAD)
        rest = PYTHON if main != NO_THREAD and self.knows_python(main) else UNKNOWN
        cause = np.where(parts.cause == NOTHING, rest, np.where(parts.cause == TURN, OP, parts.cause))
        return parts._replace(cause=cause)


def _join(*several: Parts) -> Parts:
    return Parts(*(np.concatenate(columns) for columns in zip(*several, strict=True)))


def _relabel(parts: Parts, timeline: _Timeline, thread: int) -> Parts:
    """Give parts without a cause the one of a timeline, and parts of mere waiting that of input and compilation."""
    waits = np.isin(parts.cause, (NOTHING, SYNC, TURN))
    mine = parts.where(waits)
    owner, begin, end, label = timeline.split(mine.begin, mine.end)
    gap, cause, seen = mine.gap[owner], mine.cause[owner], mine.thread[owner]
    takes = (label != NOTHING) & ((cause == NOTHING) | (label == PIPELINE) | (label == COMPILE))
    new = Parts(gap, begin, end, np.where(takes, label, cause), np.where(takes, thread, seen))
    return _join(parts.where(~waits), new)
