"""TensorFlow's profiler server in a worker of a tf.data service, and marks in what it records.

A trace of another process has neither a clock that can be compared nor the CPU time of its process. So the worker
writes both, with its memory, into names of events, a few times a second. While nothing is recorded, a mark takes
some microseconds.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.clocks import time
from pipeprof.profiles.host import procfs

if TYPE_CHECKING:
    from pipeprof.profiles.xplane.xplane import Events

EVERY_SECONDS: Final = 0.05
LISTEN_SECONDS: Final = 5.0
"""For the server to listen."""
_MARK: Final = "pipeprof marks a worker, "
_NUMBERS: Final = 3


@dataclass(frozen=True)
class WorkerMark:
    """The worker at one moment.

    Attributes:
        traced_ps: On the clock of the trace.
        at_ns: On that of ``time.monotonic_ns`` on the worker's machine.
        cpu_ns: CPU time of its process until then.
    """

    traced_ps: int
    at_ns: int
    cpu_ns: int
    rss_bytes: int


def free_port(port: int = 0) -> int:
    """Return a port at which nothing listens: the given one, or one that the kernel chooses.

    TensorFlow's servers share a port with any other one that allows it, without an error.

    Raises:
        OSError: Something listens there, or it may not be used.
    """
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("", port))
        return int(one.getsockname()[1])


def start_profiler(tf: Any, port: int = 0) -> int:
    """Start the profiler server of this process; return its port.

    Raises:
        OSError: The port is taken, or nothing listens there afterwards: TensorFlow only logs that.
    """
    port = free_port(port)
    tf.profiler.experimental.server.start(port)
    end = time.monotonic() + LISTEN_SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("localhost", port), timeout=1.0):
            return port
        if time.monotonic() > end:
            raise OSError(f"TensorFlow's profiler server does not listen at port {port}")
        time.sleep(0.02)


def mark_until(over: threading.Event, tf: Any) -> None:
    """Mark the worker from time to time, until that is over."""
    mark = tf.profiler.experimental.Trace
    while not over.wait(EVERY_SECONDS):
        with mark(f"{_MARK}{time.monotonic_ns()},{time.process_time_ns()},{procfs.own_rss_bytes() or 0}"):
            pass


def read_marks(events: Events) -> list[WorkerMark]:
    """Return the marks of a trace in the order of their times; none of a worker that makes none."""
    found = []
    for index, name in enumerate(events.names):
        numbers = name.removeprefix(_MARK).split(",") if name.startswith(_MARK) else []
        starts = events.start_ps[events.name == index]
        if len(numbers) == _NUMBERS and len(starts) and all(number.isdecimal() for number in numbers):
            found.append(WorkerMark(int(starts.min()), *map(int, numbers)))
    return sorted(found, key=lambda mark: mark.at_ns)


def cores_between(marks: Sequence[WorkerMark]) -> float | None:
    """CPU seconds per second of the worker's process between the first mark and the last."""
    if len(marks) < 2 or marks[-1].at_ns <= marks[0].at_ns:
        return None
    return (marks[-1].cpu_ns - marks[0].cpu_ns) / (marks[-1].at_ns - marks[0].at_ns)


def offset_ps(marks: Sequence[WorkerMark]) -> int | None:
    """Return the offset from the clock of the marks to the trace's; the smallest: a thread may lose its core."""
    return min((mark.traced_ps - 1000 * mark.at_ns for mark in marks), default=None)
