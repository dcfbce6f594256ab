from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.graph.read.graphdef import read_options


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return bytes([number << 3 | 2, len(value)]) + value
    return bytes([number << 3]) + varint(value)


def varint(value: int) -> bytes:
    found = bytearray()
    while True:
        found.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(found)


def test_options_by_dotted_path() -> None:
    message = field(1, 0) + field(5, field(1, 1) + field(2, 300)) + field(7, field(1, 0)) + field(9, 1)
    assert read_options(message) == {
        "deterministic": False,
        "threading.max_intra_op_parallelism": 1,
        "threading.private_threadpool_size": 300,
        "autotune.enabled": False,
        "experimental_warm_start": True,
    }


def test_fields_of_no_use_are_passed_over() -> None:
    message = field(10, b"name") + field(2, field(2, 3)) + bytes([6 << 3 | 1]) + b"8 bytes." + field(1, 1)
    assert read_options(message) == {"deterministic": True}


@given(st.binary(max_size=64))
def test_any_bytes_are_survived(message: bytes) -> None:
    assert all(isinstance(value, (bool, int)) for value in read_options(message).values())
