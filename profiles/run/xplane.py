"""The one exception to public API: TensorFlow's trace file, read through an own description of the fields used.

The messages are those of ``xplane.proto``; only the field numbers matter, so a moved Python import cannot break a
profile. Times in the file are picoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Iterator

_INT64, _STRING, _MESSAGE = 3, 9, 11
_FIELDS: dict[str, list[tuple[str, int, int, str | None]]] = {
    "Space": [("planes", 1, _MESSAGE, "Plane")],
    "Plane": [("name", 2, _STRING, None), ("lines", 3, _MESSAGE, "Line"), ("event_metadata", 4, _MESSAGE, "Entry")],
    "Line": [
        ("id", 1, _INT64, None),
        ("name", 2, _STRING, None),
        ("timestamp_ns", 3, _INT64, None),
        ("events", 4, _MESSAGE, "Event"),
    ],
    "Event": [("metadata_id", 1, _INT64, None), ("offset_ps", 2, _INT64, None), ("duration_ps", 3, _INT64, None)],
    "Entry": [("key", 1, _INT64, None), ("value", 2, _MESSAGE, "Metadata")],
    "Metadata": [("id", 1, _INT64, None), ("name", 2, _STRING, None)],
}
_REPEATED = {"planes", "lines", "events", "event_metadata"}
_PACKAGE = "pipeprof.trace"


@dataclass(frozen=True)
class Event:
    """Something that ran on a thread.

    Attributes:
        thread: The trace's number for the thread.
        name: As TensorFlow recorded it, e.g. ``decode/DecodeJpeg:DecodeJpeg``.
        start_ps: Start on the trace's clock, in picoseconds.
        duration_ps: Duration in picoseconds.
    """

    thread: int
    name: str
    start_ps: int
    duration_ps: int


def _space_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="pipeprof_trace.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            label = 3 if field in _REPEATED else 1
            added = message.field.add(name=field, number=number, type=kind, label=label)
            if of is not None:
                added.type_name = f".{_PACKAGE}.{of}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Space"))


def read_events(data: bytes) -> Iterator[Event]:
    """The events on host threads in a serialised trace."""
    space = _space_class().FromString(data)
    for plane in space.planes:
        if not plane.name.startswith("/host:CPU"):
            continue
        names = {entry.key: entry.value.name for entry in plane.event_metadata}
        for line in plane.lines:
            for event in line.events:
                start = line.timestamp_ns * 1000 + event.offset_ps
                yield Event(line.id, names.get(event.metadata_id, ""), start, event.duration_ps)
