"""Display texts of the memory ledger: owners, and growth after the buffers have filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pipeprof.profiles.memory.ledger.vocabulary import (
    ARROW,
    BUILDING,
    BUILT,
    BUILT_OR_ARROW,
    CHILDREN,
    KEPT,
    KEPT_BYTES,
    LEAKED,
    LIBRARIES,
    OBJECTS,
)
from pipeprof.profiles.wording import grows, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Owner
    from pipeprof.profiles.document.memory import LedgerEntry, Memory

OWNERS: Mapping[Owner, str] = {
    "runtime": "TensorFlow itself",
    "source": "source data",
    "cache": "cache",
    "shuffle": "shuffle",
    "prefetch": "prefetch",
    "parallel": "batches in flight",
    "batch": "batches in flight",
    "consumer": "batch in the step",
    "python": "Python",
    "slack": "freed, kept by the allocator",
}
"""The ledger's owners in reports."""
_PYTHON: Mapping[str, str] = {
    ARROW: "pyarrow's memory pool",
    BUILDING: "building the pipeline",
    BUILT: "Python objects that your code made",
    BUILT_OR_ARROW: "Python objects that your code made, pyarrow's among them",
    CHILDREN: "child processes",
    KEPT: "small Python objects",
    LEAKED: "tensors that no stage holds",
    LIBRARIES: "libraries",
    OBJECTS: "large Python objects",
}


def owner_text(entry: LedgerEntry) -> str:
    """Name the owner of an entry as reports show it.

    Example:
        >>> from pipeprof.profiles.document.memory import LedgerEntry
        >>> owner_text(LedgerEntry(owner="slack", bytes=1, how="measured"))
        'freed, kept by the allocator'
    """
    if entry.owner == "python" and entry.what is not None:
        return _PYTHON.get(entry.what, OWNERS["python"])
    return OWNERS[entry.owner]


def kept_text(memory: Memory) -> str:
    """State how much freed memory the allocators kept, and how it varied; empty where it was little."""
    kept = memory.kept
    if kept is None or kept.high_bytes < KEPT_BYTES:
        return ""
    low, high = size(kept.low_bytes), size(kept.high_bytes)
    return (
        f"Freed, kept by the allocator: {low if low == high else f'{low} to {high}'} in {kept.readings} readings of "
        "this run. It depends on the order in which threads free tensors, so another run may keep more or less. "
        "Nothing that is in use has grown by it."
    )


def growth_text(memory: Memory, stage_name: Callable[[str], str]) -> str | None:
    """State the growth of memory after the buffers have filled, over the measured steps.

    Memory that the allocator keeps is not growth: without growth of memory in use there is nothing to state.
    """
    if memory.soak is not None:
        return memory.soak.sentence
    if memory.growth is None and memory.filling:
        return f"{stage_name(memory.filling)} was still filling when the measurement ended."
    return leak_text(memory) or None


def leak_text(memory: Memory) -> str:
    """State a leak: growth of memory in the measured steps, and the evidence; empty where there is none."""
    growth = memory.growth
    if growth is None or not growth.leak:
        return ""
    if memory.soak is not None:
        return memory.soak.sentence
    words, grown, over = grows(growth), growth.in_use_bytes or growth.bytes, ""
    if grown and growth.steps:
        over = f": {size(grown)} over the last {_steps(growth.steps)}"
    return (
        f"{words[0].upper()}{words[1:]}{over}, after all buffers had filled. `pipeprof run --soak 5m` shows what "
        "grows and when memory runs out."
    )


def _steps(count: int) -> str:
    return f"{count:,} step{'' if count == 1 else 's'}"
