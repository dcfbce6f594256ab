"""Messages about the tf.data services that a worker's pipeline reads from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pipeprof.profiles.document.shared import ErrorFrame
from pipeprof.profiles.protocol.messages import WorkerMessage

SERVICE_FAILED: Final = "service"
"""Code of a failure whose cause is a tf.data service."""


@dataclass(frozen=True)
class ServiceRead:
    """A tf.data service that the pipeline reads from.

    Attributes:
        address: The dispatcher's host:port.
        shares: Arguments by which it takes elements from what others read as well.
        python: Where the stages before it were made that call Python.
        workers: How many of them were started for this run; None of another service.
    """

    address: str | None
    shares: list[str] = field(default_factory=list)
    job_name: str | None = None
    python: list[ErrorFrame] = field(default_factory=list)
    workers: int | None = None


@dataclass(frozen=True)
class ServiceAwaited(WorkerMessage):
    """The build waits for the dispatcher at this address; no sign of progress."""

    address: str


@dataclass(frozen=True)
class ServicesRead(WorkerMessage):
    """The services that the pipeline was seen to read from when it was built; nothing has been read yet."""

    services: list[ServiceRead]
