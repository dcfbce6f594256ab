"""What buffers take in glibc's heap, and what the model does not count of them.

Tensors below 256 KiB are blocks of the heap. What such an element takes beside its values was measured
(`pipeprof.profiles.advise.prediction`); the heap itself says how much there is in all, and how much is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeprof.profiles.explain.memory_facts import MAPPED_BYTES, SLOT_BYTES, Buffer, Facts


def within_heap(facts: Facts, buffers: list[Buffer]) -> list[Buffer]:
    """Buffers of small tensors hold no more than the heap has grown by: elements may share a tensor."""
    made, now = facts.readings.get("iterator"), facts.readings.get(facts.moment)
    small = [one for one in buffers if not (one.unsized or one.alias or one.pooled) and one.overhead and one.elements]
    if made is None or now is None or made.heap is None or now.heap is None or not small:
        return buffers
    if any(one.bytes / one.elements >= MAPPED_BYTES for one in small):
        return buffers
    # The slots of a large buffer have a mapping of their own.
    slots = sum(SLOT_BYTES * one.elements for one in small if SLOT_BYTES * one.elements >= MAPPED_BYTES)
    said = sum(one.bytes + one.overhead * one.elements for one in small)
    scale = min(1.0, (max(0.0, now.heap - made.heap) + slots) / said)
    return [
        replace(one, bytes=one.bytes * scale, overhead=one.overhead * scale, holes=one.holes * scale)
        if one in small
        else one
        for one in buffers
    ]


def heap_free(facts: Facts) -> int | None:
    """Bytes of the heap that are free at the moment and were not before; None where nobody can tell."""
    base, now = facts.readings["import"].heap_free, facts.readings[facts.moment].heap_free
    return None if base is None or now is None else max(0, now - base)


def holes_shown(facts: Facts, buffers: Sequence[Buffer]) -> float:
    """The part of the holes between buffered elements that is there: no more than is free."""
    expected, free = sum(one.holes * one.elements for one in buffers if not one.alias), heap_free(facts)
    return 1.0 if free is None or not expected else min(1.0, free / expected)


def filled_up(buffers: list[Buffer], measured: float | None, *, pooled: bool) -> list[Buffer]:
    """Give buffers whose bytes the model does not count what was measured of them, in proportion to their elements.

    A text takes its letters and a block of the heap, which is known: what is left then has no owner.
    """

    def known(one: Buffer) -> float:
        share = one.pooled if pooled else 1 - one.pooled
        return one.bytes * share + (0.0 if pooled else one.overhead * one.elements)

    lacking = [one for one in buffers if one.unsized and one.elements and not (one.texts if pooled else one.pool_only)]
    if measured is None or not lacking:
        return buffers
    missing = measured - sum(known(one) for one in buffers)
    weights = sum(_extent(one) for one in lacking)
    if missing <= 0 or not weights:
        return buffers
    found = []
    for one in buffers:
        if one in lacking:
            more = min(missing * _extent(one) / weights, max(0.0, one.most - one.bytes))
            inside = one.bytes * one.pooled + (more if pooled else 0.0)
            one = replace(one, bytes=one.bytes + more, pooled=inside / (one.bytes + more or 1.0))  # noqa: PLW2901
        found.append(one)
    return found


def _extent(one: Buffer) -> float:
    """What the uncounted bytes of a buffer are in proportion to."""
    return one.bytes if one.texts else one.elements * one.weight


def in_heap(facts: Facts, buffers: Sequence[Buffer]) -> float | None:
    """Bytes of the heap in buffers at the fullest look.

    The heap is not read while steps are measured. What elements take in it is known from the first look, just before
    which it was read; where that says nothing, from the end of the stretch.
    """
    made, now, first = (facts.readings.get(name) for name in ("iterator", facts.moment, "first"))
    if made is None or now is None or made.heap is None or now.heap is None:
        return None
    lacking = [one for one in buffers if one.unsized and one.elements and one.pooled < 1]
    before = [one for one in facts.first if one.unsized and one.elements and one.pooled < 1]
    if lacking and before and first is not None and first.heap is not None:
        others = sum(
            one.bytes * (1 - one.pooled) + one.overhead * one.elements for one in facts.first if one not in before
        )
        each = max(0.0, first.heap - made.heap - others) / (sum(_extent(one) for one in before) or 1.0)
        rest = sum(one.bytes * (1 - one.pooled) + one.overhead * one.elements for one in buffers if one not in lacking)
        return rest + each * sum(_extent(one) for one in lacking)
    return max(0.0, float(now.heap - made.heap))
