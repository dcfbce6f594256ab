"""The tables of a fleet: their columns, and the rows that a profile has in them.

A profile is read field by field, not as a whole document: of a profile of another version, what it does not have is
null, and what this version does not know is left out. Reading ten thousand whole documents would take minutes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final, NamedTuple

from pydantic_core import from_json

from pipeprof.profiles.document.profile import SCHEMA_VERSION

Document = Mapping[str, object]
Row = dict[str, object]
_MOST_WHOLE = 2**63
_MOST_TEXT = 4000
"""Characters of a text that is kept."""


class RowError(ValueError):
    """A document is no profile that can be counted.

    Attributes:
        kind: Why not.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        type: DuckDB's name of its type.
        read: Reads it from the document, or from one of its stages or findings.
    """

    name: str
    type: str
    read: Callable[[Document], object]


@dataclass(frozen=True)
class Table:
    """A table; each row begins with the hash of its profile's file."""

    name: str
    columns: Sequence[Column]

    @property
    def types(self) -> dict[str, str]:
        """Types by the names of all columns."""
        return {KEY: "VARCHAR", **{column.name: column.type for column in self.columns}}

    def row(self, key: str, part: Document) -> Row:
        """The row of a document, or of one of its parts.

        Raises:
            RowError: A field has a value that no profile has.
        """
        found: Row = {KEY: key}
        for column in self.columns:
            try:
                found[column.name] = column.read(part)
            except ValueError as error:
                raise RowError("broken", str(error)) from None
        return found


KEY: Final = "sha256"
"""Column with the hash of a profile's file."""


def _at(part: Document, path: Sequence[str]) -> object:
    value: object = part
    for name in path:
        if type(value) is not dict:
            if value is None:
                return None
            raise ValueError(f"{'.'.join(path[: path.index(name)])} is no object")
        value = value.get(name)
    return value


def text(path: str) -> Callable[[Document], str | None]:
    """Read a text."""
    names = path.split(".")

    def read(part: Document) -> str | None:
        value = _at(part, names)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{path} is no text")
        return _clean(value) if value is not None else None

    return read


def number(path: str, least: float | None = 0.0) -> Callable[[Document], float | None]:
    """Read a finite number of at least ``least``."""
    names = path.split(".")

    def read(part: Document) -> float | None:
        value = _at(part, names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
            raise ValueError(f"{path} is no number")
        if least is not None and value < least:
            raise ValueError(f"{path} is {value:g}, below {least:g}")
        return float(value)

    return read


def whole(path: str) -> Callable[[Document], int | None]:
    """Read a whole number."""
    names = path.split(".")

    def read(part: Document) -> int | None:
        value = _at(part, names)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or abs(value) >= _MOST_WHOLE):
            raise ValueError(f"{path} is no whole number")
        return value

    return read


def flag(path: str) -> Callable[[Document], bool | None]:
    """Read a truth value."""
    names = path.split(".")

    def read(part: Document) -> bool | None:
        value = _at(part, names)
        if value is not None and not isinstance(value, bool):
            raise ValueError(f"{path} is neither true nor false")
        return value

    return read


