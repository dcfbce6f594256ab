"""A trace of any format as columns: work of devices, events of the host, steps, and what is known to be missing."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.gaps.names import OF_PROGRAM, cause_of

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
    """What devices did, arrays of shape (events,).

    Attributes:
        device: Index into `DeviceTrace.devices`.
        stream: Any number that is the same for events of one stream.
        begin: Nanoseconds, as `end`, on the clock of the trace.
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
        names: Each once for a category.
        causes: Of each name, an index into `names.CAUSES`, or `NOTHING`.
        kind: Index into `names`.
        thread: Index into `DeviceTrace.threads`.
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
    """A thread of the host.

    Attributes:
        process: Any text that is the same for threads of one process.
    """

    process: str
    name: str
    main: bool = False


@dataclass(frozen=True)
class DeviceTrace:
    """All of one file.

    Attributes:
        origin: Its format, for people.
        devices: Names for people, such as ``GPU 0``.
        steps: Begins and ends of the host's steps, shape (steps, 2), in order.
        own_steps: The same as a device itself has marked them, by its index.
        damage: Sentences on what could not be read.
        lost: Sentences on what the profiler itself says that it lost.
        hosts: How many the file names.
        partial_work: Events of devices may be missing, as the file is damaged where they are, or has too many.
        partial_host: The same of the host.
        shows_program: It has more of the host than calls of the runtime.
    """

    origin: str
    devices: list[str]
    threads: list[Thread]
    work: DeviceWork
    host: HostEvents
    steps: Times
    own_steps: dict[int, Times] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    hosts: int = 1
    partial_work: bool = False
    partial_host: bool = False
    shows_program: bool = True


