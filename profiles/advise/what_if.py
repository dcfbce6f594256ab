"""What a memory limit allows: how large a shuffle's buffer may be, and whether a cache fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeprof.profiles.advise.prediction import Held, MemoryPrediction
from pipeprof.profiles.advise.view import PipelineView, StageView
from pipeprof.profiles.explain.words import size as in_words

RUNTIME_BYTES = 600_000_000
"""Resident memory of TensorFlow with nothing but a trivial dataset: 575 MB on 2.21."""


@dataclass(frozen=True)
class WhatIf:
    """What a limit means for one stage.

    Attributes:
        stage: Its address.
        fits: Whether it may stay as it is written.
        sentence: The answer in words.
        most: The largest buffer that fits, for a shuffle.
    """

    stage: str
    fits: bool
    sentence: str
    most: int | None = None


def what_ifs(view: PipelineView, memory: MemoryPrediction, limit: int) -> list[WhatIf]:
    """The answers for every shuffle and cache whose bytes are predicted.

    Args:
        view: The pipeline.
        memory: What it is predicted to hold.
        limit: Bytes that the process may use.
    """
    return [answer for one in memory.held for answer in _answer(view, memory, one, limit)]


def _answer(view: PipelineView, memory: MemoryPrediction, held: Held, limit: int) -> Iterator[WhatIf]:
    stage = view.by_id.get(held.stage)
    if stage is None or held.owner not in ("shuffle", "cache"):
        return
    if held.how == "alias":
        yield WhatIf(stage.id, fits=True, sentence=f"{stage.words} takes no memory of its own, whatever its size")
        return
    steady = sum(one.bytes if one.steady is None else one.steady for one in memory.held)
    room = limit - RUNTIME_BYTES - (steady - held.bytes)
    beside = f"in {in_words(limit)}, beside {in_words(RUNTIME_BYTES)} of TensorFlow's own and "
    beside += f"{in_words(steady - held.bytes)} of the rest"
    if held.owner == "cache":
        yield _cache(stage, held, room, beside)
    else:
        yield _shuffle(stage, held, room, beside)


def _cache(stage: StageView, held: Held, room: int, beside: str) -> WhatIf:
    if held.bytes <= room:
        return WhatIf(stage.id, fits=True, sentence=f"{stage.words} fits: {in_words(held.bytes)} {beside}")
    short = f"{in_words(held.bytes - max(room, 0))} too large"
    return WhatIf(stage.id, fits=False, sentence=f"{stage.words} does not fit: {short} {beside}")


def _shuffle(stage: StageView, held: Held, room: int, beside: str) -> WhatIf:
    buffer = stage.arguments.get("buffer_size")
    count = held.count or buffer
    if not isinstance(count, int) or count <= 0 or not isinstance(buffer, int):
        return WhatIf(
            stage.id, fits=held.bytes <= room, sentence=f"{stage.words} takes {in_words(held.bytes)} {beside}"
        )
    most = max(0, int(room / (held.bytes / count)))
    whole = count < buffer and most >= count
    words = f"{stage.words}: buffer_size may be at most {most:,} {beside}; it is {buffer:,}"
    if whole:
        words = f"{stage.words}: any buffer_size fits {beside}, since there are {count:,} elements"
    return WhatIf(stage.id, fits=whole or buffer <= most, sentence=words, most=most)
