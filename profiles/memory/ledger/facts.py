"""What the ledger of memory is made from: readings of the process, and what stages held."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeprof.profiles.constants import PYTHON_BLOCK_BYTES
from pipeprof.profiles.document.base import How, Owner, PhaseName

AT_REST: PhaseName = "trace"
"""The phase of the one look that was taken when nobody took batches."""
IN_FLIGHT = "in flight"
BUILDING = "building the pipeline"
OBJECTS = "large Python objects"
LIBRARIES = "libraries"
CHILDREN = "child processes"
INDEX = "the pool's index of its memory"
LEAKED = "tensors that no stage holds"
KEPT = "small objects that were kept"


@dataclass(frozen=True)
class ProcessReading:
    """The process at the end of a stretch of the run, and its peaks in that stretch; None for what is not known.

    Attributes:
        rss: Resident memory.
        peak: The most of it.
        file: Of mapped files.
        live: In use in the pool.
        live_peak: The most of it.
        heap: In use in glibc's heap.
        heap_free: Free in it.
        mapped: In glibc's blocks with a mapping of their own.
        blocks: Python's blocks; a number.
        heap_most: The most of `heap` that was seen.
        near_rss: Resident memory at the moment nearest to the peak at which the heap was looked at.
        near_heap: Of `heap` then.
        near_free: Of `heap_free` then.
        pool: Of the pool's regions; what else is known of the pool is what is in use.
        pool_hidden: What regions that were not found may take besides.
        pool_index: What the pool's index of its regions takes besides.
    """

    rss: int
    peak: int | None = None
    file: int | None = None
    live: int | None = None
    live_peak: int | None = None
    heap: int | None = None
    heap_free: int | None = None
    mapped: int | None = None
    blocks: int | None = None
    heap_most: int | None = None
    near_rss: int | None = None
    near_heap: int | None = None
    near_free: int | None = None
    pool: int | None = None
    pool_hidden: int | None = None
    pool_index: int | None = None

    @property
    def in_use(self) -> int | None:
        """Bytes of glibc's blocks in use, those with a mapping of their own among them."""
        return None if self.heap is None or self.mapped is None else self.heap + self.mapped


def grown_in_use(before: ProcessReading, after: ProcessReading) -> int | None:
    """Bytes by which what is in use outside the pool grew; None where nobody can tell.

    Glibc's blocks, and Python's: of these the number is known, so that they are what else the process has grown by, at
    most what so many can take.
    """
    if before.in_use is None or after.in_use is None:
        return None
    heap = after.in_use - before.in_use
    if before.blocks is None or after.blocks is None:
        return heap
    pool = (after.live or 0) - (before.live or 0)
    free = (after.heap_free or 0) - (before.heap_free or 0)
    other = after.rss - before.rss - heap - free - pool - ((after.file or 0) - (before.file or 0))
    return heap + max(0, min(other, PYTHON_BLOCK_BYTES * (after.blocks - before.blocks)))


@dataclass(frozen=True)
class Source:
    """Tensors that a stage holds from the start."""

    stage: str
    bytes: int
    constant: bool = False


@dataclass(frozen=True)
class Buffer:
    """What a stage holds while the pipeline runs.

    Attributes:
        owner: The ledger's word.
        stage: Its id.
        bytes: As TensorFlow's model counts them, without what lies in another stage's memory.
        elements: How many elements.
        pooled: Share of the bytes that lies in the pool.
        unsized: The model does not count all of its bytes: strings and variants (ragged, sparse).
        texts: What it does not count is in proportion to what it does: strings.
        most: Bytes that its elements take at most, where that is known of texts.
        parts: Its elements are parts of larger tensors, each of which stays as long as one of them is held.
        pool_only: What it holds is only known of the pool: what the heap grew by may be anybody's.
        windows: They are windows, which no look counts.
        weight: Elements of the source in one of its elements.
        alias: Its tensors are another stage's.
        overhead: Bytes in use of one element beside its values.
        holes: Bytes of one element that lie free between blocks of the heap.
    """

    owner: Owner
    stage: str
    bytes: float
    elements: float
    pooled: float = 1.0
    unsized: bool = False
    texts: bool = False
    most: float = math.inf
    parts: bool = False
    pool_only: bool = False
    windows: bool = False
    weight: float = 1.0
    alias: bool = False
    overhead: float = 0.0
    holes: float = 0.0


@dataclass(frozen=True)
class Entry:
    """Bytes with an owner."""

    owner: Owner
    stage: str | None
    bytes: int
    how: How
    what: str | None = None


@dataclass(frozen=True)
class LedgerFacts:
    """What the ledger is made from.

    Attributes:
        readings: By the name of what had just ended: import, build, iterator, first, released, warmup, measure.
        peak: Largest resident memory of the process with its children.
        peak_phase: When it was reached: the name of the reading that ends that stretch.
        sources: In-memory sources.
        arrays: Bytes of Python arrays that sources were made of and that are still there.
        python: Bytes of other large Python objects.
        children: Memory of child processes at the peak.
        libraries: Resident bytes of libraries that were loaded since.
        files: Resident bytes of mapped data files.
        buffers: At the fullest look of that stretch.
        first: What the buffers held when the first element had just been read.
        live: Pool bytes at that look.
        batch_bytes: Bytes of a batch that the loop holds.
        in_flight: Bytes that batches in flight and calls under way may take, by stage and owner.
        trimmed: What glibc gave back in the end.
        captured: Functions of the pipeline hold constants.
        pool_scale: Bytes that the pool has in use for a byte of a buffered tensor: its chunks are up to twice as large.
        aliases: Owners and stages whose tensors are another stage's.
        leaked: Live tensors grew with all buffers full.
    """

    readings: Mapping[str, ProcessReading]
    peak: int
    peak_phase: str
    sources: Sequence[Source] = ()
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
    captured: bool = False
    pool_scale: float = 1.0
    aliases: Sequence[tuple[Owner, str]] = ()
    leaked: bool = False


@dataclass
class Ledger:
    """The entries, and what they leave."""

    entries: list[Entry] = field(default_factory=list)
    unexplained: int = 0
