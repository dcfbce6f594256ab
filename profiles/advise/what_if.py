"""What a memory limit allows: whether all of it fits, how large a buffer may be, and whether a cache fits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeprof.profiles.advise.interleaved import open_copies
from pipeprof.profiles.advise.prediction import Held, MemoryPrediction, NotKnown, cache_overhead_bytes
from pipeprof.profiles.advise.view import INFINITE, PipelineView, StageView
from pipeprof.profiles.explain.words import size as in_words

RUNTIME_BYTES = 600_000_000
"""Resident memory of TensorFlow with nothing but a trivial dataset: 575 MB on 2.21."""
RESERVE = 0.25
"""Of what is predicted, room that a proposed buffer leaves: a prediction may be a fifth too low."""
_WORTH_ASKING = 0.01
"""Of the limit, what a prefetch must hold to be asked about; a shuffle or a cache is asked about at any size."""


@dataclass(frozen=True)
class WhatIf:
    """What a limit means for one stage.

    Attributes:
        stage: Its address; ``None`` for everything together.
        fits: Whether it may stay as it is written; ``None`` if that cannot be told.
        sentence: The answer in words.
        most: The largest buffer that fits, for a shuffle or a prefetch, of each of its open copies; for a cache of an
            unknown number of elements, how many of them.
    """

    stage: str | None
    fits: bool | None
    sentence: str
    most: int | None = None


def what_ifs(view: PipelineView, memory: MemoryPrediction, limit: int) -> list[WhatIf]:
    """The answer for everything together, then for every shuffle, cache and large prefetch.

    Args:
        view: The pipeline.
        memory: What it is predicted to hold.
        limit: Bytes that the process may use.
    """
    order = {stage.id: index for index, stage in enumerate(view.stages)}
    answers = [answer for one in memory.held for answer in _answer(view, memory, one, limit)]
    answers += [answer for one in memory.unknown for answer in _not_told(view, memory, one, limit)]
    return [_together(view, memory, limit), *sorted(answers, key=lambda one: order.get(one.stage or "", 0))]


def _together(view: PipelineView, memory: MemoryPrediction, limit: int) -> WhatIf:
    """All of it, at the peak: also where neither a shuffle nor a cache is to blame."""
    needed = memory.peak_bytes + RUNTIME_BYTES
    at_least = any(one.at_least for one in memory.held)
    at_most = any(one.at_most for one in memory.held)
    bound = "at least " if at_least else "at most " if at_most else ""
    own = f"with {in_words(RUNTIME_BYTES)} of TensorFlow's own it needs {bound}{in_words(needed)}"
    own += ", and what is not known" if memory.unknown else ""
    fits: bool | None
    if any(_endless(view, one) for one in memory.unknown):
        fits, says = False, "does not fit, since a cache grows without end"
    elif needed > limit:
        fits, says = (None, "may not fit") if at_most else (False, "does not fit")
    elif memory.unknown or at_least:
        fits, says = None, "fits as far as sizes are known"
    else:
        fits, says = True, "fits"
    return WhatIf(None, fits, f"In {in_words(limit)} it {says}: {own}")


def _endless(view: PipelineView, one: NotKnown) -> bool:
    stage = view.by_id.get(one.stage)
    below = view.input_of(stage) if stage is not None else None
    return one.owner == "cache" and below is not None and below.elements == INFINITE


def _not_told(view: PipelineView, memory: MemoryPrediction, one: NotKnown, limit: int) -> Iterator[WhatIf]:
    stage = view.by_id.get(one.stage)
    if stage is None or one.owner not in ("shuffle", "cache"):
        return
    below = view.input_of(stage)
    if _endless(view, one):
        yield WhatIf(stage.id, False, f"{stage.words} fits into no memory: {one.reason}")
    elif one.owner == "cache" and below is not None and below.element_bytes is not None:
        rest = memory.running_bytes + RUNTIME_BYTES
        each = below.element_bytes + cache_overhead_bytes(len(below.element or ()) or 1)
        most = max(0, int(((limit - RUNTIME_BYTES) / (1 + RESERVE) - memory.running_bytes) / each))
        words = f"{stage.words} has room for {most:,} elements of {in_words(each)} {_beside(rest)}; {one.reason}"
        yield WhatIf(stage.id, None, words, most=most)
    else:
        yield WhatIf(stage.id, None, f"{stage.words} cannot be told: {one.reason}; `pipeprof run` measures it")


def _beside(nbytes: int) -> str:
    return f"beside {in_words(nbytes)} of everything else"


def _answer(view: PipelineView, memory: MemoryPrediction, held: Held, limit: int) -> Iterator[WhatIf]:
    stage = view.by_id.get(held.stage)
    if stage is None or held.owner not in ("shuffle", "cache", "prefetch"):
        return
    if held.owner == "prefetch" and (held.how == "alias" or held.bytes < _WORTH_ASKING * limit):
        return
    if held.how == "alias":
        yield WhatIf(stage.id, fits=True, sentence=f"{stage.words} takes no memory of its own, whatever its size")
        return
    rest = memory.running_bytes - held.bytes + RUNTIME_BYTES
    room, beside = limit - rest, _beside(rest)
    reserved = min(room, room - RESERVE / (1 + RESERVE) * (limit - RUNTIME_BYTES))
    if held.owner == "cache":
        yield _cache(stage, held, room, reserved, beside)
    else:
        yield _buffer(view, stage, held, reserved, beside)


def _cache(stage: StageView, held: Held, room: int, reserved: float, beside: str) -> WhatIf:
    if reserved < held.bytes <= room:
        words = f"{stage.words} may not fit: {in_words(held.bytes)} {beside} leaves less than a fifth in reserve"
        return WhatIf(stage.id, fits=None, sentence=words)
    if held.bytes <= room:
        return WhatIf(stage.id, fits=True, sentence=f"{stage.words} fits: {in_words(held.bytes)} {beside}")
    if room <= 0:
        return WhatIf(stage.id, fits=False, sentence=f"{stage.words} does not fit: there is no room {beside}")
    short = f"{in_words(held.bytes)} is {in_words(held.bytes - room)} too large"
    return WhatIf(stage.id, fits=False, sentence=f"{stage.words} does not fit: {short} {beside}")


def _buffer(view: PipelineView, stage: StageView, held: Held, room: float, beside: str) -> WhatIf:
    """A buffer that leaves a reserve; of a nested stage that of each of several at a time."""
    buffer, copies = stage.arguments.get("buffer_size"), open_copies(view, stage)
    count = (held.count or 0) / copies or buffer
    if not isinstance(count, int | float) or count <= 0 or not isinstance(buffer, int) or buffer <= 0:
        # AUTOTUNE's, or one that has no buffer_size of its own.
        words = f"{stage.words} takes {in_words(held.bytes)} {beside}"
        return WhatIf(stage.id, fits=held.bytes <= room, sentence=words)
    most = max(0, int(room / (held.bytes / count)))
    each = f" in each of {copies} at a time" if copies > 1 else ""
    if most < 1:
        return WhatIf(stage.id, fits=False, sentence=f"{stage.words}: no buffer fits {beside}", most=0)
    if count < buffer and most >= count:
        words = f"{stage.words}: any buffer_size fits {beside}, since there are {count:,.0f} elements{each}"
        return WhatIf(stage.id, fits=True, sentence=words, most=most)
    words = f"{stage.words}: buffer_size may be at most {most:,}{each} {beside}, a fifth in reserve; it is {buffer:,}"
    return WhatIf(stage.id, fits=buffer <= most, sentence=words, most=most)
