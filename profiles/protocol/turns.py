"""Turns: what a worker that alternates with others does, and its messages.

A worker that takes turns builds its pipeline, sends `Built`, and then works only on request. Between its turns the
harness stops all of its threads (SIGSTOP to its process group), so that a pipeline that prefetches does not
work in the turn of another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeprof.profiles.protocol.messages import WorkerMessage


@dataclass(frozen=True)
class TurnsJob:
    """How a worker prepares for its turns.

    Attributes:
        edits: Changes of the dataset's graph, each as the JSON of `pipelines.edits.edits.to_document`.
        round_trip: Rebuild the dataset from its graph also without edits, as an edited one is.
        digest_batches: First batches of the first epoch to describe.
        digest_seconds: After which no more of them are taken.
        environment: Variables of the process, set before anything is imported.
    """

    edits: list[str] = field(default_factory=list)
    round_trip: bool = False
    digest_batches: int = 8
    digest_seconds: float = 1.5
    environment: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class TurnRequest:
    """One turn.

    Attributes:
        kind: ``warm`` runs until the step time has settled, at most for `seconds`; ``block`` measures.
        seconds: Length of the measured part.
        steps: Steps that it has at least.
        settle_seconds: Steps of so many seconds before it are not counted: threads have just been started again.
    """

    kind: Literal["warm", "block"]
    seconds: float
    steps: int = 1
    settle_seconds: float = 0.0


@dataclass(frozen=True)
class BatchDigest:
    """What one of the first batches was.

    Attributes:
        data: Hash of all its tensors, in order.
        rows: Hashes of its elements along the first dimension; empty where the tensors do not share one.
        spec: Types and ranks of its tensors.
    """

    data: str
    rows: list[str]
    spec: str


@dataclass(frozen=True)
class Built(WorkerMessage):
    """The pipeline is built and has given its first batches.

    Attributes:
        batches: What they were.
        ended: The first epoch had no more than these.
        runtime_bytes: Resident memory once TensorFlow was loaded.
        build_seconds: How long building took, the user's code included.
        first_seconds: How long the first batch took.
    """

    batches: list[BatchDigest]
    ended: bool
    runtime_bytes: int | None
    build_seconds: float
    first_seconds: float


@dataclass(frozen=True)
class EditRefused(WorkerMessage):
    """The pipeline cannot be edited in this way, in one sentence; nothing was measured."""

    reason: str


@dataclass(frozen=True)
class TurnEnded(WorkerMessage):
    """The end of a turn.

    Attributes:
        steps: Steps that were counted.
        seconds: From the step before them to the last one.
        wait_seconds: The device's time without work in them; None without a device.
        cpu_seconds: CPU time of the whole process in the turn.
        peak_bytes: Largest resident memory of the process so far.
        settled: Whether the step time had settled, for a warm-up.
    """

    steps: int
    seconds: float
    wait_seconds: float | None
    cpu_seconds: float
    peak_bytes: int | None
    settled: bool | None = None
