"""Reader of TensorFlow's trace file (XPlane), the one exception to public API: own description of the fields used.

The messages are those of ``xplane.proto``; only the field numbers matter, so a moved Python import cannot break a
profile. Times in the file are picoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

_INT64, _UINT64, _STRING, _MESSAGE, _BYTES = 3, 4, 9, 11, 12
_FIELDS: dict[str, list[tuple[str, int, int, str | None]]] = {
    "Space": [("planes", 1, _MESSAGE, "Plane")],
    "Plane": [
        ("name", 2, _STRING, None),
        ("lines", 3, _MESSAGE, "Line"),
        ("event_metadata", 4, _MESSAGE, "Entry"),
        ("stat_metadata", 5, _MESSAGE, "Entry"),
    ],
    "Line": [
        ("id", 1, _INT64, None),
        ("name", 2, _STRING, None),
        ("timestamp_ns", 3, _INT64, None),
        ("events", 4, _MESSAGE, "Event"),
    ],
    # The stats of an event stay unparsed: there may be ten times as many as are used.
    "Event": [
        ("metadata_id", 1, _INT64, None),
        ("offset_ps", 2, _INT64, None),
        ("duration_ps", 3, _INT64, None),
        ("stats", 4, _BYTES, None),
    ],
    "Stat": [("metadata_id", 1, _INT64, None), ("unsigned", 3, _UINT64, None), ("signed", 4, _INT64, None)],
    "Entry": [("key", 1, _INT64, None), ("value", 2, _MESSAGE, "Metadata")],
    "Metadata": [("id", 1, _INT64, None), ("name", 2, _STRING, None)],
}
_REPEATED = {"planes", "lines", "events", "event_metadata", "stat_metadata", "stats"}
_OF_A_CALL = ("ExecutorState::Process", "ExecutorDoneCallback", "InstantiatedCapturedFunction::Run")
_PACKAGE = "pipeprof.trace"


@dataclass(frozen=True)
class Event:
    """Event on a thread of the trace.

    Attributes:
        thread: The trace's number for the thread.
        name: As TensorFlow recorded it, e.g. ``decode/DecodeJpeg:DecodeJpeg``.
        start_ps: Start on the trace's clock, in picoseconds.
        duration_ps: Duration in picoseconds.
        step: The number of the function's call that it belongs to, for the executor's turns and what begins a call.
    """

    thread: int
    name: str
    start_ps: int
    duration_ps: int
    step: int | None = None


def _classes() -> tuple[Any, Any]:
    """Return the message classes of a trace and of one stat."""
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
    space, stat = (pool.FindMessageTypeByName(f"{_PACKAGE}.{name}") for name in ("Space", "Stat"))
    return message_factory.GetMessageClass(space), message_factory.GetMessageClass(stat)


def read_events(data: bytes) -> Iterator[Event]:
    """Yield the events on host threads in a serialised trace."""
    space_class, stat_class = _classes()
    for plane in space_class.FromString(data).planes:
        if not plane.name.startswith("/host:CPU"):
            continue
        names = {entry.key: entry.value.name for entry in plane.event_metadata}
        ids = {entry.key for entry in plane.stat_metadata if entry.value.name == "id"}
        calls = {key for key, name in names.items() if name.startswith(_OF_A_CALL)}
        for line in plane.lines:
            for event in line.events:
                kind = event.metadata_id
                step = _number(event.stats, ids, stat_class) if kind in calls else None
                start = line.timestamp_ns * 1000 + event.offset_ps
                yield Event(line.id, names.get(kind, ""), start, event.duration_ps, step)


def _number(notes: Iterable[bytes], ids: Container[int], stat_class: Any) -> int | None:
    for note in notes:
        stat = stat_class.FromString(note)
        if stat.metadata_id in ids:
            return int(stat.signed or stat.unsigned)
    return None
