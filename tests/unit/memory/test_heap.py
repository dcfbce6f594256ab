"""What buffers take in the heap where the model does not count it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeprof.profiles.memory.ledger.facts import Buffer, LedgerFacts
from pipeprof.profiles.memory.ledger.heap import in_heap
from pipeprof.profiles.protocol.messages import MemoryReading

MB = 1_000_000


def cache(elements: int) -> Buffer:
    """A cache of 10,000 letters in each element."""
    return Buffer("cache", "stages.0", 10_000.0 * elements, elements, pooled=0.0, unsized=True, texts=True)


@pytest.mark.parametrize(("elements", "megabytes"), [(40, 300), (6_000, 230 / 0.6)])
def test_a_few_elements_do_not_tell_what_many_take(elements: int, megabytes: float) -> None:
    readings = {
        "iterator": MemoryReading(rss=500 * MB, heap=80 * MB),
        "first": MemoryReading(rss=600 * MB, heap=(83 if elements < 100 else 310) * MB),
        "measure": MemoryReading(rss=800 * MB, heap=380 * MB),
    }
    facts = LedgerFacts(readings, peak=800 * MB, peak_phase="measure", first=(cache(elements),))

    assert in_heap(facts, (cache(10_000),)) == pytest.approx(megabytes * MB)


@pytest.mark.parametrize(("parts", "megabytes"), [(True, 300), (False, 20)])
def test_what_stays_with_parts_of_larger_tensors_grows_while_they_are_replaced(parts: bool, megabytes: float) -> None:
    readings = {
        "iterator": MemoryReading(rss=500 * MB, heap=80 * MB),
        "first": MemoryReading(rss=600 * MB, heap=100 * MB),
        "measure": MemoryReading(rss=800 * MB, heap=380 * MB),
    }
    lines = replace(cache(2_000), owner="shuffle", parts=parts)
    facts = LedgerFacts(readings, peak=800 * MB, peak_phase="measure", first=(lines,))

    assert in_heap(facts, (lines,)) == pytest.approx(megabytes * MB)


@pytest.mark.parametrize(("mapped", "more"), [(50, 24), (12, 10), (None, 0)])
def test_the_list_of_a_large_buffer_lies_beside_the_heap(mapped: int | None, more: float) -> None:
    readings = {
        "build": MemoryReading(rss=500 * MB, heap=80 * MB, mapped=2 * MB),
        "iterator": MemoryReading(rss=500 * MB, heap=80 * MB, mapped=26 * MB),
        "first": MemoryReading(rss=800 * MB, heap=280 * MB, mapped=None if mapped is None else mapped * MB),
    }
    short = Buffer("shuffle", "stages.0", 60.0 * MB, 1_000_000, pooled=0.0, unsized=True, texts=True, overhead=171)
    facts = LedgerFacts(readings, peak=800 * MB, peak_phase="first", first=(short,))

    assert in_heap(facts, (short,)) == pytest.approx((200 + more) * MB)
    assert in_heap(replace(facts, first=()), (short,)) == pytest.approx((200 + more) * MB)
