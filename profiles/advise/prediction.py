"""A prediction of memory: what each stage should hold, and what is not known."""

from __future__ import annotations

from dataclasses import dataclass

from pipeprof.profiles.advise.view import StageView
from pipeprof.profiles.document.base import How, Owner
from pipeprof.profiles.document.memory import LedgerEntry

ELEMENT_OVERHEAD_BYTES = 130
COMPONENT_OVERHEAD_BYTES = 39
"""a buffered scalar takes 130 bytes and 47 for each component, 8 of which are its value."""
CACHE_OVERHEAD_BYTES = 186
"""a cached element beside its tensors."""


@dataclass(frozen=True)
class Held:
    """Bytes that a stage should hold at the peak.

    Attributes:
        owner: The ledger's word.
        stage: Address.
        bytes: Bytes; 0 for what is only a view of another stage's tensors.
        how: ``predicted``, or ``alias``.
        formula: The same in words and numbers.
        at_most: Whether there may be less, since the number of elements is not known.
        at_least: Whether there is more, since the size of a component is not known.
        steady: Bytes once the iterator has been made, where that is less.
        count: Elements held, in every open copy of the stage together.
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


@dataclass(frozen=True)
class NotKnown:
    """A stage that holds tensors of a size that cannot be told, and why."""

    owner: Owner
    stage: str
    reason: str


@dataclass(frozen=True)
class MemoryPrediction:
    """Everything a pipeline holds, above what TensorFlow itself takes.

    Attributes:
        held: In the order of the stages.
        unknown: What is missing from it.
    """

    held: tuple[Held, ...]
    unknown: tuple[NotKnown, ...]

    @property
    def total_bytes(self) -> int:
        """The sum of what is known; a lower bound when something is unknown."""
        return sum(one.bytes for one in self.held)

    @property
    def peak_bytes(self) -> int:
        """The largest sum at a time: either while sources and the iterator are made, or when all buffers are full."""
        making = sum(one.bytes for one in self.held if one.steady is not None)
        running = sum(one.bytes if one.steady is None else one.steady for one in self.held)
        return max(making, running)

    def overhead_of(self, owner: Owner, stage: StageView) -> int:
        """Bytes of an element from `stage` in a buffer of an owner, beside its values."""
        if owner == "shuffle":
            return shuffle_overhead_bytes(len(stage.element or ()) or 1)
        return CACHE_OVERHEAD_BYTES if owner == "cache" else 0

    def of(self, stage: str) -> int | None:
        """Bytes of one stage; ``None`` if it holds nothing or they are not known."""
        sizes = [one.bytes for one in self.held if one.stage == stage]
        return sum(sizes) if sizes else None

    def ledger(self) -> list[LedgerEntry]:
        """As the profile's ``memory.ledger``."""
        from pipeprof.profiles.document.memory import LedgerEntry

        return [LedgerEntry(owner=one.owner, stage=one.stage, bytes=one.bytes, how=one.how) for one in self.held]


def shuffle_overhead_bytes(components: int) -> int:
    """Bytes of one buffered element beside its values."""
    return ELEMENT_OVERHEAD_BYTES + COMPONENT_OVERHEAD_BYTES * components
