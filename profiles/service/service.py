"""What a run does to a tf.data service before it has done it, and why a pipeline that reads from one gets nothing."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.meaning.constants import LOCAL
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.tables import read_table
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.wording import as_typed, listed

if TYPE_CHECKING:
    from pathlib import Path

    from pipeprof.pipelines.spec.load import LoadedSpec

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


_IMPORTED: Final = re.compile(r"\bdata\.experimental(?:\.service\b|\s+import\s[^\n]*\bservice\b)")
_REGISTERS: Final = re.compile(r"\b(?:distribute|register_dataset)\s*\(")
_STARTS: Final = re.compile(r"\b(?:distribute|from_dataset_id)\s*\(")


def what_is_registered(loaded: LoadedSpec | None, path: Path, *, again: str = "") -> str | None:
    """Say how many datasets and jobs a build makes on the services that its target reads from; None where it does not.

    Args:
        again: Which further processes do the same, for the end of the sentence.
    """
    said = _of_spec(loaded) if loaded is not None else None
    files = [path] if loaded is None else loaded.python_files
    parts = [part for part in (said, *map(_of_file, files)) if part is not None]
    return f"{'; '.join(parts)}{f'; {again}' if again else ''}" if parts else None


def _of_spec(loaded: LoadedSpec) -> str | None:
    services = [one.arguments["service"] for one in loaded.spec.placed() if traits(one.op).remote]
    services = [service for service in services if service != LOCAL]
    if not services:
        return None
    at = listed(sorted(set(services)))
    datasets, jobs = _count(len(services), "dataset"), _count(len(services), "job")
    return f"a build of this pipeline registers {datasets} with the tf.data service {at} and starts {jobs}"


def _of_file(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    datasets, jobs = (len(calls.findall(text)) if _IMPORTED.search(text) else 0 for calls in (_REGISTERS, _STARTS))
    if not datasets and not jobs:
        return None
    return (
        f"{path.name} has calls that register {_count(datasets, 'dataset')} with a tf.data service and start "
        f"{_count(jobs, 'job')} there, each time that a build reaches them"
    )


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
