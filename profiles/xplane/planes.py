"""Planes of any XPlane file, one by one: what is before a damage is read; and the events of their lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeprof.pipelines.wire import LENGTH, DamagedError, Field, read_fields, read_varint
from pipeprof.profiles.xplane.wire import read_numbers, read_stats, split_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Place = tuple[Integers, Integers]

_SPACE_PLANES, _SPACE_ERRORS, _SPACE_WARNINGS, _SPACE_HOSTS = 1, 2, 3, 4
_PLANE_NAME, _PLANE_LINES, _PLANE_EVENTS, _PLANE_STATS = 2, 3, 4, 5
_ENTRY_KEY, _ENTRY_VALUE, _METADATA_NAME = 1, 2, 2
_LINE_ID, _LINE_NAME, _LINE_NS, LINE_EVENTS = 1, 2, 3, 4
_EVENT_KIND, _EVENT_OFFSET, _EVENT_DURATION, _EVENT_STATS = 1, 2, 3, 4
_ROUND_NS: Final = 10**15
"""Multiple that is subtracted from the times of a file, which may count from 1970: picoseconds must fit 64 bits."""


@dataclass
class Plane:
    """A plane: its lines as they lie in the file, and names by their numbers."""

    name: str = ""
    lines: list[Field] = field(default_factory=list)
    events: dict[int, str] = field(default_factory=dict)
    stats: dict[int, str] = field(default_factory=dict)


@dataclass
class Space:
    """What a file has outside of its planes.

    Attributes:
        errors: The profiler's own, as `warnings`.
        damaged: Number and name of the plane that could not be read, and where it begins; None where all could.
    """

    hosts: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    damaged: tuple[int, str, int] | None = None


def read_planes(data: bytes, space: Space) -> Iterator[Plane]:
    """Yield the planes before the first damage, and fill `space` on the way."""
    count = 0
    at = 0
    try:
        for one in read_fields(data, 0, len(data)):
            if one.kind == LENGTH and one.number == _SPACE_PLANES:
                found = read_plane(data, one)
                count += 1
                yield found
            elif one.kind == LENGTH and one.number in (_SPACE_ERRORS, _SPACE_WARNINGS):
                (space.errors if one.number == _SPACE_ERRORS else space.warnings).append(text_of(data, one))
            elif one.kind == LENGTH and one.number == _SPACE_HOSTS:
                space.hosts.append(text_of(data, one))
            elif one.number > _SPACE_HOSTS:
                raise DamagedError
            at = one.end
    except DamagedError:
        space.damaged = (count + 1, _name_at(data, at), at)


def read_plane(data: bytes, plane: Field) -> Plane:
    """Read one plane.

    Raises:
        DamagedError: It is none.
    """
    found = Plane()
    for one in read_fields(data, plane.begin, plane.end):
        if one.kind != LENGTH:
            continue
        if one.number == _PLANE_NAME:
            found.name = text_of(data, one)
        elif one.number == _PLANE_LINES:
            found.lines.append(one)
        elif one.number in (_PLANE_EVENTS, _PLANE_STATS):
            key, name = _read_entry(data, one)
            (found.events if one.number == _PLANE_EVENTS else found.stats)[key] = name
    return found


def _read_entry(data: bytes, entry: Field) -> tuple[int, str]:
    """Return the key and the name in an entry of a map of kinds."""
    key, name = 0, ""
    for one in read_fields(data, entry.begin, entry.end):
        if one.number == _ENTRY_KEY:
            key = one.value
        elif one.number == _ENTRY_VALUE and one.kind == LENGTH:
            for part in read_fields(data, one.begin, one.end):
                if part.number == _METADATA_NAME and part.kind == LENGTH:
                    name = text_of(data, part)
    return key, name


def text_of(data: bytes, one: Field) -> str:
    """Return the text of a field."""
    return data[one.begin : one.end].decode(errors="replace")


def _name_at(data: bytes, at: int) -> str:
    try:
        _, begin = read_varint(data, at)
        _, begin = read_varint(data, begin)
        for one in read_fields(data, begin, len(data)):
            if one.number == _PLANE_NAME and one.kind == LENGTH:
                return text_of(data, one)[:80]
    except DamagedError:
        pass
    return ""


class LineReader:
    """Reads lines of one file, all on one clock."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._array = np.frombuffer(data, np.uint8)
        self._origin_ns: int | None = None

    def head(self, line: Field) -> tuple[int, str, int]:
        """Return number, name and beginning of a line."""
        number, name, began_ns = 0, "", 0
        for one in read_fields(self._data, line.begin, line.end):
            if one.number == _LINE_ID:
                number = one.value
            elif one.number == _LINE_NAME:
                name = text_of(self._data, one)
            elif one.number == _LINE_NS:
                began_ns = one.value
            elif one.number == LINE_EVENTS:
                break
        if self._origin_ns is None and began_ns:
            self._origin_ns = began_ns // _ROUND_NS * _ROUND_NS
        return number, name, began_ns

    def events(self, line: Field, began_ns: int) -> Iterator[tuple[Integers, Integers, Integers, Place]]:
        """Yield kinds, begins and ends in picoseconds of events, and where they lie in the file; a part at a time."""
        for place in split_parts(self._data, line.begin, line.end, LINE_EVENTS, []):
            found = read_numbers(self._array, *place, (_EVENT_KIND, _EVENT_OFFSET, _EVENT_DURATION))
            kind, offset, duration = found.values()
            begin = (began_ns - (self._origin_ns or 0)) * 1000 + offset
            yield kind, begin, begin + duration, place

    def stats(self, plane: Plane, place: Place, wanted: Mapping[str, int]) -> dict[str, Integers]:
        """Return stats of some events by their names, each with the value where it is missing."""
        kinds = {
            name: ([key for key, stat in plane.stats.items() if stat == name], default)
            for name, default in wanted.items()
        }
        return read_stats(self._array, *place, _EVENT_STATS, kinds)