def _clean(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()[:_MOST_TEXT]


def _pipeline(part: Document) -> str | None:
    """What is called one pipeline: the name of a spec or the target as typed, with its arguments."""
    name = text("target.name")(part) or text("target.text")(part)
    given = _at(part, ("target", "arguments"))
    if name is None or not isinstance(given, Mapping) or not given:
        return name
    return _clean(f"{name}({', '.join(f'{key}={value}' for key, value in sorted(given.items()))})")


def _step(part: Document) -> str | None:
    """The step with its dispatch."""
    said = text("device.text")(part) or text("device.kind")(part)
    dispatch = _at(part, ("steps", "dispatch"))
    return f"{said}, dispatch {dispatch}" if said is not None and isinstance(dispatch, (int, str)) else said


def _started(part: Document) -> str | None:
    said = text("started")(part)
    if said is None:
        return None
    try:
        at = datetime.fromisoformat(said.replace("Z", "+00:00"))
    except ValueError:
        raise ValueError("started is no time of ISO 8601") from None
    at = at.astimezone(timezone.utc) if at.tzinfo is not None else at
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def _labels(part: Document) -> dict[str, str]:
    labels = _at(part, ("labels",)) or {}
    if not isinstance(labels, Mapping) or not all(isinstance(value, str) for value in labels.values()):
        raise ValueError("labels are no texts by name")
    return {_clean(name): _clean(value) for name, value in labels.items()}


def _devices(part: Document) -> int:
    """GPUs that the steps compute on, else those of the host."""
    used, there = _at(part, ("device", "gpus")), _at(part, ("host", "gpus"))
    return next((len(found) for found in (used, there) if isinstance(found, list) and found), 0)


def _command(part: Document) -> str | None:
    words = _at(part, ("command",))
    known = isinstance(words, list) and len(words) > 1 and words[0] == "pipeprof"
    return str(words[1]) if known and isinstance(words, list) else None


def _saved(part: Document) -> float | None:
    delta = number("measured.peak_rss_delta_bytes", None)(part)
    return -delta if delta is not None else None


def _place(part: Document) -> str | None:
    file, line = text("location.file")(part), whole("location.line")(part)
    return f"{file}:{line}" if file is not None and line is not None else None


RUNS = Table(
    "runs",
    (
        Column("started", "TIMESTAMP", _started),
        Column("command", "VARCHAR", _command),
        Column("pipeline", "VARCHAR", _pipeline),
        Column("kind", "VARCHAR", text("target.kind")),
        Column("target", "VARCHAR", text("target.text")),
        Column("target_sha256", "VARCHAR", text("target.sha256")),
        Column("graph_sha256", "VARCHAR", text("target.graph_sha256")),
        Column("labels", "MAP(VARCHAR, VARCHAR)", _labels),
        Column("job", "VARCHAR", text("job")),
        Column("commit", "VARCHAR", text("commit")),
        Column("host", "VARCHAR", text("host.name")),
        Column("host_index", "BIGINT", whole("target.host.index")),
        Column("hosts", "BIGINT", whole("target.host.of")),
        Column("cpu_model", "VARCHAR", text("host.cpu_model")),
        Column("machine", "VARCHAR", text("host.machine")),
        Column("cores", "DOUBLE", number("host.cores")),
        Column("memory_bytes", "BIGINT", whole("host.memory_bytes")),
        Column("devices", "BIGINT", _devices),
        Column("pipeprof", "VARCHAR", text("tool.version")),
        Column("tensorflow", "VARCHAR", text("versions.tensorflow")),
        Column("python", "VARCHAR", text("versions.python")),
        Column("step", "VARCHAR", _step),
        Column("steps", "BIGINT", whole("steps.count")),
        Column("seconds", "DOUBLE", number("steps.seconds")),
        Column("step_ms", "DOUBLE", number("steps.interval_ms.mean")),
        Column("step_p95_ms", "DOUBLE", number("steps.interval_ms.p95")),
        Column("wait_ms", "DOUBLE", number("steps.wait_ms.mean", None)),
        Column("wait_share", "DOUBLE", number("steps.wait_share", None)),
        Column("batches_per_second", "DOUBLE", number("throughput.batches_per_second")),
        Column("elements_per_second", "DOUBLE", number("throughput.elements_per_second")),
        Column("bytes_per_second", "DOUBLE", number("throughput.bytes_per_second")),
        Column("peak_bytes", "BIGINT", whole("memory.peak_bytes")),
        Column("bound", "VARCHAR", text("verdict.bound")),
        Column("limited_by", "VARCHAR", text("verdict.limit")),
        Column("bottleneck", "VARCHAR", text("verdict.stage")),
        Column("disturbed", "BOOLEAN", flag("verdict.disturbed")),
        Column("others_cores", "DOUBLE", number("contention.others_cores", None)),
        Column("cpu_ms", "DOUBLE", number("cpu.total_ms")),
        Column("disk_bytes", "BIGINT", whole("disk.bytes")),
    ),
)
STAGES = Table(
    "stages",
    (
        Column("stage", "VARCHAR", text("id")),
        Column("name", "VARCHAR", text("name")),
        Column("op", "VARCHAR", text("op")),
        Column("place", "VARCHAR", _place),
        Column("time_ms", "DOUBLE", number("time_ms_per_batch")),
        Column("cpu_ms", "DOUBLE", number("cpu_ms_per_batch")),
        Column("share", "DOUBLE", number("share")),
        Column("parallelism", "DOUBLE", number("parallelism", None)),
        Column("elements", "DOUBLE", number("elements")),
        Column("bytes_per_element", "DOUBLE", number("bytes_per_element")),
        Column("buffered_bytes", "DOUBLE", number("buffered_bytes")),
    ),
)
FINDINGS = Table(
    "findings",
    (
        Column("number", "BIGINT", whole("number")),
        Column("rule", "VARCHAR", text("rule")),
        Column("title", "VARCHAR", text("title")),
        Column("family", "VARCHAR", text("family")),
        Column("stage", "VARCHAR", text("stage")),
        Column("status", "VARCHAR", text("status")),
        Column("predicted", "DOUBLE", number("predicted.speedup")),
        Column("speedup", "DOUBLE", number("measured.speedup")),
        Column("low", "DOUBLE", number("measured.low")),
        Column("high", "DOUBLE", number("measured.high")),
        Column("saved_bytes", "DOUBLE", _saved),
    ),
)
TABLES = (RUNS, STAGES, FINDINGS)


def parse(raw: bytes) -> Document:
    """Read the bytes of a file as a profile.

    Raises:
        RowError: It is none, of a newer schema, or of a measurement that did not come to its end.
    """
    try:
        # Twice as fast as Python's own reader, and most of what adding a profile takes.
        document = from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise RowError("broken", "not JSON, or truncated") from None
    tool = document.get("tool") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(tool, dict) or tool.get("name") != "pipeprof":
        raise RowError("foreign", "another program wrote this JSON")
    if not isinstance(document.get("target"), dict) or not isinstance(document.get("host"), dict):
        raise RowError("foreign", "a document of pipeprof, but no profile of `run`, `fix` or `pipeprof.watch`")
    version = document.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise RowError("broken", "its schema_version is no positive whole number")
    if version > SCHEMA_VERSION:
        raise RowError("newer", f"schema version {version}, this pipeprof reads up to {SCHEMA_VERSION}: upgrade it")
    if document.get("complete") is not True:
        code = document.get("exit_code")
        ended = f"it ended with exit code {code}" if isinstance(code, int) and code else "it did not come to its end"
        raise RowError("partial", ended)
    return document


def rows_of(key: str, document: Document) -> Iterator[tuple[str, Row]]:
    """The rows of a profile, each with the name of its table; that of `runs` first.

    Raises:
        RowError: A field has a value that no profile has.
    """
    run = RUNS.row(key, document)
    if run["pipeline"] is None:
        raise RowError("broken", "it has no target.text")
    if not run["steps"]:
        raise RowError("partial", "no step was measured")
    yield RUNS.name, run
    for table, name in ((STAGES, "stages"), (FINDINGS, "findings")):
        parts = document.get(name) or []
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise RowError("broken", f"{name} is no list of objects")
        for place, part in enumerate(parts, 1):
            yield table.name, table.row(key, {**part, "number": place} if table is FINDINGS else part)
