"""Sentences of the ledger: growth of memory in use alone, over the steps that were measured; a leak by its evidence."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.document.base import Owner
from pipeprof.profiles.document.measured import Series
from pipeprof.profiles.document.memory import Memory, MemoryGrowth
from pipeprof.profiles.memory.buffers import Buffered, Look
from pipeprof.profiles.memory.ledger_texts import OWNERS, growth_text
from pipeprof.profiles.memory.over_time import measured_growth

MB = 1_000_000
LEAK = MemoryGrowth(
    mb_per_1000_steps=1890, low=1500, high=2200, windows=6, leak=True, bytes=113 * MB, steps=60, in_use_bytes=110 * MB
)


def text(growth: MemoryGrowth | None) -> str | None:
    return growth_text(Memory(growth=growth))


def test_a_leak_is_stated_over_what_was_measured() -> None:
    assert text(LEAK.model_copy(update={"steps": 1})) == (
        "Memory grows by 105 MiB a step: 105 MiB over the last 1 step, after all buffers had filled. "
        "`pipeprof run --soak 5m` shows what grows and when memory runs out."
    )
    assert text(None) is None


@given(
    rss=st.lists(st.integers(0, 30), min_size=12, max_size=40),
    live=st.lists(st.integers(-10, 30), min_size=12, max_size=40),
    in_use=st.one_of(st.none(), st.integers(-200, 400)),
)
def test_sentences_follow_the_evidence(rss: list[int], live: list[int], in_use: int | None) -> None:
    """Whatever memory does: no growth without growth in use, no leak without its evidence, nothing extrapolated."""
    looks, process, pool = [], 800, 100
    for number, (more, alive) in enumerate(zip(rss, live, strict=False)):
        process, pool = max(1, process + more), max(0, pool + alive)
        shuffle = {"stages.0": Buffered("shuffle", 50 * MB, 10)}
        looks.append(Look(number / 2, "measure", number * 5, 0, pool * MB, shuffle, rss=process * MB))
    series = Series(seconds=[0.0], rss_bytes=[800 * MB], phase=["measure"])
    growth = measured_growth(looks, series, 0.0, in_use=None if in_use is None else in_use * MB)
    sentence = text(growth)
    if growth is None:
        assert sentence is None
        return
    assert sentence is not None
    assert growth.in_use_bytes is not None
    assert growth.in_use_bytes > 0
    assert "per 1,000" not in sentence
    steps = re.search(r"over (?:the last )?([\d,]+) steps", sentence)
    assert steps is not None
    assert int(steps[1].replace(",", "")) <= looks[-1].steps - looks[0].steps
    assert "--soak" in sentence
    assert growth.low > 0


def test_memory_that_the_allocator_keeps_is_neither_growth_nor_a_leak() -> None:
    looks = [
        replace(
            Look(n / 5, "measure", n, 0, 100 * MB, {"stages.0": Buffered("shuffle", 50 * MB, 10)}), rss=(800 + n) * MB
        )
        for n in range(200)
    ]
    series = Series(seconds=[0.0], rss_bytes=[800 * MB], phase=["measure"])
    growth = measured_growth(looks, series, 0.0, in_use=0)
    assert growth is None
    leak = measured_growth(looks, series, 0.0, in_use=190 * MB)
    assert leak is not None
    assert leak.bytes is not None
    assert leak.bytes > 100 * MB


def test_every_owner_has_a_text() -> None:
    assert set(OWNERS) == set(get_args(Owner))
