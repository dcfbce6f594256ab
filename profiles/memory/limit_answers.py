"""Answers on a memory limit: whether the pipeline fits, and how large its largest buffer may be."""

from __future__ import annotations

import math

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.profiles.constants import RESERVE, RUNTIME_BYTES
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.predict import (
    BufferPrediction,
    MemoryPrediction,
    UnknownSize,
    foreseen,
    is_tuned,
    open_copies,
)
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import size as in_words

_PASSING = frozenset({"batch", "consumer", "parallel"})
_PASSING_RESERVE = 1.0
"""Reserve for temporary batches and results: a chunk of the pool may be twice as large as its tensor. Batches of 32 MB,
and the images they are made of, took more than 1.6 times what is predicted."""
_WORTH_STATING = 0.01
"""Share of the limit from which a prefetch, and what TensorFlow may let grow, is stated."""


class _Question:
    """A pipeline as TensorFlow runs it, its prediction, and the limit in bytes.

    Attributes:
        condition: What the answers presume, in words, where there is no room for that growth.
        rest: Predicted bytes while running, TensorFlow's own and the growth that there is room for included.
        left: Bytes that are left beside them with a reserve.
        partial: Some sizes are unknown, so that more than the prediction is needed.
    """

    def __init__(self, view: PipelineView, memory: MemoryPrediction, limit: int) -> None:
        self.view, self.memory, self.limit = view, memory, limit
        # Infinite where the size of an element is not known.
        tuned = [math.inf for one in memory.unknown if one.owner == "prefetch" and is_tuned(view.by_id[one.stage])]
        growing = [*tuned, *(one.growth for one in memory.held if one.growth)]
        growth, budget = float(sum(growing)), view.options.get("autotune.ram_budget")
        if isinstance(budget, int) and budget > 0 and view.options.get("autotune.enabled") is not False:
            growth = min(growth, budget)
        passing = sum(one.bytes for one in memory.held if one.owner in _PASSING)
        free = limit - RUNTIME_BYTES - (1 + RESERVE) * memory.running_bytes - (_PASSING_RESERVE - RESERVE) * passing
        fits_grown = growth <= max(0.0, free)
        self.counted = growth if fits_grown else 0.0
        self.left = (free - self.counted) / (1 + RESERVE)
        self.rest = memory.running_bytes + self.counted + RUNTIME_BYTES
        several = "its prefetches" if len(growing) > 1 else "its prefetch"
        self.condition = "" if fits_grown else f" with {several} bounded"
        self.partial = bool(memory.unknown) or any(one.at_least for one in memory.held)


def what_ifs(view: PipelineView, memory: MemoryPrediction, limit: int) -> list[LimitAnswer]:
    """Answer for the whole pipeline, and for the largest of the shuffles and prefetches of a fixed size."""
    view = foreseen(view) if view.unseen else view
    asked = _Question(view, memory, limit)
    least = {"shuffle": 0.0, "prefetch": _WORTH_STATING * limit}
    sized = [one for one in memory.held if one.count and not one.most and one.bytes >= least.get(one.owner, math.inf)]
    largest = max(sized, key=lambda one: one.bytes, default=None)
    return [_whole(asked), *([_of_buffer(asked, largest)] if largest is not None else [])]


def _whole(asked: _Question) -> LimitAnswer:
    memory, limit = asked.memory, asked.limit
    needed = max(memory.peak_bytes + RUNTIME_BYTES, asked.rest)
    at_least, at_most = any(one.at_least for one in memory.held), any(one.at_most for one in memory.held)
    # A prefetch that TensorFlow tunes grows past `DOUBLED_UP_TO` elements, too.
    needs = "needs at least" if at_least else "may need" if asked.counted else "needs at most" if at_most else "needs"
    own = f"the pipeline {needs} {in_words(needed)} ({in_words(RUNTIME_BYTES)} of it TensorFlow itself)"
    own += ", plus buffers of unknown size" if memory.unknown else ""
    if asked.counted >= _WORTH_STATING * limit:
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


def _of_buffer(asked: _Question, held: BufferPrediction) -> LimitAnswer:
    """State the largest buffer; of a nested stage, that of each copy."""
    stage, fits = asked.view.by_id[held.stage], None if asked.partial or asked.condition else True
    copies, buffer = open_copies(asked.view, stage), stage.arguments["buffer_size"]
    count, most = (held.count or 0.0) / copies, max(0, int((asked.left + held.bytes) / (copies * held.each)))
    each = f" in each of {copies} open copies" if copies > 1 else ""
    if count < buffer and most >= count:
        words = f"any buffer_size fits{asked.condition}, because there are {count:,.0f} elements{each}"
    else:
        fits = fits if buffer <= most else False
        bound = "buffer_size must be less than" if asked.partial else "largest buffer_size that fits:"
        known = f"{bound} {most:,}{each}" if most else "no buffer_size fits"
        words = f"{known}{asked.condition}; now {buffer:,}"
    others = f"({in_words(asked.rest - held.bytes)} used by the rest, 20 % headroom)"
    return LimitAnswer(stage=stage.id, fits=fits, sentence=f"{stage.label}: {words} {others}", most=most)
