"""Answers on a memory limit: whether the pipeline fits, the largest buffers, and whether a cache fits."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.traits import ELEMENT_OWNERS, RETAINING_OWNERS
from pipeprof.profiles.constants import RESERVE, RUNTIME_BYTES
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.element_size import element_size, own_components
from pipeprof.profiles.memory.predict import (
    BufferPrediction,
    MemoryPrediction,
    UnknownSize,
    cache_overhead,
    foreseen,
    is_tuned,
    open_copies,
)
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import size as in_words

_PASSING = frozenset({"batch", "consumer", "parallel"})
_PASSING_RESERVE = 1.0
"""Reserve for temporary batches and results: a chunk of the pool may be twice as large as its tensor. Batches of 32 MB,
and the images they are made of, took more than 1.6 times what is predicted."""
_WORTH_ASKING = 0.01
"""Share of the limit from which a prefetch gets an answer; a shuffle or a cache gets one at any size."""
_BOUNDED = 2
"""Elements that a prefetch is proposed to hold: one is taken while the other is made."""


class _Question:
    """A pipeline as TensorFlow runs it, its prediction, and the limit in bytes.

    Attributes:
        growing: By how many bytes TensorFlow may let a stage grow; infinite where the size of an element is not known.
        condition: What the answers presume, in words, where there is no room for that growth.
        rest: Predicted bytes while running, TensorFlow's own and the growth that there is room for included.
        left: Bytes that are left beside them with a reserve.
        partial: Some sizes are unknown, so that more than the prediction is needed.
    """

    def __init__(self, view: PipelineView, memory: MemoryPrediction, limit: int) -> None:
        self.view, self.memory, self.limit = view, memory, limit
        tuned = [one.stage for one in memory.unknown if one.owner == "prefetch" and is_tuned(view.by_id[one.stage])]
        self.growing = dict.fromkeys(tuned, math.inf) | {one.stage: one.growth for one in memory.held if one.growth}
        growth, budget = float(sum(self.growing.values())), view.options.get("autotune.ram_budget")
        if isinstance(budget, int) and budget > 0 and view.options.get("autotune.enabled") is not False:
            growth = min(growth, budget)
        passing = sum(one.bytes for one in memory.held if one.owner in _PASSING)
        free = limit - RUNTIME_BYTES - (1 + RESERVE) * memory.running_bytes - (_PASSING_RESERVE - RESERVE) * passing
        self.fits_grown = growth <= max(0.0, free)
        self.counted = growth if self.fits_grown else 0.0
        self.left = (free - self.counted) / (1 + RESERVE)
        self.rest = memory.running_bytes + self.counted + RUNTIME_BYTES
        several = "its prefetches" if len(self.growing) > 1 else "its prefetch"
        self.condition = "" if self.fits_grown else f" with {several} bounded"
        self.partial = bool(memory.unknown) or any(one.at_least for one in memory.held)


def what_ifs(view: PipelineView, memory: MemoryPrediction, limit: int) -> list[LimitAnswer]:
    """List the answer for the whole pipeline, then for every shuffle, cache, large prefetch and what may grow."""
    view = foreseen(view) if view.unseen else view
    asked = _Question(view, memory, limit)
    order = {stage.id: index for index, stage in enumerate(view.stages)}
    answers = [answer for one in memory.held if one.owner in ELEMENT_OWNERS for answer in _held(asked, one)]
    answers += [_unsized(asked, one) for one in memory.unknown if one.owner in RETAINING_OWNERS]
    if not asked.fits_grown and limit > RUNTIME_BYTES:
        answers += [_may_grow(asked, view.by_id[name]) for name in asked.growing]
    return [_whole(asked), *sorted(answers, key=lambda one: order.get(one.stage or "", 0))]


def _whole(asked: _Question) -> LimitAnswer:
    memory, limit = asked.memory, asked.limit
    needed = max(memory.peak_bytes + RUNTIME_BYTES, asked.rest)
    at_least, at_most = any(one.at_least for one in memory.held), any(one.at_most for one in memory.held)
    # A prefetch that TensorFlow tunes grows past `DOUBLED_UP_TO` elements, too.
    needs = "needs at least" if at_least else "may need" if asked.counted else "needs at most" if at_most else "needs"
    own = f"the pipeline {needs} {in_words(needed)} ({in_words(RUNTIME_BYTES)} of it TensorFlow itself)"
    own += ", plus buffers of unknown size" if memory.unknown else ""
    if asked.counted >= _WORTH_ASKING * limit:
        own += f", {in_words(asked.counted)} of it for buffers that TensorFlow may let grow"
    fits: bool | None = None
    if any(_is_endless(asked.view, one) for one in memory.unknown):
        fits, says = False, "does not fit, because a cache grows without end"
    elif limit <= RUNTIME_BYTES or (needed > limit and not at_most):
        fits, says = False, "does not fit"
    elif asked.partial and needed <= limit:
        says = f"fits as far as sizes are known{asked.condition and ','}{asked.condition}"
    elif asked.left < 0 or (1 + RESERVE) * memory.peak_bytes + RUNTIME_BYTES > limit:
        says = f"may not fit{asked.condition}"
        own += ", and the prediction may be a fifth too low"
    else:
        fits, says = (None if asked.condition else True), f"fits{asked.condition}"
    return LimitAnswer(stage=None, fits=fits, sentence=f"Limit {in_words(limit)}: {says}; {own}")


def _is_endless(view: PipelineView, one: UnknownSize) -> bool:
    below = view.input_of(view.by_id[one.stage])
    return one.owner == "cache" and below is not None and below.elements == INFINITE


def _unsized(asked: _Question, one: UnknownSize) -> LimitAnswer:
    stage = asked.view.by_id[one.stage]
    below = asked.view.input_of(stage)
    size = element_size(asked.view, below) if below is not None else None
    if _is_endless(asked.view, one):
        return _about(stage, False, f"{stage.label} fits into no memory: {one.reason}")
    if one.owner == "cache" and below is not None and size is not None and not size.partial:
        each = size.bytes + cache_overhead(own_components(asked.view, below))
        most = max(0, int(asked.left / each))
        words = f"{stage.label}: {most:,} elements of {in_words(each)} fit{asked.condition}"
        return _about(stage, None, f"{words} ({in_words(asked.rest)} used by the rest); {one.reason}", most)
    return _about(stage, None, f"{stage.label}: unknown ({one.reason}); `pipeprof run` measures it")


def _about(stage: StageView, fits: bool | None, sentence: str, most: int | None = None) -> LimitAnswer:
    return LimitAnswer(stage=stage.id, fits=fits, sentence=sentence, most=most)


def _held(asked: _Question, held: BufferPrediction) -> Iterator[LimitAnswer]:
    stage, fits = asked.view.by_id[held.stage], None if asked.partial or asked.condition else True
    others = f"({in_words(asked.rest - held.bytes)} used by the rest, 20 % headroom)"
    if held.how == "alias":
        if held.owner != "prefetch":
            yield _about(stage, True, f"{stage.label} takes no memory of its own, whatever its size")
    elif held.owner == "cache":
        size = f"{'at least ' if held.at_least else ''}{in_words(held.bytes)}"
        if asked.rest > asked.limit:
            fits, says = False, "does not fit"
        elif asked.left < 0:
            fits, says = None, f"may not fit{asked.condition}"
        else:
            says = f"fits{asked.condition}"
        yield _about(stage, fits, f"{stage.label} {says}: {size} {others}")
    elif held.count and (held.owner == "shuffle" or (not held.most and held.bytes >= _WORTH_ASKING * asked.limit)):
        # The largest buffer; of a nested stage, that of each copy.
        copies, buffer = open_copies(asked.view, stage), stage.arguments["buffer_size"]
        count, most = held.count / copies, max(0, int((asked.left + held.bytes) / (copies * held.each)))
        each = f" in each of {copies} open copies" if copies > 1 else ""
        if count < buffer and most >= count:
            words = f"any buffer_size fits{asked.condition}, because there are {count:,.0f} elements{each}"
        else:
            fits = fits if buffer <= most else False
            bound = "buffer_size must be less than" if asked.partial else "largest buffer_size that fits:"
            known = f"{bound} {most:,}{each}" if most else "no buffer_size fits"
            words = f"{known}{asked.condition}; now {buffer:,}"
        yield _about(stage, fits, f"{stage.label}: {words} {others}", most)


def _may_grow(asked: _Question, stage: StageView) -> LimitAnswer:
    grows = asked.growing[stage.id]
    far = f" by {in_words(grows)}" if math.isfinite(grows) else ""
    bound = f"`prefetch: {{buffer_size: {_BOUNDED}}}` as last stage" if stage.injected else f"`buffer_size: {_BOUNDED}`"
    return _about(stage, None, f"{stage.label}: AUTOTUNE may let it grow{far}; {bound} bounds it")
