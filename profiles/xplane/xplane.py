"""Reader of TensorFlow's trace file (XPlane), the one exception to public API, into one array per property of events.

The messages are those of ``xplane.proto``; only the fields' numbers matter, so a moved Python import cannot break a
profile. Times in the file are picoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.wire import Field, read_fields
from pipeprof.profiles.xplane.wire import AT_ONCE, read_messages, read_numbers, split_repeated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

NO_STEP: Final = -(2**63)
_ROUND_NS: Final = 10**15
"""Multiple that is subtracted from the times of a file, which may count from 1970: picoseconds must fit 64 bits."""
_SPACE_PLANES: Final = 1
_PLANE_NAME, _PLANE_LINES, _PLANE_EVENTS, _PLANE_STATS = 2, 3, 4, 5
_LINE_ID, _LINE_NS, _LINE_EVENTS = 1, 3, 4
_EVENT_KIND, _EVENT_OFFSET, _EVENT_DURATION, _EVENT_STATS = 1, 2, 3, 4
_STAT_KIND, _STAT_UNSIGNED, _STAT_SIGNED = 1, 3, 4
_ENTRY_KEY, _ENTRY_VALUE, _METADATA_NAME = 1, 2, 2
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
        lines, entries, stats = [], [], []
        name = ""
        for field in read_fields(self._data, plane.begin, plane.end):
            if field.number == _PLANE_NAME:
                name = self._text(field)
            elif field.number == _PLANE_LINES:
                lines.append(field)
            elif field.number == _PLANE_EVENTS:
                entries.append(field)
            elif field.number == _PLANE_STATS:
                stats.append(field)
        if not name.startswith(_HOST):
            return
        kinds = _Kinds(dict(map(self._read_entry, entries)), self._names)
        ids = [key for key, stat in map(self._read_entry, stats) if stat == "id"]
        for line in lines:
            self._line(line, kinds, ids)

    def _line(self, line: Field, kinds: _Kinds, ids: list[int]) -> None:
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
            names, of_a_call = kinds.look_up(kind)
            step = np.full(len(begin), NO_STEP)
            calls = np.flatnonzero(of_a_call)
            if len(calls) and ids:
                step[calls] = self._steps(begin[calls], end[calls], ids)
            start = (began_ns - self._origin_ns) * 1000 + offset
            self._parts.append((names, np.full(len(begin), thread), start, duration, step))

    def _steps(self, begins: Integers, ends: Integers, ids: list[int]) -> Integers:
        """Return the number of the call in the stats of events; the first one of several."""
        owners, first, after = read_messages(self._array, begins, ends, _EVENT_STATS)
        notes = read_numbers(self._array, first, after, (_STAT_KIND, _STAT_UNSIGNED, _STAT_SIGNED))
        right = np.isin(notes[_STAT_KIND], ids)
        signed, unsigned = notes[_STAT_SIGNED][right], notes[_STAT_UNSIGNED][right]
        steps = np.full(len(begins), NO_STEP)
        # The last assignment wins: the first of several comes last.
        steps[owners[right][::-1]] = np.where(signed != 0, signed, unsigned)[::-1]
        return steps

    def _read_entry(self, entry: Field) -> tuple[int, str]:
        """Return the key and the name in an entry of a map."""
        key, name = 0, ""
        for field in read_fields(self._data, entry.begin, entry.end):
            if field.number == _ENTRY_KEY:
                key = field.value
            elif field.number == _ENTRY_VALUE:
                for part in read_fields(self._data, field.begin, field.end):
                    if part.number == _METADATA_NAME:
                        name = self._text(part)
        return key, name

    def _text(self, one: Field) -> str:
        return self._data[one.begin : one.end].decode(errors="replace")


class _Kinds:
    """Names of a plane's kinds of events.

    Args:
        by_key: Names by the plane's numbers of them.
        names: Indices of names in all planes; new names are added.
    """

    def __init__(self, by_key: dict[int, str], names: dict[str, int]) -> None:
        self._unnamed = names.setdefault("", len(names))
        keys = sorted(by_key)
        self._keys = np.array(keys, np.int64)
        self._index = np.array([names.setdefault(by_key[key], len(names)) for key in keys], np.int64)
        self._calls = np.array([by_key[key].startswith(_OF_A_CALL) for key in keys], np.bool_)

    def look_up(self, kind: Integers) -> tuple[Integers, Flags]:
        """Return the name indices of events of these kinds, and which of them belong to a call."""
        if not len(self._keys):
            return np.full(len(kind), self._unnamed), np.zeros(len(kind), np.bool_)
        at = np.minimum(np.searchsorted(self._keys, kind), len(self._keys) - 1)
        known = self._keys[at] == kind
        return np.where(known, self._index[at], self._unnamed), known & self._calls[at]
