"""A trace of any format as columns: work of devices, events of the host, steps, and what is known to be missing."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.gaps.names import OF_PROGRAM, cause_of
from pipeprof.profiles.gaps.sentences import Reason, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Times = NDArray[np.int64]

KERNEL, COPY, SET = range(3)
"""Kinds of a device's work."""
NO_CORRELATION: Final = -1
LATEST_NS: Final = 1 << 62
"""What is later, or as long before the origin, is no time."""
MOST_EVENTS: Final = 10_000_000
"""Of the host, and of devices: they take 1.5 GB of memory."""
MOST_BAD: Final = 0.001
"""Share of events that cannot be read, or have no time, beyond which too much is missing."""


class TraceError(ProfileError):
    """A file is no trace that can be read (exit code 6)."""


@dataclass(frozen=True)
class DeviceWork:
    """What devices did, arrays of shape (events,); times are nanoseconds on the clock of the trace.

    Attributes:
        device: Index into `DeviceTrace.devices`.
        stream: Any number that is the same for events of one stream.
        correlation: The number that its launch on the host has, too; `NO_CORRELATION` without one.
    """

    device: Times
    stream: Times
    kind: Times
    begin: Times
    end: Times
    correlation: Times


@dataclass(frozen=True)
class HostEvents:
    """What threads of the host did, arrays of shape (events,), and the names and causes of their kinds.

    Attributes:
        names: Each once for a category; `kind` is an index into them, as `thread` into `DeviceTrace.threads`.
        causes: Of each name, an index into `names.CAUSES`, or `NOTHING`.
    """

    names: list[str]
    causes: Times
    kind: Times
    thread: Times
    begin: Times
    end: Times
    correlation: Times


@dataclass(frozen=True)
class Thread:
    """A thread of the host; `process` is any text that is the same for threads of one process."""

    process: str
    name: str
    main: bool = False


@dataclass(frozen=True)
class DeviceTrace:
    """All of one file.

    Attributes:
        origin: Its format, for people, as the names of `devices`, such as ``GPU 0``.
        steps: Begins and ends of the host's steps, shape (steps, 2), in order.
        own_steps: The same as a device itself has marked them, by its index.
        lost: Why the profiler may have lost events.
        hosts: How many the file names.
        partial_work: Events of devices may be missing, as the file is damaged where they are, or has too many.
        shows_program: It has more of the host than calls of the runtime.
    """

    origin: str
    devices: list[str]
    threads: list[Thread]
    work: DeviceWork
    host: HostEvents
    steps: Times
    own_steps: dict[int, Times] = field(default_factory=dict)
    damage: list[Reason] = field(default_factory=list)
    lost: list[Reason] = field(default_factory=list)
    hosts: int = 1
    partial_work: bool = False
    partial_host: bool = False
    shows_program: bool = True


class EventRows:
    """Columns of events; those that have no time, or are too many, are counted.

    Args:
        begin: Which of the columns is the begin in nanoseconds; the end is the next one.

    Attributes:
        lacking: Events that could not be read or have no time.
        left: Events beyond the most that are kept.
    """

    def __init__(self, width: int, begin: int) -> None:
        self._width, self._begin = width, begin
        self._rows = array("q")
        self._parts: list[tuple[Times, ...]] = [(np.zeros(0, np.int64),) * width]
        self._kept = 0
        self.backwards = self.lacking = self.left = 0

    @property
    def is_full(self) -> bool:
        """Whether no more events are kept."""
        return self._kept >= MOST_EVENTS

    def add_row(self, *row: int) -> None:
        """Add one event.

        Raises:
            OverflowError: A number has more than 64 bits.
        """
        self._rows.extend(array("q", row))

    def add(self, *columns: Times) -> None:
        """Add events."""
        begins, ends = columns[self._begin : self._begin + 2]
        right = (ends >= begins) & (begins > -LATEST_NS) & (ends < LATEST_NS)
        if not right.all():
            self.backwards += int((~right).sum())
            self.lacking += int((~right).sum())
            columns = tuple(column[right] for column in columns)
        count, room = len(columns[0]), max(0, MOST_EVENTS - self._kept)
        self.left += max(0, count - room)
        self._kept += min(count, room)
        self._parts.append(tuple(column[:room] for column in columns))

    def columns(self) -> list[Times]:
        """Return all events; none is added after that."""
        rows, self._rows = np.array(self._rows, np.int64), array("q")
        self.add(*rows.reshape(-1, self._width).T)
        parts, self._parts = self._parts, []
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def is_partial(self, least: int = 0) -> bool:
        """Whether too many are missing; at `least` so many may be, of however few."""
        return self.left > 0 or self.lacking > max(least, MOST_BAD * self._kept)


class TraceBuilder:
    """Collects the events of one file.

    Attributes:
        work: Columns in the order of `DeviceWork`.
        host: Kind, thread, begin, end and correlation.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.work, self.host = EventRows(6, begin=3), EventRows(5, begin=2)
        self.damage: list[Reason] = []
        self.lost: list[Reason] = []
        self.steps: list[tuple[int, int]] = []
        self.own_steps: dict[int, list[tuple[int, int]]] = {}
        self.partial_work = self.partial_host = False
        self.hosts = 1
        self._devices: dict[str, int] = {}
        self._threads: dict[object, int] = {}
        self._thread_rows: list[Thread] = []
        self._names: dict[tuple[str, str], int] = {}

    def device(self, name: str) -> int:
        """Return the index of a device."""
        return self._devices.setdefault(name, len(self._devices))

    def thread(self, key: object, process: str, name: str, *, main: bool = False) -> int:
        """Return the index of a thread; process and name count at its first use."""
        if key not in self._threads:
            self._threads[key] = len(self._thread_rows)
            self._thread_rows.append(Thread(process, name, main))
        return self._threads[key]

    def kind(self, name: str, category: str = "") -> int:
        """Return the index of a name in its category."""
        return self._names.setdefault((name, category), len(self._names))

    def trace(self) -> DeviceTrace:
        """Return the trace."""
        work, host = self.work.columns(), self.host.columns()
        if backwards := self.work.backwards + self.host.backwards:
            self.damage.insert(0, reason("events-backwards", backwards))
        for events, code in ((self.work, "devices-full"), (self.host, "host-full")):
            if events.left:
                self.damage.append(reason(code, MOST_EVENTS))
        steps = _in_order(self.steps)
        return DeviceTrace(
            origin=self.origin,
            devices=list(self._devices),
            threads=self._thread_rows,
            work=DeviceWork(*work),
            host=HostEvents(
                [name for name, _ in self._names],
                np.array([cause_of(name, category) for name, category in self._names], np.int64),
                *host,
            ),
            # Those of several hosts are not on one clock.
            steps=steps if self.hosts == 1 else steps[:0],
            own_steps={device: _in_order(found) for device, found in self.own_steps.items()},
            damage=self.damage,
            lost=self.lost,
            hosts=self.hosts,
            # One call that is not known is in one gap at most; work that is not known makes all idle time less.
            partial_work=self.partial_work or self.work.is_partial(),
            partial_host=self.partial_host or self.host.is_partial(least=1),
            shows_program=len(steps) > 0 or any(category in OF_PROGRAM for _, category in self._names),
        )


def _in_order(steps: list[tuple[int, int]]) -> Times:
    found = sorted({(begin, end) for begin, end in steps if -LATEST_NS < begin < end < LATEST_NS})
    return np.array(found, np.int64).reshape(-1, 2)
