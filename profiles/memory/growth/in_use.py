"""Growth of memory in use between two readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.profiles.constants import PYTHON_BLOCK_BYTES

if TYPE_CHECKING:
    from pipeprof.profiles.protocol.messages import MemoryReading


def grown_in_use(before: MemoryReading, after: MemoryReading) -> int | None:
    """Return the growth in bytes of memory in use outside the pool; None where unknown.

    Glibc's blocks, and Python's: only the number of Python's is known, so their bytes are the rest of the process's
    growth, limited by that number of blocks.
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
