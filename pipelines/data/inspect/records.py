"""A minimal reader of TFRecord files and ``tf.train.Example`` messages, without TensorFlow."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeprof.pipelines.wire import LENGTH, DamagedError, read_fields

Compression = Literal["", "GZIP"]
ValueKind = Literal["string", "float32", "int64"]

_LENGTH_BYTES = 12
_FOOTER_BYTES = 4
# A record that claims to be longer than this is taken for damage, not for data.
_LONGEST_RECORD = 1 << 30
_CASTAGNOLI = 0x82F63B78
_KINDS: dict[int, ValueKind] = {1: "string", 2: "float32", 3: "int64"}


class RecordError(ValueError):
    """A file is not what a TFRecord file is; the message says where and how, without the file's name."""


@dataclass(frozen=True)
class FeatureValues:
    """The values of one feature in one record.

    Attributes:
        kind: The dtype they are parsed to; None when the feature is there but holds no list at all.
    """

    kind: ValueKind | None
    count: int
    first: bytes | None = None


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_CASTAGNOLI if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """The checksum that TFRecord files carry: CRC-32C, rotated and shifted.

    Example:
        >>> hex(masked_crc32c(b"123456789"))
        '0xc78ab0e5'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def compression_of(path: Path) -> Compression | None:
    """Detect the compression of a TFRecord file; None for other files and empty ones."""
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
    if _is_length(start):
        return ""
    try:
        with gzip.open(path, "rb") as unpacked:
            return "GZIP" if _is_length(unpacked.read(_LENGTH_BYTES)) else None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None


def _is_length(header: bytes) -> bool:
    return len(header) == _LENGTH_BYTES and struct.unpack("<I", header[8:])[0] == masked_crc32c(header[:8])


def read_records(path: Path, compression: Compression, limit: int) -> Iterator[bytes]:
    """The first records of a TFRecord file, at most ``limit``.

    Raises:
        RecordError: A checksum is wrong or the file ends too early.
    """
    with gzip.open(path, "rb") if compression == "GZIP" else path.open("rb") as file:
        for number in range(limit):
            try:
                header = file.read(_LENGTH_BYTES)
                if not header:
                    return
                yield _rest_of_record(file, header, number)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise RecordError(f"damaged {compression} stream at record {number}") from error


def _rest_of_record(file: gzip.GzipFile | io.BufferedReader, header: bytes, number: int) -> bytes:
    if not _is_length(header):
        raise RecordError(f"record {number} has a wrong checksum of its length")
    (length,) = struct.unpack("<Q", header[:8])
    data = file.read(length) if length <= _LONGEST_RECORD else b""
    footer = file.read(_FOOTER_BYTES)
    if len(data) < length or len(footer) < _FOOTER_BYTES:
        raise RecordError(f"record {number} is truncated")
    if struct.unpack("<I", footer)[0] != masked_crc32c(data):
        raise RecordError(f"record {number} has a wrong checksum")
    return data


def read_example(record: bytes) -> dict[str, FeatureValues] | None:
    """The features of a serialised ``tf.train.Example`` by name; None if the record is something else."""
    try:
        features: dict[str, FeatureValues] = {}
        for number, part in _fields(record):
            if number != 1 or not isinstance(part, bytes):
                return None
            for inner_number, entry in _fields(part):
                if inner_number != 1 or not isinstance(entry, bytes):
                    return None
                name, values = _feature_entry(entry)
                features[name] = values
    except (RecordError, DamagedError, UnicodeDecodeError):
        return None
    return features or None


def _feature_entry(entry: bytes) -> tuple[str, FeatureValues]:
    name, values = "", FeatureValues(None, 0)
    for number, part in _fields(entry):
        if not isinstance(part, bytes) or number not in {1, 2}:
            raise RecordError("not an entry of a map")
        if number == 1:
            name = part.decode()
        else:
            values = _feature(part)
    return name, values


def _feature(message: bytes) -> FeatureValues:
    values = FeatureValues(None, 0)
    for number, part in _fields(message):
        if number not in _KINDS or not isinstance(part, bytes):
            raise RecordError("not a feature")
        kind = _KINDS[number]
        items = [item for inner_number, item in _fields(part) if inner_number == 1]
        if kind == "string":
            strings = [item for item in items if isinstance(item, bytes)]
            values = FeatureValues(kind, len(strings), strings[0] if strings else None)
        else:
            values = FeatureValues(kind, sum(_numbers_in(item, kind) for item in items))
    return values


def _numbers_in(item: bytes | int, kind: ValueKind) -> int:
    """Count the numbers in a field: several when packed, the usual encoding."""
    if isinstance(item, int):
        return 1
    return len(item) // 4 if kind == "float32" else sum(byte < 0x80 for byte in item)


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    for field in read_fields(message, 0, len(message)):
        yield field.number, message[field.begin : field.end] if field.kind == LENGTH else field.value
