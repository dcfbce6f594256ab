"""Buffers in glibc's heap, and their bytes that the model does not count.

Tensors below 256 KiB are blocks of the heap. The overhead of such an element was measured
(`pipeprof.profiles.memory.predict.model`); the heap's own counters give the total in use and free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeprof.profiles.constants import BUFFER_HOLES, MAPPED_FROM, MOST_BUFFER_HOLES, SLOT_BYTES
from pipeprof.profiles.memory.ledger.facts import Buffer, LedgerFacts
from pipeprof.profiles.protocol.messages import MemoryReading

FULL = 0.5
"""Least share of the fullest look's elements at another look used to size them: with only a few elements the heap has
grown by as much for other reasons."""
WINDOWS_FROM = 16e6
"""Bytes without an owner from which windows that wait, whose size the model never reports, own them: buckets of small
elements hold far less, and as much as that lies in use for other reasons."""


def within_heap(facts: LedgerFacts, buffers: list[Buffer]) -> list[Buffer]:
    """Limit buffers of small tensors to the growth of the heap: elements may share a tensor."""
    made, most = facts.readings.get("iterator"), _fullest(facts)
    small = [
        buffer
        for buffer in buffers
        if not (buffer.unsized or buffer.alias or buffer.pooled) and buffer.overhead and buffer.elements
    ]
    if made is None or made.heap is None or most is None or not small:
        return buffers
    if any(buffer.bytes / buffer.elements >= MAPPED_FROM for buffer in small):
        return buffers
    slots = _slots(small)
    said = sum(buffer.bytes + buffer.overhead * buffer.elements for buffer in small)
    scale = min(1.0, (max(0.0, most - made.heap) + slots) / said)
    return [
        replace(buffer, bytes=buffer.bytes * scale, overhead=buffer.overhead * scale, holes=buffer.holes * scale)
        if buffer in small
        else buffer
        for buffer in buffers
    ]


def _slots(buffers: Iterable[Buffer]) -> float:
    """Return the bytes of the element lists of large buffers, which have their own mappings."""
    sizes = [SLOT_BYTES * buffer.elements for buffer in buffers if buffer.overhead and not buffer.alias]
    return sum(size for size in sizes if size >= MAPPED_FROM)


def _mapped_slots(facts: LedgerFacts, reading: MemoryReading, buffers: Iterable[Buffer]) -> float:
    """Return the same, limited by the growth of mapped bytes since the pipeline was built."""
    built = facts.readings.get("build")
    if built is None or built.mapped is None or reading.mapped is None:
        return 0.0
    return min(_slots(buffers), max(0, reading.mapped - built.mapped))


def heap_free(facts: LedgerFacts) -> int | None:
    """Return the bytes of the heap that are free at the peak and were not before; None where unknown.

    They were read at some moment near the peak, as just before an epoch fills its buffers. What the heap has in use at
    its fullest beyond that moment's is new memory as far as the process has grown until the peak, and for the rest lies
    in what was free.
    """
    base, now = facts.readings["import"].heap_free, facts.readings[facts.peak_phase]
    if base is None or now.heap_free is None:
        return None
    if now.near_free is None or now.near_heap is None or now.near_rss is None or now.peak is None:
        return max(0, now.heap_free - base)
    later = max(0, (_fullest(facts) or 0) - now.near_heap)
    used_again = max(0, later - max(0, now.peak - now.near_rss))
    return max(0, now.near_free - used_again - base)


def _fullest(facts: LedgerFacts) -> int | None:
    """Return the largest observed bytes in use of the heap with full buffers."""
    seen = (facts.readings.get(name) for name in ("first", facts.peak_phase))
    return max(
        (reading.heap_most or reading.heap for reading in seen if reading is not None and reading.heap is not None),
        default=None,
    )


def all_holes(buffers: Sequence[Buffer]) -> float:
    """Return the most bytes that lie free between all elements of the heap's buffers."""
    return sum(buffer.holes * buffer.elements for buffer in buffers if not buffer.alias)


def holes_shown(facts: LedgerFacts, buffers: Sequence[Buffer]) -> float:
    """Return the share of the predicted holes that exists: limited by the free bytes; the usual one if unknown."""
    expected, free = all_holes(buffers), heap_free(facts)
    if free is None or not expected:
        return BUFFER_HOLES / MOST_BUFFER_HOLES
    return min(1.0, free / expected)


def with_holes(buffers: Sequence[Buffer]) -> list[Buffer]:
    """Add holes of ragged and sparse elements in a shuffle, whose sizes are known only now."""
    return [
        replace(buffer, holes=BUFFER_HOLES * (buffer.bytes * (1 - buffer.pooled) / buffer.elements + buffer.overhead))
        if buffer.owner == "shuffle" and buffer.unsized and not buffer.texts and buffer.elements
        else buffer
        for buffer in buffers
    ]


def filled_up(buffers: list[Buffer], measured: float | None, *, pooled: bool) -> list[Buffer]:
    """Assign the measured bytes to buffers that the model does not size, in proportion to their elements.

    A text takes its letters and a block of the heap, which is known: what is left then has no owner. Where texts are
    parts of larger tensors, these stay with them, in the heap or in the pool.
    """
    lacking = [
        buffer
        for buffer in buffers
        if buffer.unsized
        and buffer.elements
        and not (buffer.texts and not buffer.parts if pooled else buffer.pool_only)
    ]
    if measured is None or not lacking:
        return buffers
    missing = measured - sum(buffer.in_pool if pooled else buffer.in_heap for buffer in buffers)
    if missing < WINDOWS_FROM:
        lacking = [buffer for buffer in lacking if not buffer.windows]
    weights = sum(_extent(buffer) for buffer in lacking)
    if missing <= 0 or not weights:
        return buffers
    found = []
    for one in buffers:
        if one in lacking:
            more = min(missing * _extent(one) / weights, max(0.0, one.most - one.bytes))
            inside = one.in_pool + (more if pooled else 0.0)
            one = replace(one, bytes=one.bytes + more, pooled=inside / (one.bytes + more or 1.0))  # noqa: PLW2901
        found.append(one)
    return found


def _extent(one: Buffer) -> float:
    """Return the weight of a buffer in the division of uncounted bytes."""
    return one.bytes if one.texts else one.elements * one.weight


def in_heap(facts: LedgerFacts, buffers: Sequence[Buffer]) -> float | None:
    """Return the bytes of the heap in buffers at the fullest look.

    What elements take in it is known from the first look, just before which it was read, if half of them were there;
    else, and where what stays with elements grows while they are replaced, from the most that was seen in use.
    """
    made, first, most = facts.readings.get("iterator"), facts.readings.get("first"), _fullest(facts)
    if made is None or made.heap is None or most is None:
        return None
    before, lacking = (
        [buffer for buffer in some if buffer.unsized and buffer.elements and buffer.pooled < 1]
        for some in (facts.first, buffers)
    )
    extent, now = sum(_extent(one) for one in before), sum(_extent(one) for one in lacking)
    known_first = extent >= FULL * now and not any(buffer.parts for buffer in lacking)
    if lacking and before and known_first and first is not None and first.heap is not None:
        others = sum(buffer.in_heap for buffer in facts.first if buffer not in before)
        grown = first.heap - made.heap + _mapped_slots(facts, first, facts.first)
        each = max(0.0, grown - others) / (extent or 1.0)
        return sum(buffer.in_heap for buffer in buffers if buffer not in lacking) + each * now
    return max(0.0, most - made.heap + _mapped_slots(facts, facts.readings[facts.peak_phase], buffers))
