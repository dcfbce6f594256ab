"""Whose the time of gaps is: what the host did from a gap's begin until it launched the device's next work.

The time of a gap is divided, not its beginning: at the beginning the host is often still inside of the wait for the
step before. The launching thread counts first; where it has nothing to do, or only waits, the main thread of its
process; then any thread inside of an input call or a compilation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

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


@dataclass(frozen=True)
class Parts:
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
        """Input calls and compilations of all threads."""
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
        """Divide the time of gaps.

        Args:
            begin: Of each gap, in nanoseconds, as `end`.
            launch: Index of the host's event that launched the work after the gap; -1 without one.
        """
        host = self._trace.host
        number = np.arange(len(begin))
        known = launch >= 0
        at = np.maximum(launch, 0)
        asked = np.where(known, host.begin[at], end) if len(host.begin) else end
        done = np.where(known, np.maximum(host.end[at], asked), end) if len(host.begin) else end
        main = np.array([self._main_of(one) for one in range(len(self._trace.threads))] or [NO_THREAD])
        thread = np.where(known, host.thread[at], self._main) if len(host.begin) else np.full(len(begin), NO_THREAD)
        asked, done = np.clip(asked, begin, end), np.clip(done, begin, end)
        rows = [self._host_time(number, begin, asked, thread, main)]
        cause = np.where(self._cause[at] == COPY, COPY, LAUNCH) if len(host.begin) else np.full(len(begin), LAUNCH)
        rows.append((number, asked, done, cause, thread))
        late = end - np.where(known, host.end[at] if len(host.begin) else end, end) > WAITED_NS
        rows.append((number, done, end, np.where(late, DEVICE_WAIT, LAUNCH), np.full(len(begin), NO_THREAD)))
        columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
        some = columns[2] > columns[1]
        return Parts(*(column[some] for column in columns))

    def _main_of(self, thread: int) -> int:
        return self.main_threads.get(self._trace.threads[thread].process, self._main)

    def _host_time(
        self, gap: Times, begin: Times, end: Times, thread: Times, main: Times
    ) -> tuple[Times, Times, Times, Times, Times]:
        rows = []
        for one in np.unique(thread):
            mine = np.flatnonzero((thread == one) & (end > begin))
            if not len(mine):
                continue
            rows.append(self._of_one(gap[mine], begin[mine], end[mine], int(one), int(main[one]) if one >= 0 else -1))
        none = np.zeros(0, np.int64)
        if not rows:
            return (none,) * 5
        gaps, begins, ends, causes, threads = (np.concatenate(column) for column in zip(*rows, strict=True))
        return gaps, begins, ends, causes, threads

    def _of_one(
        self, gap: Times, begin: Times, end: Times, thread: int, main: int
    ) -> tuple[Times, Times, Times, Times, Times]:
        """Divide times for which one thread was to launch work."""
        cause = np.full(len(gap), NOTHING)
        seen = np.full(len(gap), NO_THREAD)
        columns = (gap, begin, end, cause, seen)
        if thread >= 0:
            columns = _relabel(columns, self._timeline(thread), thread, everything=True)
        if main >= 0 and main != thread:
            columns = _relabel(columns, self._timeline(main), main)
        columns = _relabel(columns, self._inputs, NO_THREAD)
        gap, begin, end, cause, seen = columns
        idle = main if main >= 0 else thread
        rest = PYTHON if idle >= 0 and self.knows_python(idle) else UNKNOWN
        cause = np.where(cause == NOTHING, rest, np.where(cause == TURN, OP, cause))
        return gap, begin, end, cause, seen


def _relabel(
    columns: tuple[Times, Times, Times, Times, Times], timeline: _Timeline, thread: int, *, everything: bool = False
) -> tuple[Times, Times, Times, Times, Times]:
    """Give parts without a cause the one of another timeline, and parts of mere waiting that of input and compilation.

    Args:
        everything: All parts get the timeline's label.
    """
    gap, begin, end, cause, seen = columns
    open_ = np.isin(cause, (NOTHING, SYNC, TURN)) | everything
    owner, new_begin, new_end, label = timeline.split(begin[open_], end[open_])
    old_cause, old_seen = cause[open_][owner], seen[open_][owner]
    takes = (label != NOTHING) & ((old_cause == NOTHING) | (label == PIPELINE) | (label == COMPILE))
    new = (gap[open_][owner], new_begin, new_end, np.where(takes, label, old_cause), np.where(takes, thread, old_seen))
    kept = (gap[~open_], begin[~open_], end[~open_], cause[~open_], seen[~open_])
    return tuple(np.concatenate(pair) for pair in zip(kept, new, strict=True))  # type: ignore[return-value]
