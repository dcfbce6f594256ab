"""Buffers and sources in TensorFlow's pool, which never returns memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pipeprof.profiles.constants import POOL_HOLES
from pipeprof.profiles.memory.ledger.facts import Buffer, LedgerFacts
from pipeprof.profiles.protocol.messages import MemoryReading

_SOME = 1_000_000
"""Bytes of tensors that prove that the pool had regions when the iterator was created."""


def pool_at(facts: LedgerFacts) -> MemoryReading | None:
    """Return the reading with the pool's resident bytes at the peak: that one or a later one, as it never shrinks."""
    names = list(facts.readings)
    later = [facts.readings[name] for name in names[names.index(facts.peak_phase) :]]
    return next((reading for reading in later if reading.pool is not None), None)


def in_use(facts: LedgerFacts) -> int | None:
    """Return the bytes of the pool in use at its peak, without untouched pages of its chunks."""
    most, seen = facts.readings[facts.peak_phase].live_peak, pool_at(facts)
    if most is None or seen is None or seen.pool is None:
        return most
    return min(most, seen.pool + (seen.pool_hidden or 0))


def pool_free(facts: LedgerFacts, residue: int) -> int:
    """Return the pool's resident bytes not in use at the peak, without the residue of creating the sources.

    Where its pages were not counted, the bytes that it had in use before and no longer then.
    """
    now, seen = facts.readings[facts.peak_phase], pool_at(facts)
    if seen is not None and seen.pool is not None:
        return max(0, seen.pool - (now.live_peak or 0) - residue)
    names = list(facts.readings)
    peaks = [facts.readings[name].live_peak or 0 for name in names[: names.index(facts.peak_phase) + 1]]
    return max(0, max(peaks, default=0) - (now.live_peak or 0) - residue)


def kept_free(readings: Mapping[str, MemoryReading]) -> list[int]:
    """Bytes that allocators kept after they were freed, at every reading of the running pipeline that tells.

    Glibc's heap at the end of a stretch and nearest to its peak, with the pool's regions that were not in use then.
    """
    base = readings.get("import")
    running = [readings[name] for name in ("first", "warmup", "measure") if name in readings]
    if base is None or base.heap_free is None:
        return []
    found = []
    for number, one in enumerate(running):
        pool = next((later.pool for later in running[number:] if later.pool is not None), None) or 0
        for free, live in ((one.heap_free, one.live), (one.near_free, one.live_peak)):
            if free is not None:
                found.append(max(0, free - base.heap_free) + max(0, pool - (live or 0)))
    return found


def index_bytes(facts: LedgerFacts) -> int:
    """Return the growth of the pool's index since the iterator's creation; 0 if unknown.

    With fewer tensors in it there would be fewer regions, but they are no stage's: the pool doubles with each.
    """
    made, seen = facts.readings.get("iterator"), pool_at(facts)
    if made is None or seen is None or seen.pool_index is None:
        return 0
    if made.pool_index is None and (made.live_peak or 0) >= _SOME:
        return 0
    return max(0, seen.pool_index - (made.pool_index or 0))


def within_pool(facts: LedgerFacts, buffers: list[Buffer], most: float | None) -> list[Buffer]:
    """Limit buffers of large tensors to the pool's peak in use, and to the growth of the process.

    Elements may share a tensor, as where a function gives a constant.

    Args:
        most: Bytes of the pool in use at its peak, less those that were when the iterator had just been made.
    """
    made = facts.readings.get("iterator")
    large = [buffer for buffer in buffers if buffer.pooled and not (buffer.unsized or buffer.alias)]
    said = sum(buffer.in_pool for buffer in large)
    if made is None or most is None or not said:
        return buffers
    scale = min(1.0, max(most, facts.peak - facts.children - made.rss) / said)
    return [_scale_buffer(buffer, scale) if buffer in large else buffer for buffer in buffers]


def in_chunks(buffers: list[Buffer], scale: float) -> list[Buffer]:
    """Add the pool chunks' bytes beyond the tensors to the buffers.

    The pool splits a free chunk into pieces of one size; the last piece keeps the rest, less than a piece. So of a
    larger tensor a larger part is rest, in proportion to its size and at most as much again.

    Args:
        buffers: All of them; of those whose tensors have no known size nothing changes.
        scale: Bytes of chunks for a byte of their tensors, of all together.
    """
    sizes = [
        buffer.in_pool / buffer.elements if buffer.elements and not (buffer.unsized or buffer.alias) else 0.0
        for buffer in buffers
    ]
    weights = sum(size * size * one.elements for size, one in zip(sizes, buffers, strict=True))
    more = (scale - 1) * sum(size * one.elements for size, one in zip(sizes, buffers, strict=True))
    ratios = [1 + min(1.0, more * size / weights) if size else 1.0 for size in sizes]
    return [
        replace(_scale_buffer(one, ratio), chunks=ratio) if ratio > 1 else one
        for ratio, one in zip(ratios, buffers, strict=True)
    ]


def _scale_buffer(one: Buffer, scale: float) -> Buffer:
    inside = one.in_pool * scale
    total = one.bytes * (1 - one.pooled) + inside
    return replace(one, bytes=total, pooled=inside / total if total else one.pooled)


def used_again(facts: LedgerFacts) -> int:
    """Return the bytes left free by creating the sources that later tensors have reused.

    The pool takes untouched free pieces as readily as those: only what it has in use, with holes,
    beyond what the process has grown by lies in memory that was there.
    """
    made, now = facts.readings.get("iterator"), facts.readings[facts.peak_phase]
    if made is None or facts.peak_phase == "iterator":
        return 0
    more = (now.live_peak or 0) - (made.live or 0)
    if made.heap is None or now.heap is None:
        return max(0, more)
    heap = now.heap + (now.heap_free or 0) - made.heap - (made.heap_free or 0)
    grown = (
        facts.peak
        - facts.children
        - _when_made(facts, made)
        - max(0, heap)
        - max(0, (now.file or 0) - (made.file or 0))
    )
    return max(0, more - max(0, grown - round(POOL_HOLES * more)))


def _when_made(facts: LedgerFacts, made: MemoryReading) -> int:
    """Resident memory when the iterator had been made, without copies that were freed later."""
    names = list(facts.readings)
    later = [facts.readings[name].rss for name in names[names.index("iterator") : names.index(facts.peak_phase) + 1]]
    first, released = facts.readings.get("first"), facts.readings.get("released")
    dropped = max(0, first.rss - released.rss) if first is not None and released is not None else 0
    return min(made.rss - dropped, *later)
