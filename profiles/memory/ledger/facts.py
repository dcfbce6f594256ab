"""Input facts of the memory ledger: readings of the process, and stages' buffers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.profiles.document.base import How, Owner
from pipeprof.profiles.protocol.messages import BuildMemory, MemoryReading


@dataclass(frozen=True)
class SourceTensors:
    """Tensors that a stage holds from the start; without a stage where that is not known."""

    stage: str | None
    bytes: int
    constant: bool = False


@dataclass(frozen=True)
class Buffer:
    """Memory that a stage holds while the pipeline runs.

    Attributes:
        bytes: As TensorFlow's model counts them, without what lies in another stage's memory.
        full: How many it had at the peak, where it was full then; None where that is not known.
        pooled: Share of the bytes in the pool.
        unsized: The model does not count all of its bytes: strings and variants (ragged, sparse).
        texts: Its uncounted bytes are in proportion to the counted ones: strings.
        most: Bytes that its elements take at most, where that is known of texts.
        parts: Its elements are parts of larger tensors; a tensor stays as long as one of its parts is held.
        pool_only: Its size is known only from the pool; growth of the heap cannot be attributed.
        windows: Its elements are windows, whose bytes the model does not count.
        weight: Elements of the source in one of its elements.
        counted: The model's bytes of it are possible; else only its elements are known.
        overhead: Bytes in use of one element in addition to its values.
        holes: Bytes of one element that lie free between blocks of the heap.
        chunks: Bytes of the pool's chunks for a byte of its tensors there.
    """

    owner: Owner
    stage: str
    bytes: float
    elements: float
    pooled: float = 1.0
    full: float | None = None
    unsized: bool = False
    texts: bool = False
    most: float = math.inf
    parts: bool = False
    pool_only: bool = False
    windows: bool = False
    weight: float = 1.0
    alias: bool = False
    counted: bool = True
    overhead: float = 0.0
    holes: float = 0.0
    chunks: float = 1.0

    @property
    def in_pool(self) -> float:
        """Its bytes in TensorFlow's pool."""
        return self.bytes * self.pooled

    @property
    def in_heap(self) -> float:
        """Its bytes in use in glibc's heap, in addition to its values those of its elements."""
        return self.bytes * (1 - self.pooled) + self.overhead * self.elements


@dataclass(frozen=True)
class Entry:
    """Bytes with an owner."""

    owner: Owner
    stage: str | None
    bytes: int
    how: How
    what: str | None = None
    place: tuple[str, int, str | None] | None = None
    """The user's file, line and function that made most of it, where that is known."""
    passing: int = 0
    """Bytes of it in flight, on their way into a buffer or out of it."""
    chunks: float = 1.0
    """Bytes of the pool's chunks for a byte of the tensors in them."""


@dataclass(frozen=True)
class LedgerFacts:
    """Measured facts for the ledger.

    Attributes:
        readings: By the name of the stretch that had just ended: import, build, iterator, first, released, warmup,
            measure.
        peak: Largest resident memory of the process with its children.
        peak_phase: When it was reached: the name of the reading that ends that stretch.
        arrays: Bytes of Python arrays that sources were made of and that are still there.
        python: Bytes of other large Python objects.
        libraries: Resident bytes of libraries that were loaded since.
        files: Resident bytes of mapped data files.
        first: What the buffers held when the first element had just been read.
        live: Pool bytes at that look.
        in_flight: Bytes that batches in flight and calls under way may take, by stage and owner.
        trimmed: Bytes that glibc returned in the end.
        pool_scale: Bytes that the pool has in use for a byte of a buffered tensor: its chunks are up to twice as large.
        aliases: Owners and stages whose tensors are another stage's.
        build: What the user's function made the process grow by while it built the dataset; None for a spec.
    """

    readings: Mapping[str, MemoryReading]
    peak: int
    peak_phase: str
    sources: Sequence[SourceTensors] = ()
    arrays: int = 0
    python: int = 0
    children: int = 0
    libraries: int = 0
    files: int = 0
    buffers: Sequence[Buffer] = ()
    first: Sequence[Buffer] = ()
    live: int | None = None
    batch_bytes: float | None = None
    in_flight: Sequence[tuple[Owner, str, int]] = ()
    trimmed: int | None = None
    captured: Sequence[SourceTensors] = ()
    pool_scale: float = 1.0
    aliases: Sequence[tuple[Owner, str]] = ()
    leaked: bool = False
    build: BuildMemory | None = None

    @property
    def is_making(self) -> bool:
        """Whether the peak was reached before the pipeline ran."""
        return self.peak_phase in ("build", "iterator")

    @property
    def made(self) -> MemoryReading | None:
        """The reading when the dataset, and the iterator if there was one, had been made."""
        return self.readings.get("iterator") or self.readings.get("build")


@dataclass
class Ledger:
    """Entries of the ledger, and the unattributed rest."""

    entries: list[Entry] = field(default_factory=list)
    unexplained: int = 0
    buffers: Sequence[Buffer] = ()
    """What the stages' entries stand for."""
