"""Reader of Protocol Buffers' wire format: the fields of one message.

Only the numbers of fields matter, so no generated class of TensorFlow's is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

VARINT, EIGHT, LENGTH, FOUR = 0, 1, 2, 5
"""Kinds of fields: a number, eight bytes, bytes with their length before them, four bytes."""
MOST_BYTES: Final = 10
"""Bytes of a number, with 7 bits in each."""


class DamagedError(ValueError):
    """Data that ends too early, or is not a message."""


@dataclass(frozen=True)
class Field:
    """Field of one message.

    Attributes:
        value: The value, for a field that is a number; else 0.
    """

    number: int
    kind: int
    value: int
    begin: int
    end: int


def read_fields(data: bytes, begin: int, end: int) -> Iterator[Field]:
    """Yield the fields of one message."""
    at = begin
    while at < end:
        tag, at = read_varint(data, at)
        kind, number = tag & 7, tag >> 3
        value = 0
        first = at
        if kind == VARINT:
            value, at = read_varint(data, at)
        elif kind == LENGTH:
            length, first = read_varint(data, at)
            at = first + length
        elif kind in (EIGHT, FOUR):
            at += 8 if kind == EIGHT else 4
        else:
            raise DamagedError
        if at > end or not number:
            raise DamagedError
        yield Field(number, kind, value, first, at)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read the number that starts at an offset; return it and the offset of its end."""
    value = shift = 0
    while True:
        if at >= len(data) or shift >= 7 * MOST_BYTES:
            raise DamagedError
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
