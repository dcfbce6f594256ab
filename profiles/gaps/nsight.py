"""Reader of the SQLite files that Nsight Systems exports.

Correlation numbers are those of one process. Tables and columns differ by version: what is missing is left out.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from pipeprof.profiles.gaps.names import OF_SYSTEM, STEP
from pipeprof.profiles.gaps.trace import (
    COPY,
    KERNEL,
    MOST_BAD,
    NO_CORRELATION,
    SET,
    WHOLE_GRAPH,
    DeviceTrace,
    TraceBuilder,
    TraceError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

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
_AT_ONCE = 2_000
"""Rows: more of them leave the processor's caches before they are turned into columns."""
_NULL = 1 - (1 << 63)
"""Stands for NULL; as a time it is none."""
_PROCESS = 24
"""Bits of a thread in Nsight's numbers of threads; the rest is the process."""
_BY_HAND = 60
"""Type of an NVTX range that one call begins and another one ends, on any thread: it is no call that others nest in."""


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
        journal = path.with_name(f"{path.name}-wal")
        if journal.exists() and journal.stat().st_size:
            builder.damage.append(f"{journal.name}, next to the file, has rows that the file lacks: they are not read")
            builder.partial_work = builder.partial_host = True
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
        self._calls = self._unnamed = 0
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
        if self._unnamed > MOST_BAD * self._calls:
            self._builder.partial_host = True
            self._builder.damage.append(f"{self._unnamed:,} of {self._calls:,} calls have no name")

    def _select(self, table: str, columns: Mapping[str, int], *, first: str = "", where: str = "") -> sqlite3.Cursor:
        """Select columns as integers, with what stands for NULL or for a column that the table lacks.

        Args:
            first: A column before them, as it is.
        """
        known = self._tables[table]
        wanted = [
            f'IFNULL(CAST("{name}" AS INTEGER), {default})' if name in known else str(default)
            for name, default in columns.items()
        ]
        if first:
            wanted.insert(0, f'"{first}"' if first in known else "NULL")
        return self._connection.execute(f'SELECT {", ".join(wanted)} FROM "{table}"{where}')  # noqa: S608 - names from above

    def _read_texts(self, table: str) -> None:
        rows = self._select(table, {"id": 0}, first="value").fetchall()
        self._texts = {key: str(text) for text, key in rows if text is not None}

    def _keys(self, process: Integers, correlation: Integers) -> Integers:
        """Return numbers that are the same for a launch and its work: those of a process count for it alone."""
        owners, at = np.unique(process >> _PROCESS, return_inverse=True)
        numbers = [self._processes.setdefault(int(owner), len(self._processes)) for owner in owners]
        keys = (np.array(numbers, np.int64)[at] << 40) | (correlation & 0xFFFFFFFF)
        return np.where(correlation == _NULL, NO_CORRELATION, keys)

    def _read_work(self, table: str) -> None:
        columns = {"deviceId": 0, "streamId": 0, "start": _NULL, "end": _NULL, "correlationId": _NULL, "globalPid": 0}
        numbers = sorted({int(number) for (number,) in self._select(table, {"deviceId": 0}).fetchall()})
        index = np.array([self._builder.device(f"GPU {number}") for number in numbers], np.int64)
        for rows in _parts(self._select(table, columns)):
            device, stream, begin, end, correlation, process = _integers(rows)
            kind = np.full(len(device), _WORK[table])
            keys = self._keys(process, correlation)
            self._builder.add_work_arrays(index[np.searchsorted(numbers, device)], stream, kind, begin, end, keys)

    def _threads(self, numbers: Integers) -> Integers:
        each, at = np.unique(numbers, return_inverse=True)
        return np.array([self._thread(int(number)) for number in each], np.int64)[at]

    def _thread(self, number: int) -> int:
        process = number >> _PROCESS
        main = (number & 0xFFFFFF) == (process & 0xFFFFFF)
        return self._builder.thread(number, str(process), f"thread {number & 0xFFFFFF}", main=main)

    def _read_calls(self, table: str) -> None:
        category = _CALLS.get(table, OF_SYSTEM)
        columns = {"nameId": _NULL, "globalTid": 0, "start": _NULL, "end": _NULL, "correlationId": _NULL}
        for rows in _parts(self._select(table, columns)):
            found = _integers(rows)
            # A call that had not ended is in no gap.
            name, thread, begin, end, correlation = found[:, (found[2] != _NULL) & (found[3] != _NULL)]
            each, at = np.unique(name, return_inverse=True)
            kinds = np.array([self._builder.kind(self._texts.get(int(one), ""), category) for one in each], np.int64)
            self._calls += len(name)
            unnamed = np.array([int(one) not in self._texts for one in each], np.bool_)
            self._unnamed += int(unnamed[at].sum())
            is_system = category == OF_SYSTEM
            keys = np.full(len(name), NO_CORRELATION) if is_system else self._keys(thread, correlation)
            self._builder.add_host_arrays(kinds[at], self._threads(thread), begin, end, keys)

    def _read_marks(self, table: str) -> None:
        columns = {"textId": _NULL, "globalTid": 0, "start": _NULL, "end": _NULL, "eventType": 0}
        cursor = self._select(table, columns, first="text", where=' WHERE "end" IS NOT NULL')
        for rows in _parts(cursor):
            texts, *numbers = rows
            ids, thread, begin, end, kind_of_range = _integers(numbers)
            names = [
                str(text) if text is not None else self._texts.get(one, "")
                for text, one in zip(texts, ids.tolist(), strict=True)
            ]
            known = {name: self._mark(name) for name in dict.fromkeys(names)}
            kinds = np.array([known[name] for name in names], np.int64)
            steps = kinds < 0
            self._builder.steps += zip(begin[steps].tolist(), end[steps].tolist(), strict=True)
            columns_of = (kinds, self._threads(thread), begin, end, np.full(len(kinds), NO_CORRELATION))
            kept = ~steps & (kind_of_range != _BY_HAND)
            self._builder.add_host_arrays(*(column[kept] for column in columns_of))

    def _mark(self, text: str) -> int:
        """Return the kind of a mark with this text; -1 for that of a step."""
        numbered = _NUMBERED.fullmatch(text)
        name = numbered[1] if numbered is not None else text
        if STEP.fullmatch(name):
            return -1
        return self._builder.kind(name, "cpu_op" if _OP.fullmatch(name) else "user_annotation")

    def _read_complaints(self, table: str) -> None:
        rows = self._select(table, {}, first="text").fetchall()
        texts = [str(text) for (text,) in rows if text and _LOST.search(str(text))]
        self._builder.lost += [f"the profiler says: {text}" for text in texts[:5]]


def _parts(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the columns of some rows at a time, each a tuple."""
    while rows := cursor.fetchmany(_AT_ONCE):
        yield list(zip(*rows, strict=True))


def _integers(columns: Sequence[tuple[Any, ...]]) -> Integers:
    """Return columns of integers, shape (columns, rows)."""
    return np.array(columns, np.int64)
