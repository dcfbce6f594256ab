"""Reader of TensorFlow's trace file (XPlane), the one exception to public API, into one array per property of events.

The messages are those of ``xplane.proto``; only the fields' numbers matter, so a moved Python import cannot break a
profile. Times in the file are picoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.wire import Field, read_fields
from pipeprof.profiles.xplane.planes import read_plane
from pipeprof.profiles.xplane.wire import AT_ONCE, look_up, read_numbers, read_stats, split_repeated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

NO_STEP: Final = -(2**63)
_ROUND_NS: Final = 10**15
"""Multiple that is subtracted from the times of a file, which may count from 1970: picoseconds must fit 64 bits."""
_SPACE_PLANES, _PLANE_LINES = 1, 3
_LINE_ID, _LINE_NS, _LINE_EVENTS = 1, 3, 4
_EVENT_KIND, _EVENT_OFFSET, _EVENT_DURATION, _EVENT_STATS = 1, 2, 3, 4
_HOST = "/host:CPU"
_OF_A_CALL = ("ExecutorState::Process", "ExecutorDoneCallback", "InstantiatedCapturedFunction::Run")


@dataclass(frozen=True)
class Events:
    """Events on threads of a trace, in the file's order; arrays of shape (events,).

    Attributes:
        names: All names, as TensorFlow recorded them, e.g. ``decode/DecodeJpeg:DecodeJpeg``; each once.
        name: Index of an event's name.
        start_ps: Start on the trace's clock, in picoseconds.
        step: The number of the function's call that it belongs to, for the executor's turns and what begins a call;
            else `NO_STEP`.
    """

    names: list[str]
    name: Integers
    thread: Integers
    start_ps: Integers
    duration_ps: Integers
    step: Integers

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.name)

    @property
    def end_ps(self) -> Integers:
        """Return the ends on the trace's clock, in picoseconds."""
        return self.start_ps + self.duration_ps

    def which(self, test: Callable[[str], object]) -> Flags:
        """Return which events have a name that passes a test; it is called once for each name."""
        passed: Flags = np.fromiter((bool(test(name)) for name in self.names), np.bool_, len(self.names))
        return passed[self.name]


def join_events(parts: Sequence[Events]) -> Events:
    """Join the events of several files."""
    if len(parts) == 1:
        return parts[0]
    names: dict[str, int] = {}
    none = np.zeros(0, np.int64)
    columns: list[tuple[Integers, ...]] = [(none,) * 5]
    for events in parts:
        index = np.array([names.setdefault(name, len(names)) for name in events.names], np.int64)
        columns.append((index[events.name], events.thread, events.start_ps, events.duration_ps, events.step))
    return Events(list(names), *(np.concatenate(column) for column in zip(*columns, strict=True)))


def count_events(data: bytes) -> int:
    """Count the events of a trace, in a tenth of the time of reading them."""
    found = 0
    for plane in read_fields(data, 0, len(data)):
        for line in read_fields(data, plane.begin, plane.end) if plane.number == _SPACE_PLANES else ():
            if line.number == _PLANE_LINES:
                found += len(split_repeated(data, line.begin, line.end, _LINE_EVENTS)[0])
    return found


def read_events(data: bytes, check: Callable[[], None] = lambda: None) -> Events:
    """Read the events of a serialised trace on host threads.

    Args:
        check: Called between chunks; an exception ends the reading.

    Raises:
        DamagedError: It is no trace.
    """
    reader = _Reader(data, check)
    for plane in read_fields(data, 0, len(data)):
        if plane.number == _SPACE_PLANES:
            reader.plane(plane)
    return reader.events()


class _Reader:
    def __init__(self, data: bytes, check: Callable[[], None]) -> None:
        self._data = data
        self._array = np.frombuffer(data, np.uint8)
        self._check = check
        self._names: dict[str, int] = {}
        self._origin_ns: int | None = None
        none = np.zeros(0, np.int64)
        self._parts: list[tuple[Integers, ...]] = [(none,) * 5]

    def events(self) -> Events:
        """Return all events."""
        name, thread, start, duration, step = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        return Events(list(self._names), name, thread, start, duration, step)

    def plane(self, plane: Field) -> None:
        """Add the events of a plane if it is the host's."""
        found = read_plane(self._data, plane)
        if found.name.startswith(_HOST):
            ids = [key for key, stat in found.stats.items() if stat == "id"]
            for line in found.lines:
                self._line(line, found.events, ids)

    def _line(self, line: Field, names: Mapping[int, str], ids: list[int]) -> None:
        begins, ends, others = split_repeated(self._data, line.begin, line.end, _LINE_EVENTS)
        thread = next((field.value for field in others if field.number == _LINE_ID), 0)
        thread -= (thread >> 63) << 64
        began_ns = next((field.value for field in others if field.number == _LINE_NS), 0)
        if self._origin_ns is None:
            self._origin_ns = began_ns // _ROUND_NS * _ROUND_NS
        for first in range(0, len(begins), AT_ONCE):
            self._check()
            begin, end = begins[first : first + AT_ONCE], ends[first : first + AT_ONCE]
            found = read_numbers(self._array, begin, end, (_EVENT_KIND, _EVENT_OFFSET, _EVENT_DURATION))
            kind, offset, duration = found.values()
            name = look_up(kind, lambda key: self._names.setdefault(names.get(key, ""), len(self._names)))
            step = np.full(len(begin), NO_STEP)
            calls = np.flatnonzero(look_up(kind, lambda key: names.get(key, "").startswith(_OF_A_CALL)))
            if len(calls):
                wanted = {"id": (ids, NO_STEP)}
                step[calls] = read_stats(self._array, begin[calls], end[calls], _EVENT_STATS, wanted)["id"]
            start = (began_ns - self._origin_ns) * 1000 + offset
            self._parts.append((name, np.full(len(begin), thread), start, duration, step))
