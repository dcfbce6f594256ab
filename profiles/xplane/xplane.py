"""Reader of TensorFlow's trace file (XPlane), the one exception to public API, into one array per property of events.

The messages are those of ``xplane.proto``; only the fields' numbers matter, so a moved Python import cannot break a
profile. Times in the file are picoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.wire import Field, read_fields
from pipeprof.profiles.xplane.planes import LINE_EVENTS, LineReader, Plane, read_plane
from pipeprof.profiles.xplane.wire import look_up, split_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

NO_STEP: Final = -(2**63)
_SPACE_PLANES, _PLANE_LINES = 1, 3
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


def count_events(data: bytes) -> int:
    """Count the events of a trace, in a tenth of the time of reading them."""
    found = 0
    for plane in read_fields(data, 0, len(data)):
        for line in read_fields(data, plane.begin, plane.end) if plane.number == _SPACE_PLANES else ():
            if line.number == _PLANE_LINES:
                parts = split_parts(data, line.begin, line.end, LINE_EVENTS, [])
                found += sum(len(begins) for begins, _ in parts)
    return found


def read_events(data: bytes, check: Callable[[], None] = lambda: None) -> Events:
    """Read the events of a serialised trace on host threads; of several files joined, those of all.

    Args:
        check: Called between chunks; an exception ends the reading.

    Raises:
        DamagedError: It is no trace.
    """
    lines = LineReader(data)
    names: dict[str, int] = {}
    none = np.zeros(0, np.int64)
    columns: list[tuple[Integers, ...]] = [(none,) * 5]
    for field in read_fields(data, 0, len(data)):
        plane = read_plane(data, field) if field.number == _SPACE_PLANES else Plane()
        for line in plane.lines if plane.name.startswith(_HOST) else ():
            columns += _line_columns(lines, plane, line, names, check)
    name, thread, start, duration, step = (np.concatenate(column) for column in zip(*columns, strict=True))
    return Events(list(names), name, thread, start, duration, step)


def _line_columns(
    lines: LineReader, plane: Plane, line: Field, names: dict[str, int], check: Callable[[], None]
) -> Iterator[tuple[Integers, ...]]:
    """Yield the columns of `Events` of one line, a part at a time; `names` gets those that are new."""
    thread, _, began_ns = lines.head(line)
    thread -= (thread >> 63) << 64
    for kind, start, end, place in lines.events(line, began_ns):
        check()
        name = look_up(kind, lambda key: names.setdefault(plane.events.get(key, ""), len(names)))
        step = np.full(len(kind), NO_STEP)
        calls = np.flatnonzero(look_up(kind, lambda key: plane.events.get(key, "").startswith(_OF_A_CALL)))
        if len(calls):
            step[calls] = lines.stats(plane, (place[0][calls], place[1][calls]), {"id": NO_STEP})["id"]
        yield name, np.full(len(kind), thread), start, end - start, step
