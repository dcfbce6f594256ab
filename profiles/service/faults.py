"""What is wrong with a tf.data service, in words: why a pipeline that reads from one gets no element."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from pipeprof.pipelines.tables import read_table
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.wording import as_typed, listed

CONNECT_SECONDS: Final = 1.0
"""For a connection, after which nothing is taken to listen."""


@dataclass(frozen=True)
class Symptom:
    """Row of the table of TensorFlow's messages: groups of the message go into the sentence."""

    said: re.Pattern[str]
    cause: str


@cache
def _faults() -> tuple[Symptom, ...]:
    rows: Sequence[Mapping[str, str]] = read_table("pipeprof.profiles.service", "faults")
    return tuple(Symptom(re.compile(row["said"], re.DOTALL), row["cause"]) for row in rows)


def cause_of_error(message: str, python: Sequence[ErrorFrame] = ()) -> str | None:
    """The cause behind an error of TensorFlow's about a service, by all of its message; None of other errors."""
    for fault in _faults():
        found = fault.said.search(message)
        if found is not None:
            places = [f"{frame.function} ({as_typed(frame.file)}:{frame.line})" for frame in python]
            return fault.cause.format(*found.groups(), python=listed(places or ["a stage before distribute"]))
    return None


def split_address(address: str) -> tuple[str, int] | None:
    """Host and port of an address with or without a protocol; None for what is none.

    Example:
        >>> split_address("grpc://localhost:5000"), split_address("[::1]:80"), split_address("train")
        (('localhost', 5000), ('::1', 80), None)
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 1 << 16):
        return None
    return host.strip("[]"), int(port)


def listens(address: str) -> bool:
    """Whether something accepts a connection at an address."""
    place = split_address(address)
    if place is None:
        return False
    with contextlib.suppress(OSError), socket.create_connection(place, timeout=CONNECT_SECONDS):
        return True
    return False


def cause_of_silence(address: str) -> str:
    """Why no element comes from a service at host:port that reports no error: TensorFlow waits for ever."""
    if split_address(address) is None:
        return f"no port is in {address}, the address of the dispatcher of the tf.data service"
    if not listens(address):
        return f"nothing listens at {address}, the address of the dispatcher of the tf.data service"
    return (
        f"the tf.data service at {address} gave no element in this time, though something listens there: it has no "
        "worker, a worker is lost or stopped, what listens is no dispatcher, or an element takes longer (--timeout)"
    )