class TraceBuilder:
    """Collects the events of one file, one by one or in arrays.

    Args:
        origin: As in `DeviceTrace`.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.damage: list[str] = []
        self.lost: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.own_steps: dict[int, list[tuple[int, int]]] = {}
        self.partial_work = self.partial_host = False
        self.hosts = 1
        self._backwards = 0
        self._kept = {"work": 0, "host": 0}
        self._left = {"work": 0, "host": 0}
        self._lacking = {"work": 0, "host": 0}
        self._devices: dict[str, int] = {}
        self._threads: dict[object, int] = {}
        self._thread_rows: list[Thread] = []
        self._names: dict[tuple[str, str], int] = {}
        self._work: list[tuple[Times, ...]] = []
        self._host: list[tuple[Times, ...]] = []
        self._work_rows = tuple(array("q") for _ in range(6))
        self._host_rows = tuple(array("q") for _ in range(5))

    def device(self, name: str) -> int:
        """Return the index of a device."""
        return self._devices.setdefault(name, len(self._devices))

    def thread(self, key: object, process: str, name: str, *, main: bool = False) -> int:
        """Return the index of a thread; process and name count at its first use."""
        found = self._threads.get(key)
        if found is None:
            found = self._threads[key] = len(self._thread_rows)
            self._thread_rows.append(Thread(process, name, main))
        return found

    def kind(self, name: str, category: str = "") -> int:
        """Return the index of a name in its category."""
        key = (name, category)
        found = self._names.get(key)
        if found is None:
            found = self._names[key] = len(self._names)
        return found

    def add_work(self, *row: int) -> None:
        """Add an event of a device: device, stream, kind, begin, end, correlation; times in nanoseconds.

        Raises:
            OverflowError: A number has more than 64 bits.
        """
        _, _, _, begin, end, _ = row
        if not self._counts("work", begin, end):
            return
        # Numbers of more than 64 bits raise before any column has them.
        for column, value in zip(self._work_rows, array("q", row), strict=True):
            column.append(value)

    def add_host(self, *row: int) -> None:
        """Add an event of the host: kind, thread, begin, end, correlation; times in nanoseconds.

        Raises:
            OverflowError: A number has more than 64 bits.
        """
        _, _, begin, end, _ = row
        if not self._counts("host", begin, end):
            return
        for column, value in zip(self._host_rows, array("q", row), strict=True):
            column.append(value)

    def _counts(self, whose: str, begin: int, end: int) -> bool:
        """Whether an event is kept."""
        if not (abs(begin) < LATEST_NS and begin <= end < LATEST_NS):
            self._backwards += 1
            self.lack(whose, 1)
        elif self.is_full(whose):
            self._left[whose] += 1
        else:
            self._kept[whose] += 1
            return True
        return False

    def is_full(self, whose: str) -> bool:
        """Whether no more events are kept.

        Args:
            whose: ``work`` or ``host``.
        """
        return self._kept[whose] >= MOST_EVENTS

    def lack(self, whose: str, count: int) -> None:
        """Note that some events could not be read."""
        self._lacking[whose] += count

    def leave(self, whose: str) -> None:
        """Note that events which are not read, as there are too many, are left out."""
        self._left[whose] += 1

    def add_work_arrays(self, *columns: Times) -> None:
        """Add events of devices, columns in the order of `add_work`."""
        self._work.append(self._counted("work", columns, 3))

    def add_host_arrays(self, *columns: Times) -> None:
        """Add events of the host, columns in the order of `add_host`."""
        self._host.append(self._counted("host", columns, 2))

    def _counted(self, whose: str, columns: tuple[Times, ...], begin: int) -> tuple[Times, ...]:
        begins, ends = columns[begin], columns[begin + 1]
        right = (ends >= begins) & (begins > -LATEST_NS) & (ends < LATEST_NS)
        if not right.all():
            self._backwards += int((~right).sum())
            self.lack(whose, int((~right).sum()))
            columns = tuple(column[right] for column in columns)
        room = max(0, MOST_EVENTS - self._kept[whose])
        count = len(columns[0])
        self._kept[whose] += min(count, room)
        self._left[whose] += max(0, count - room)
        return columns if count <= room else tuple(column[:room] for column in columns)

    def _judge_missing(self) -> None:
        """Note what was left out, and whether it is too much."""
        if self._backwards:
            ends = "1 event ends before it begins or has no time"
            if self._backwards > 1:
                ends = f"{self._backwards:,} events end before they begin or have no time"
            self.damage.insert(0, f"{ends}: left out")
        # One call that is not known is in one gap at most; work that is not known makes all idle time less.
        lacking, kept = self._lacking, self._kept
        self.partial_work |= self._left["work"] > 0 or lacking["work"] > MOST_BAD * kept["work"]
        self.partial_host |= self._left["host"] > 0 or lacking["host"] > max(1, MOST_BAD * kept["host"])
        for whose, name in (("work", "devices"), ("host", "the host")):
            if self._left[whose]:
                self.damage.append(f"the file has more than {MOST_EVENTS:,} events of {name}: the others are not read")

    def trace(self) -> DeviceTrace:
        """Return the trace."""
        self._judge_missing()
        work = [np.concatenate(parts) for parts in zip(_rows(self._work_rows), *self._work, strict=True)]
        self._work = []
        host = [np.concatenate(parts) for parts in zip(_rows(self._host_rows), *self._host, strict=True)]
        self._host = []
        causes = np.array([cause_of(name, category) for name, category in self._names], np.int64)
        steps = _in_order(self.steps)
        return DeviceTrace(
            origin=self.origin,
            devices=list(self._devices),
            threads=self._thread_rows,
            work=DeviceWork(*work),
            host=HostEvents([name for name, _ in self._names], causes, *host),
            # Those of several hosts are not on one clock.
            steps=steps if self.hosts == 1 else steps[:0],
            own_steps={device: _in_order(found) for device, found in self.own_steps.items()},
            damage=self.damage,
            lost=self.lost,
            hosts=self.hosts,
            partial_work=self.partial_work,
            partial_host=self.partial_host,
            shows_program=len(steps) > 0 or any(category in OF_PROGRAM for _, category in self._names),
        )


def _in_order(steps: list[tuple[int, int]]) -> Times:
    found = sorted({(begin, end) for begin, end in steps if -LATEST_NS < begin < end < LATEST_NS})
    return np.array(found, np.int64).reshape(-1, 2)


def _rows(columns: tuple[array[int], ...]) -> tuple[Times, ...]:
    return tuple(np.array(column, np.int64) for column in columns)
