"""Turns: what a worker that alternates with others does.

A worker that takes turns builds its pipeline, tells of it, and then works only on request. Between its turns the
harness stops all of its threads (SIGSTOP to its process group), so that a pipeline that prefetches does not
work in the turn of another one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeprof.pipelines.changes.chain import Replay


@dataclass(frozen=True)
class TurnsJob:
    """Preparation of a worker for its turns.

    Attributes:
        ops: For a spec, its ops by address, for changes of its calls and a replay; None for a Python function.
        digest_batches: First batches of the first epoch to describe.
        times_stages: Read TensorFlow's model in each block, for the time of each stage.
        paced: Blocks may say how far apart batches come, to see whether a slow-down is found.
        hold_bytes: Allocated and kept, to see whether it is found.
        warm_steps: Steps that a warm-up has at least, whatever they take: a cache fills in them.
        compare_epochs: Refuse a pipeline with a cache where what it would keep differs from epoch to epoch.
    """

    edits: list[str] = field(default_factory=list)
    ops: list[tuple[str, str]] | None = None
    digest_batches: int = 8
    digest_seconds: float = 1.5
    environment: list[tuple[str, str]] = field(default_factory=list)
    replay: Replay | None = None
    times_stages: bool = False
    paced: bool = False
    hold_bytes: int = 0
    warm_steps: int = 0
    compare_epochs: bool = False


@dataclass(frozen=True)
class TurnRequest:
    """One turn.

    Attributes:
        kind: ``warm`` runs until the step time has settled, at most for `seconds` unless the job has more steps of
            warm-up; ``block`` measures; ``stages`` requests the graphs, with the model as it was in all blocks so far.
        settle_seconds: Steps of so many seconds before it are not counted: threads have just been started again.
    """

    kind: Literal["warm", "block", "stages"]
    seconds: float = 0.0
    steps: int = 1
    settle_seconds: float = 0.0
    batch_seconds: float = 0.0


@dataclass(frozen=True)
class BatchDigest:
    """Hashes of one of the first batches.

    Attributes:
        rows: Hashes of its elements along the first dimension; empty where the tensors do not share one.
        exact: Hash of all that is no floating-point number, and of the shapes.
        sums: Of blocks of the floating-point numbers: a weighted sum, and by how much rounding may change it.
    """

    data: str
    rows: list[str]
    spec: str
    exact: str = ""
    sums: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Built:
    """The pipeline is built and has given its first batches.

    Attributes:
        compared: Elements of an epoch that a cache keeps, which were the same in another epoch; 0 where no epochs were
            compared.
        racing: Whether several calls at a time draw its random numbers, so that two processes agree by chance only.
    """

    batches: list[BatchDigest]
    ended: bool
    runtime_bytes: int | None
    build_seconds: float
    first_seconds: float
    compared: int = 0
    racing: bool = False
    reordered: bool = False


@dataclass(frozen=True)
class TurnEnded:
    """The end of a turn.

    Attributes:
        seconds: From the step before them to the last one.
        wait_seconds: The device's time without work in them; None without a device.
        cpu_seconds: CPU time of the whole process in the turn, and of the workers of its own tf.data service.
        freeing_seconds: How long TensorFlow took in the turn to free iterators that had ended; not in `seconds`.
        own_seconds: What handing out a replay took in them; not in `seconds` nor in `wait_seconds`.
    """

    steps: int
    seconds: float
    wait_seconds: float | None
    cpu_seconds: float
    peak_bytes: int | None
    restarts: int | None = None
    read_bytes: int | None = None
    freeing_seconds: float = 0.0
    own_seconds: float = 0.0
