"""Memory prediction: bytes of each stage, and stages of unknown size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pipeprof.profiles.constants import (
    BUFFER_HOLES,
    CACHE_OVERHEAD_BYTES,
    COMPONENT_BYTES,
    COUNTED_BYTES,
    ELEMENT_BYTES,
)
from pipeprof.profiles.document.base import How, Owner

if TYPE_CHECKING:
    from pipeprof.profiles.document.memory import LedgerEntry


@dataclass(frozen=True)
class BufferPrediction:
    """Predicted bytes of a stage at the peak.

    Attributes:
        bytes: Bytes; 0 for what is only a view of another stage's tensors.
        at_most: Whether there may be less, since the number of elements is not known.
        at_least: Whether there is more, since the size of a component is not known.
        steady: Bytes once the iterator has been made, where that is less.
        count: Elements held, in every open copy of the stage together.
        pooled: Those of its bytes that lie in TensorFlow's pool.
        residue: Free memory of the pool among its `steady` bytes, which other tensors in the pool use again.
    """

    owner: Owner
    stage: str
    bytes: int
    how: How
    formula: str
    at_most: bool = False
    at_least: bool = False
    steady: int | None = None
    count: int | None = None
    pooled: int = 0
    residue: int = 0


@dataclass(frozen=True)
class UnknownSize:
    """A stage that holds tensors of unknown size, and why."""

    owner: Owner
    stage: str
    reason: str


@dataclass(frozen=True)
class MemoryPrediction:
    """Memory of a pipeline, in addition to TensorFlow's own."""

    held: tuple[BufferPrediction, ...]
    unknown: tuple[UnknownSize, ...]

    @cached_property
    def total_bytes(self) -> int:
        """Sum of the known bytes; a lower bound if a size is unknown."""
        return sum(prediction.bytes for prediction in self.held)

    @cached_property
    def peak_bytes(self) -> int:
        """The largest sum at a time: either while sources and the iterator are made, or when all buffers are full."""
        making = sum(prediction.bytes for prediction in self.held if prediction.steady is not None)
        return max(making, self.running_bytes)

    @cached_property
    def running_bytes(self) -> int:
        """The sum once the iterator has been made and all buffers are full."""
        running = sum(prediction.bytes if prediction.steady is None else prediction.steady for prediction in self.held)
        return running - self._reused_bytes

    @property
    def _reused_bytes(self) -> int:
        """Free memory that making the sources leaves in the pool, as far as other tensors use it again.

        Smaller tensors take it in pieces, after which one of more than half of its size finds no room there.
        """
        pieces = [prediction.residue for prediction in self.held]
        most = max(pieces, default=0) / 2
        return min(
            sum(pieces),
            sum(
                prediction.pooled
                for prediction in self.held
                if prediction.count and prediction.pooled <= most * prediction.count
            ),
        )

    def of(self, stage: str) -> int | None:
        """Return the bytes of one stage; ``None`` if it holds nothing or they are not known."""
        sizes = [prediction.bytes for prediction in self.by_stage.get(stage, ())]
        return sum(sizes) if sizes else None

    @cached_property
    def by_stage(self) -> dict[str, list[BufferPrediction]]:
        """Predicted bytes of each stage, by its id."""
        found: dict[str, list[BufferPrediction]] = {}
        for prediction in self.held:
            found.setdefault(prediction.stage, []).append(prediction)
        return found

    def ledger(self) -> list[LedgerEntry]:
        """Convert to the profile's ``memory.ledger``."""
        from pipeprof.profiles.document.memory import LedgerEntry

        return [
            LedgerEntry(owner=prediction.owner, stage=prediction.stage, bytes=prediction.bytes, how=prediction.how)
            for prediction in self.held
        ]


def element_overhead_bytes(components: int, *, counted: bool = False) -> int:
    """Return the bytes of one buffered element beyond its values.

    Args:
        components: Tensors of its own, without the views of strings.
        counted: It is a number that the pipeline counts.
    """
    return ELEMENT_BYTES + (COUNTED_BYTES if counted else COMPONENT_BYTES * components)


def shuffle_overhead_bytes(components: int, small: float = 0, *, counted: bool = False) -> int:
    """Return an element's bytes in a shuffle's buffer beyond its values, gaps between blocks included.

    Args:
        components: Tensors of its own. An element without any leaves no gaps: its blocks all have the same size.
        small: Bytes of its values that are smaller than `POOLED_FROM`.
        counted: It is a number that the pipeline counts itself.
    """
    overhead = element_overhead_bytes(components, counted=counted)
    if not components:
        return overhead
    return round(overhead + BUFFER_HOLES * (overhead + small))


def cache_overhead_bytes(components: int) -> int:
    """Return bytes that an element with this many tensors of its own takes in a cache in addition to its values."""
    return CACHE_OVERHEAD_BYTES + (CACHE_OVERHEAD_BYTES - ELEMENT_BYTES) * (components - 1)
