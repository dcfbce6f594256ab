"""A trace file of TensorFlow's (XPlane), encoded by hand."""

from __future__ import annotations


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


LINE_NS = 1234
LINE_PS = LINE_NS * 1000


def event(metadata: int, offset: int, duration: int, *more: bytes) -> bytes:
    return chunk(4, number(1, metadata) + number(2, offset) + number(3, duration) + b"".join(more))


def line(*events: bytes, name: str = "tf_data_worker", thread: int = 77) -> bytes:
    return chunk(3, number(1, thread) + chunk(2, name) + number(3, LINE_NS) + b"".join(events) + number(9, 5))


def named(key: int, name: str) -> bytes:
    return chunk(4, number(1, key) + chunk(2, number(1, key) + chunk(2, name)))


def plane(name: str, *parts: bytes) -> bytes:
    return chunk(1, number(1, 3) + chunk(2, name) + b"".join(parts))
