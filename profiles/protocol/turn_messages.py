"""Messages of a worker that takes turns."""

from __future__ import annotations

from dataclasses import dataclass

from pipeprof.profiles.protocol.messages import WorkerMessage
from pipeprof.profiles.protocol.turns import BatchDigest


@dataclass(frozen=True)
class Built(WorkerMessage):
    """The pipeline is built and has given its first batches.

    Attributes:
        ended: The first epoch had no more than these.
        runtime_bytes: Resident memory once TensorFlow was loaded.
        build_seconds: How long building took, the user's code included.
        first_seconds: How long the first batch took.
        compared: Elements of an epoch that a cache keeps, which were the same in another epoch; 0 where no epochs were
            compared.
    """

    batches: list[BatchDigest]
    ended: bool
    runtime_bytes: int | None
    build_seconds: float
    first_seconds: float
    compared: int = 0


@dataclass(frozen=True)
class EditRefused(WorkerMessage):
    """The pipeline cannot be edited in this way, in one sentence; nothing was measured."""

    reason: str


@dataclass(frozen=True)
class TurnEnded(WorkerMessage):
    """The end of a turn.

    Attributes:
        seconds: From the step before them to the last one.
        wait_seconds: The device's time without work in them; None without a device.
        cpu_seconds: CPU time of the whole process in the turn.
        peak_bytes: Largest resident memory of the process so far.
        settled: Whether the step time had settled, for a warm-up.
        restarts: How often the data set had ended and begun again so far.
        read_bytes: What the process read from the disk in the turn; None where the system does not tell.
        freeing_seconds: How long TensorFlow took in the turn to free iterators that had ended; not in `seconds`.
    """

    steps: int
    seconds: float
    wait_seconds: float | None
    cpu_seconds: float
    peak_bytes: int | None
    settled: bool | None = None
    restarts: int | None = None
    read_bytes: int | None = None
    freeing_seconds: float = 0.0
