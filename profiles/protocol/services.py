"""Messages about the tf.data services that a worker's pipeline reads from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.protocol.messages import Trace, WorkerMessage

SERVICE_FAILED: Final = "service"
"""Code of a failure whose cause is a tf.data service."""


@dataclass(frozen=True)
class ServiceRead:
    """A tf.data service that the pipeline reads from.

    Attributes:
        address: The dispatcher's host:port.
        shares: Arguments by which it takes elements from what others read as well.
        python: Where the stages before it were made that call Python.
        local: It was started for this run.
    """

    address: str | None
    shares: list[str] = field(default_factory=list)
    job_name: str | None = None
    python: list[ErrorFrame] = field(default_factory=list)
    local: bool = False


@dataclass(frozen=True)
class ServiceAwaited(WorkerMessage):
    """The build waits for the dispatcher at this address; no sign of progress."""

    address: str


@dataclass(frozen=True)
class ServicesRead(WorkerMessage):
    """The services that the pipeline was seen to read from when it was built; nothing has been read yet."""

    services: list[ServiceRead]


@dataclass(frozen=True)
class LocalWorker:
    """A worker that was started for this run; `traced_at` is the host:port of its profiler server."""

    pid: int
    traced_at: str


@dataclass(frozen=True)
class ServiceStarted(WorkerMessage):
    """A service was started for this run; `address` is its dispatcher's."""

    address: str
    workers: list[LocalWorker]


@dataclass(frozen=True)
class RegisteredGraphs:
    """Both graphs of a dataset that the workers run: as it was registered, and as TensorFlow runs it there."""

    dataset_id: str
    written: GraphDict
    executed: GraphDict


@dataclass(frozen=True)
class Registered(WorkerMessage):
    """The datasets that this process has registered."""

    graphs: list[RegisteredGraphs]


@dataclass(frozen=True)
class WorkerTraced:
    """A worker in the window of its trace.

    Attributes:
        traced_at: The host:port of its profiler server.
        cores: CPU seconds per second of its process, by its own marks; None of one that makes none.
        rss_bytes: The same of its resident memory.
        note: Why there is no trace of it; None where there is one.
    """

    traced_at: str
    cores: float | None = None
    rss_bytes: int | None = None
    note: str | None = None


@dataclass(frozen=True)
class WorkersTraced(WorkerMessage):
    """Traces of the workers, in one window.

    Attributes:
        trace: Of all of them together: `batches` are those that they made, and keys of the work are paths of iterators.
    """

    workers: list[WorkerTraced]
    trace: Trace
