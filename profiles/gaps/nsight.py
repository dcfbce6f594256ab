"""Reader of the SQLite files that Nsight Systems exports.

Correlation numbers are those of one process. Tables and columns differ by version: what is missing is left out.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeprof.profiles.gaps.names import STEP
from pipeprof.profiles.gaps.trace import (
    COPY,
    KERNEL,
    NO_CORRELATION,
    SET,
    WHOLE_GRAPH,
    DeviceTrace,
    TraceBuilder,
    TraceError,
)

_WORK = {
    "CUPTI_ACTIVITY_KIND_KERNEL": KERNEL,
    "CUPTI_ACTIVITY_KIND_MEMCPY": COPY,
    "CUPTI_ACTIVITY_KIND_MEMSET": SET,
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE": WHOLE_GRAPH,
}
_CALLS = {"CUPTI_ACTIVITY_KIND_RUNTIME": "cuda_runtime", "CUPTI_ACTIVITY_KIND_DRIVER": "cuda_driver"}
_NUMBERED = re.compile(r"(.+?)(?:, seq = \d+)?(?:, op_id = \d+)?(?:, sizes = .*)?")
"""As PyTorch's ``emit_nvtx`` writes the number of an op behind its name."""
_OP = re.compile(r"(aten|autograd|torch|c10|c10d|nccl|prims)::.+|enumerate\(DataLoader\).*")
"""Marks that PyTorch sets around its ops; all others are annotations of users."""
_LOST = re.compile(r"\b(lost|dropped|overflow|not collected|incomplete)\b", re.IGNORECASE)
_AT_ONCE = 10_000
_PROCESS = 24
"""Bits of a thread in Nsight's numbers of threads; the rest is the process."""


def read_nsight(path: Path) -> DeviceTrace:
    """Read an exported report.

    Raises:
        TraceError: It is no such file.
    """
    builder = TraceBuilder("Nsight Systems")
    try:
        uri = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        connection = sqlite3.connect(uri, uri=True)
        try:
            # Names may be any bytes.
            connection.text_factory = lambda text: text.decode(errors="replace")
            _Reader(connection, builder).read()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise TraceError(f"{path}: not a readable SQLite file ({error})") from None
    return builder.trace()


class _Reader:
    def __init__(self, connection: sqlite3.Connection, builder: TraceBuilder) -> None:
        self._connection, self._builder = connection, builder
        self._tables: dict[str, frozenset[str]] = {}
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = connection.execute(f'PRAGMA table_info("{str(table).replace(chr(34), chr(34) * 2)}")')
            self._tables[str(table)] = frozenset(str(row[1]) for row in columns.fetchall())
        self._texts: dict[int, str] = {}
        self._processes: dict[int, int] = {}

    def read(self) -> None:
        if not self._tables.keys() & (_WORK.keys() | _CALLS.keys() | {"NVTX_EVENTS"}):
            raise TraceError("this SQLite file has no table of Nsight Systems with events")
        for table, read in (
            ("StringIds", self._read_texts),
            *((name, self._read_work) for name in _WORK),
            *((name, self._read_calls) for name in _CALLS),
            ("NVTX_EVENTS", self._read_marks),
            ("OSRT_API", self._read_calls),
            ("DIAGNOSTIC_EVENT", self._read_complaints),
        ):
            if table not in self._tables:
                continue
            try:
                read(table)
            except sqlite3.DatabaseError as error:
                self._builder.partial_work |= table in _WORK
                self._builder.partial_host |= table not in _WORK
                self._builder.damage.append(f"table {table} is damaged ({error}): not all of it is read")

    def _rows(self, table: str, columns: Sequence[str], where: str = "") -> Iterator[tuple[Any, ...]]:
        """Yield rows; a column that the table lacks is None."""
        known = self._tables[table]
        wanted = ", ".join(f'"{name}"' if name in known else "NULL" for name in columns)
        cursor = self._connection.execute(f'SELECT {wanted} FROM "{table}"{where}')  # noqa: S608 - names from above
        while rows := cursor.fetchmany(_AT_ONCE):
            yield from rows

    def _read_texts(self, table: str) -> None:
        self._texts = {key: str(text) for key, text in self._rows(table, ("id", "value"))}

    def _key(self, process: int | None, correlation: int | None) -> int:
        if correlation is None:
            return NO_CORRELATION
        number = self._processes.setdefault((process or 0) >> _PROCESS, len(self._processes))
        return (number << 40) | (correlation & 0xFFFFFFFF)

    def _read_work(self, table: str) -> None:
        kind, add, device = _WORK[table], self._builder.add_work, self._builder.device
        columns = ("deviceId", "streamId", "start", "end", "correlationId", "globalPid")
        devices: dict[int, int] = {}
        ids = sorted(row[0] for row in self._connection.execute(f'SELECT DISTINCT deviceId FROM "{table}"'))  # noqa: S608
        devices = {number: device(f"GPU {number}") for number in ids}
        for number, stream, begin, end, correlation, process in self._rows(table, columns):
            if begin is None or end is None:
                self._builder.backwards += 1
                continue
            add(devices[number], stream or 0, kind, begin, end, self._key(process, correlation))

    def _thread(self, number: int | None) -> int:
        number = number or 0
        process = number >> _PROCESS
        main = (number & 0xFFFFFF) == (process & 0xFFFFFF)
        return self._builder.thread(number, str(process), f"thread {number & 0xFFFFFF}", main=main)

    def _read_calls(self, table: str) -> None:
        category = _CALLS.get(table, "os")
        columns = ("nameId", "globalTid", "start", "end", "correlationId")
        for name, thread, begin, end, correlation in self._rows(table, columns):
            if begin is None or end is None:
                continue
            text = self._texts.get(name, "")
            key = self._key(thread, correlation) if category != "os" else NO_CORRELATION
            self._builder.add_host(self._builder.kind(text, category), self._thread(thread), begin, end, key)

    def _read_marks(self, table: str) -> None:
        columns = ("text", "textId", "globalTid", "start", "end")
        for text, text_id, thread, begin, end in self._rows(table, columns, ' WHERE "end" IS NOT NULL'):
            name = str(text) if text is not None else self._texts.get(text_id, "")
            numbered = _NUMBERED.fullmatch(name)
            name = numbered[1] if numbered is not None else name
            if STEP.fullmatch(name):
                self._builder.steps.append((begin, end))
                continue
            category = "cpu_op" if _OP.fullmatch(name) else "user_annotation"
            self._builder.add_host(self._builder.kind(name, category), self._thread(thread), begin, end, NO_CORRELATION)

    def _read_complaints(self, table: str) -> None:
        texts = [str(text) for (text,) in self._rows(table, ("text",)) if text and _LOST.search(str(text))]
        self._builder.lost += [f"the profiler says: {text}" for text in texts[:5]]
