"""Messages in Protocol Buffers' wire format, written by hand: many read as columns are what each is alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worker.encoded_trace import chunk, number, varint

from pipeprof.pipelines.wire import DamagedError, Field, read_fields
from pipeprof.profiles.xplane.wire import read_messages, read_numbers, read_varints, split_parts

Part = tuple[int, int | bytes | None]
"""A field's number, and its value; None for one of eight bytes."""


def written(part: Part) -> bytes:
    field, value = part
    if value is None:
        return varint(field << 3 | 1) + bytes(range(8))
    return number(field, value) if isinstance(value, int) else chunk(field, value)


PARTS = st.lists(
    st.tuples(
        st.integers(1, 20),
        st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=200), st.none(), st.just(bytes(300))),
    ),
    max_size=6,
)


def laid_out(messages: list[list[Part]]) -> tuple[bytes, np.ndarray, np.ndarray]:
    data = [b"".join(map(written, one)) for one in messages]
    ends = np.cumsum([len(one) for one in data], dtype=np.int64)
    return b"".join(data), np.concatenate(([0], ends[:-1]))[: len(ends)], ends


@given(st.lists(PARTS, max_size=6))
def test_numbers_of_many_messages(messages: list[list[Part]]) -> None:
    data, begins, ends = laid_out(messages)
    found = read_numbers(np.frombuffer(data, np.uint8), begins, ends, (1, 3))
    for wanted, column in found.items():
        of_each = [[value for field, value in one if field == wanted and isinstance(value, int)] for one in messages]
        assert [int(value) % 2**64 for value in column] == [values[-1] if values else 0 for values in of_each]


@given(st.lists(PARTS, max_size=6))
def test_messages_in_many_messages(messages: list[list[Part]]) -> None:
    data, begins, ends = laid_out(messages)
    owners, firsts, afters = read_messages(np.frombuffer(data, np.uint8), begins, ends, 4)
    found = sorted((int(owner), data[first:after]) for owner, first, after in zip(owners, firsts, afters, strict=True))
    expected = [
        (index, value)
        for index, one in enumerate(messages)
        for field, value in one
        if field == 4 and isinstance(value, bytes)
    ]
    assert found == sorted(expected)


@given(PARTS)
def test_fields_one_by_one(parts: list[Part]) -> None:
    data, _, _ = laid_out([parts])
    found = list(read_fields(data, 0, len(data)))
    assert [one.number for one in found] == [field for field, _ in parts]
    for one, (_, value) in zip(found, parts, strict=True):
        if isinstance(value, int):
            assert one.value == value
        elif value is not None:
            assert data[one.begin : one.end] == value


@given(PARTS)
def test_fields_that_are_repeated(parts: list[Part]) -> None:
    parts = [(field, value) for field, value in parts if field != 4 or isinstance(value, bytes)]
    data, _, _ = laid_out([parts])
    others: list[Field] = []
    places = [place for spans in split_parts(data, 0, len(data), 4, others) for place in zip(*spans, strict=True)]
    values = [data[begin:end] for begin, end in places]
    assert values == [value for field, value in parts if field == 4]
    assert [one.number for one in others] == [field for field, _ in parts if field != 4]


@pytest.mark.parametrize("data", [b"\x08", b"\x08\x80", b"\x0b", b"\x22\x05a", b"\x09abc", b"\x08" + b"\xff" * 11])
def test_what_is_no_message_is_said_to_be_damaged(data: bytes) -> None:
    begins, ends = np.array([0]), np.array([len(data)])
    with pytest.raises(DamagedError):
        list(read_fields(data, 0, len(data)))
    with pytest.raises(DamagedError):
        read_numbers(np.frombuffer(data, np.uint8), begins, ends, (1,))
    with pytest.raises(DamagedError):
        list(split_parts(data, 0, len(data), 4, []))


def test_a_number_that_never_ends_is_damaged() -> None:
    with pytest.raises(DamagedError):
        read_varints(np.full(30, 0xFF, np.uint8), np.array([0, 3]))
