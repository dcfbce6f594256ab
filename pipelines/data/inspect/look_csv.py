"""Inspection of CSV files: delimiter, header, column types."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.errors import UsageError

_BYTES_LOOKED_AT = 1 << 18
_ROWS_LOOKED_AT = 1_000
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?(nan|inf)", re.IGNORECASE)
_INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True)
class CsvColumn:
    """One column.

    Attributes:
        dtype: ``float32``, ``int64`` or ``string``.
    """

    name: str
    dtype: str
    gaps: bool


@dataclass(frozen=True)
class CsvFound:
    """CSV files of one form."""

    patterns: tuple[str, ...]
    files: int
    delimiter: str
    header: bool
    gzip: bool
    columns: tuple[CsvColumn, ...]


def look_at_csv(files: Sequence[Path], patterns: tuple[str, ...]) -> CsvFound:
    """Inspect CSV files by the first one; the others are expected to be alike."""
    path = files[0]
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if zipped else path.open("rb") as file:
            data = file.read(_BYTES_LOOKED_AT)
        text = data.decode("utf-8-sig", errors="replace")
        if len(data) >= _BYTES_LOOKED_AT and "\n" in text:
            text = text[: text.rindex("\n") + 1]
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    if "\0" in text or not text.strip():
        raise UsageError(f"{path} {'is empty' if not text.strip() else 'is not text'}: expected rows of fields")
    delimiter, rows = _best_delimiter(text)
    if not rows:
        raise UsageError(
            f"{path}: a field is longer than {csv.field_size_limit():,} characters: expected rows of fields"
        )
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise UsageError(f"{path}: rows have {min(widths)} to {max(widths)} fields, expected the same number in all")
    header = _has_header(rows)
    names = rows[0] if header else [f"column {number}" for number in range(len(rows[0]))]
    body = rows[1:] if header and len(rows) > 1 else rows
    columns = [_column(name, values) for name, values in zip(names, zip(*body, strict=True), strict=True)]
    return CsvFound(patterns, len(files), delimiter, header, zipped, tuple(columns))


def _rows(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [row for row in itertools.islice(reader, _ROWS_LOOKED_AT) if row]
    except csv.Error:
        return []


def _best_delimiter(text: str) -> tuple[str, list[list[str]]]:
    candidates = [(delimiter, _rows(text, delimiter)) for delimiter in (",", ";", "\t", "|")]

    def merit(candidate: tuple[str, list[list[str]]]) -> tuple[bool, int]:
        widths = [len(row) for row in candidate[1]]
        return len(set(widths)) == 1 and widths[0] > 1, min(widths, default=0)

    return max(candidates, key=merit)


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """A first row of words above a column of numbers is a header; where all is words, a row that never comes back."""
    if len(rows) < 2:
        return False
    first, body = rows[0], rows[1:]
    if any(_NUMBER.fullmatch(field) or not field for field in first):
        return False
    numeric = any(all(_NUMBER.fullmatch(field) for field in column if field) for column in zip(*body, strict=False))
    unique = len(set(first)) == len(first)
    return unique and (
        numeric or all(field not in column for field, column in zip(first, zip(*body, strict=False), strict=False))
    )


def _column(name: str, values: Sequence[str]) -> CsvColumn:
    filled = [value for value in values if value]
    gaps = len(filled) < len(values)
    if filled and all(_INTEGER.fullmatch(value) and abs(int(value)) < 2**63 for value in filled):
        # A default of 0 is an int32; numbers that need more have to be floats where fields are empty.
        small = all(int(value) in _INT32 for value in filled)
        return CsvColumn(name, "int64" if not gaps else "int32" if small else "float32", gaps)
    numeric = bool(filled) and all(_NUMBER.fullmatch(value) for value in filled)
    return CsvColumn(name, "float32" if numeric else "string", gaps)
