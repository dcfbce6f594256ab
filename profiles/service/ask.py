"""Read-only questions to a tf.data service: who its workers are, and whether they answer.

The two requests are TensorFlow's own, `GetWorkers` of the dispatcher and `GetWorkerTasks` of a worker; both messages
are empty, and of the answer only the workers' addresses are read. They are asked in a process of their own: whoever has
loaded gRPC prints warnings when it starts another process.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Final

from pipeprof.pipelines.target.import_path import child_command
from pipeprof.pipelines.wire import LENGTH, DamagedError, read_fields

CONNECT_SECONDS: Final = 1.0
"""For a connection, after which nothing is taken to listen."""
ANSWER_SECONDS: Final = 3.0
"""For an answer, after which who listens is taken not to answer."""
PROCESS_SECONDS: Final = 12.0
"""For all questions together, with the start of the process that asks them on a busy machine."""
MOST_ASKED: Final = 64
"""Workers that are asked whether they answer."""
_WORKERS: Final = "/tensorflow.data.DispatcherService/GetWorkers"
_TASKS: Final = "/tensorflow.data.WorkerService/GetWorkerTasks"


@dataclass(frozen=True)
class ServiceState:
    """A service at one moment.

    Attributes:
        address: The dispatcher's host:port.
        listens: Something accepts connections there.
        workers: Addresses of the registered workers; None where the dispatcher gave no answer.
        gone: Those of them at which nothing listens.
        silent: Those that accept a connection but do not answer.
        asked: gRPC could be loaded to ask.
    """

    address: str
    listens: bool
    workers: tuple[str, ...] | None = None
    gone: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    asked: bool = True


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


def plain_address(text: str) -> str | None:
    """The host:port of an address as TensorFlow takes it; None for what is none, or for another protocol.

    Example:
        >>> plain_address("grpc://localhost:5000"), plain_address("http://localhost:5000"), plain_address("localhost")
        ('localhost:5000', None, None)
    """
    scheme, found, address = text.rpartition("://")
    place = split_address(address)
    return address if place is not None and place[1] and (not found or scheme == "grpc") else None


def listens(address: str, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether something accepts a connection at an address within some seconds."""
    place = split_address(address)
    if place is None:
        return False
    with contextlib.suppress(OSError), socket.create_connection(place, timeout=seconds):
        return True
    return False


def ask(address: str, *, each: bool = False, seconds: float = PROCESS_SECONDS) -> ServiceState:
    """Ask the service of a dispatcher.

    Args:
        address: The dispatcher's host:port.
        each: Ask every worker as well.
        seconds: After which only what a connection shows is known.
    """
    command = child_command(__name__, "each" if each else "workers", address)
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds, check=True)
        state = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ServiceState(address, listens(address), asked=False)
    lists = {name: None if state[name] is None else tuple(state[name]) for name in ("workers", "gone", "silent")}
    return ServiceState(**state | lists)


def read_workers(message: bytes) -> tuple[str, ...]:
    """The addresses in a dispatcher's answer: field 1 of each message in its field 1."""
    found = []
    with contextlib.suppress(DamagedError, UnicodeDecodeError):
        for worker in read_fields(message, 0, len(message)):
            if (worker.number, worker.kind) != (1, LENGTH):
                continue
            for part in read_fields(message, worker.begin, worker.end):
                if (part.number, part.kind) == (1, LENGTH):
                    found.append(message[part.begin : part.end].decode())
    return tuple(found)


def _state(address: str, *, each: bool) -> ServiceState:
    """Ask in this process."""
    if not listens(address):
        return ServiceState(address, listens=False)
    answer = _call(address, _WORKERS)
    if answer is None:
        return ServiceState(address, listens=True)
    workers = read_workers(answer)
    if not each or not workers:
        return ServiceState(address, True, workers)
    with ThreadPoolExecutor(MOST_ASKED) as pool:
        states = dict(zip(workers, pool.map(_worker_state, workers[:MOST_ASKED]), strict=False))
    gone, silent = (tuple(name for name, state in states.items() if state == kind) for kind in ("gone", "silent"))
    return ServiceState(address, True, workers, gone, silent)


def _worker_state(address: str) -> str:
    if not listens(address):
        return "gone"
    return "silent" if _call(address, _TASKS) is None else "answers"


def _call(address: str, method: str) -> bytes | None:
    """The answer to an empty request; None where none comes, or an error."""
    import grpc

    with grpc.insecure_channel(address) as channel, contextlib.suppress(grpc.RpcError):
        answer: bytes = channel.unary_unary(method)(b"", timeout=ANSWER_SECONDS)
        return answer
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Print the state of a service as JSON."""
    how, address = argv or sys.argv[1:]
    os.environ["GRPC_VERBOSITY"] = "NONE"
    sys.stdout.write(json.dumps(asdict(_state(address, each=how == "each"))))
    return 0


def wait_for(address: str, workers: int, seconds: float) -> ServiceState:
    """Ask until so many workers are registered, or the time is over."""
    end = time.monotonic() + seconds
    while True:
        state = ask(address)
        if len(state.workers or ()) >= workers or time.monotonic() > end:
            return state
