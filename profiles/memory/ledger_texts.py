"""Display texts of the memory ledger: owners, and growth after the buffers have filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeprof.profiles.wording import grows, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Owner
    from pipeprof.profiles.document.memory import Memory

OWNERS: Mapping[Owner, str] = {
    "runtime": "TensorFlow itself",
    "source": "source data",
    "cache": "cache",
    "shuffle": "shuffle",
    "prefetch": "prefetch",
    "parallel": "batches in flight",
    "batch": "batches in flight",
    "consumer": "batch in the step",
    "python": "child processes",
    "slack": "freed, kept by the allocator",
}
"""The ledger's owners in reports."""
REST = "the rest (Python, libraries)"


def growth_text(memory: Memory) -> str | None:
    """State the growth of memory after the buffers have filled, over the measured steps.

    Memory that the allocator keeps is not growth: without growth of memory in use there is nothing to state.
    """
    if memory.soak is not None:
        return memory.soak.sentence
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
