"""Answers on a memory limit: whether the pipeline fits, the largest buffers, and whether a cache fits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.traits import ELEMENT_OWNERS, RETAINING_OWNERS
from pipeprof.profiles.constants import DOUBLED_UP_TO, MOST_FUSED_BATCHES, RESERVE, RUNTIME_BYTES
from pipeprof.profiles.document.shared import LimitAnswer
from pipeprof.profiles.memory.predict.autotuned_buffers import BatchFillingMap, Tuned, filled_ahead, tuned_prefetches
from pipeprof.profiles.memory.predict.element_size import element_size
from pipeprof.profiles.memory.predict.execution import foreseen, open_copies
from pipeprof.profiles.memory.predict.model import BufferPrediction, MemoryPrediction, UnknownSize, cache_overhead_bytes
from pipeprof.profiles.memory.predict.shared_tensors import own_components
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import size as in_words

POOL_RESERVE = 1 - RESERVE
"""Additional reserve for temporary batches and results in the pool next to buffers: a chunk may be twice as large as
its tensor. Batches of 32 MB, and the images they are made of, took more than 1.6 times what is predicted."""
_PASSING = frozenset({"batch", "consumer", "parallel"})
COUNTED_GROWTH = 0.2
"""Share of the memory without TensorFlow's own: tuned prefetches that may grow by no more are counted as full grown;
larger ones leave too little to others, and answers presume that they are bounded."""
_WORTH_ASKING = 0.01
"""Share of the limit from which a prefetch gets an answer; a shuffle or a cache gets one at any size."""
_FUSION = "options.experimental_optimization.map_and_batch_fusion"
_BOUNDED = 2
"""Elements that a prefetch is proposed to hold: one is taken while the other is made."""


@dataclass(frozen=True)
class _Question:
    """A pipeline as TensorFlow runs it, its prediction, and the limit in bytes."""

    view: PipelineView
    memory: MemoryPrediction
    limit: int
    tuned: Tuned
    filled: Mapping[str, BatchFillingMap]

    @cached_property
    def passing(self) -> float:
        """Predicted bytes of temporary tensors in the pool."""
        return sum(prediction.pooled for prediction in self.memory.held if prediction.owner in _PASSING)

    @cached_property
    def reserved(self) -> float:
        """Predicted bytes while running, with the reserve."""
        return (1 + RESERVE) * self.memory.running_bytes + POOL_RESERVE * self.passing

    @cached_property
    def fills_counted(self) -> bool:
        """Whether the answers count all batches that maps may fill; if not, they assume that maps do not."""
        above = self.limit - RUNTIME_BYTES
        most = max(0, COUNTED_GROWTH * above, above - self.reserved)
        return sum(filled.bytes for filled in self.filled.values()) <= most

    @cached_property
    def ahead(self) -> float:
        """Bytes that are counted for batches that maps may fill beyond those that are predicted."""
        if self.fills_counted:
            return sum(filled.bytes for filled in self.filled.values())
        return sum(min(filled.bytes, _BOUNDED * filled.batch_bytes) for filled in self.filled.values())

    @cached_property
    def above(self) -> float:
        """Bytes of the limit without TensorFlow's own and batches that maps may fill ahead."""
        return self.limit - RUNTIME_BYTES - self.ahead

    @cached_property
    def counted(self) -> bool:
        """Whether the answers count tuned prefetches at full size; if not, they assume that these are bounded."""
        growth = self.tuned.bytes
        most = self.above if self.tuned.budget is not None else COUNTED_GROWTH * self.above
        return growth <= max(0, most, self.above - self.reserved)

    @cached_property
    def tuned_bytes(self) -> float:
        """Bytes that are counted for tuned prefetches to grow."""
        return self.tuned.bytes if self.counted else 0

    @cached_property
    def grown(self) -> float:
        """Bytes counted in addition to the prediction; a bound, which needs no reserve."""
        return self.ahead + self.tuned_bytes

    @cached_property
    def room(self) -> float:
        """Largest prediction in bytes with which the limit holds even if it is a fifth too low."""
        return (self.above - self.tuned_bytes - POOL_RESERVE * self.passing) / (1 + RESERVE)

    @cached_property
    def condition(self) -> str:
        """Assumptions of the answers, in words."""
        what = [] if self.fills_counted else ["its batches"]
        what += [] if self.counted else [self.tuned.words]
        return f" with {' and '.join(what)} bounded" if what else ""

    @cached_property
    def partial(self) -> bool:
        """Whether some sizes are unknown, so that more than the prediction is needed."""
        return bool(self.memory.unknown) or any(prediction.at_least for prediction in self.memory.held)

    def left(self, held: int = 0) -> float:
        """Return the bytes left for a stage predicted to hold `held`, with the reserve."""
        return self.room - (self.memory.running_bytes - held)

    def others(self, held: int = 0) -> float:
        """Return the bytes of everything except `held`, TensorFlow's own included."""
        return self.memory.running_bytes - held + self.grown + RUNTIME_BYTES

    def fits(self, fits: bool) -> bool | None:
        """Restrict an answer to the pipeline as written; None where sizes are unknown."""
        return None if fits and self.condition else fits


def what_ifs(view: PipelineView, memory: MemoryPrediction, limit: int) -> list[LimitAnswer]:
    """List the answer for the whole pipeline, then for every shuffle, cache and large prefetch."""
    view = foreseen(view) if view.unseen else view
    asked = _Question(view, memory, limit, tuned_prefetches(view, memory), filled_ahead(view, memory))
    order = {stage.id: index for index, stage in enumerate(view.stages)}
    answers = [answer for prediction in memory.held for answer in _answer(asked, prediction)]
    answers += [answer for size in memory.unknown for answer in _unknown_size_answers(asked, size)]
    return [_whole_answer(asked), *sorted(answers, key=lambda one: order.get(one.stage or "", 0))]


def _whole_answer(asked: _Question) -> LimitAnswer:
    memory, limit = asked.memory, asked.limit
    needed = max(memory.peak_bytes, memory.running_bytes + asked.grown) + RUNTIME_BYTES
    reserved = max((1 + RESERVE) * memory.peak_bytes, asked.reserved + asked.grown)
    at_least = any(prediction.at_least for prediction in memory.held)
    at_most = any(prediction.at_most for prediction in memory.held)
    bound = "at least " if at_least else "at most " if at_most else ""
    needs = "may need" if asked.grown >= _WORTH_ASKING * limit and not at_least else "needs"
    own = f"the pipeline {needs} {bound}{in_words(needed)} ({in_words(RUNTIME_BYTES)} of it TensorFlow itself)"
    own += ", plus buffers of unknown size" if memory.unknown else ""
    if asked.fills_counted and asked.ahead >= _WORTH_ASKING * limit:
        own += f", {in_words(asked.ahead)} of it for batches that {_maps(asked)} may fill ahead"
    if asked.tuned_bytes >= _WORTH_ASKING * limit:
        own += f", {in_words(asked.tuned_bytes)} of it for {asked.tuned.words} to grow"
        own += f" to {DOUBLED_UP_TO:,} elements" if asked.tuned.open_ended else ""
    fits: bool | None
    if any(_is_endless(asked.view, size) for size in memory.unknown):
        fits, says = False, "does not fit, because a cache grows without end"
    elif limit <= RUNTIME_BYTES:
        fits, says = False, "does not fit"
    elif needed > limit:
        grows = max(memory.peak_bytes, memory.running_bytes) + RUNTIME_BYTES <= limit
        fits, says = (None, f"may not fit{asked.condition}") if at_most or grows else (False, "does not fit")
    elif asked.partial:
        fits, says = None, f"fits as far as sizes are known{asked.condition and ', '}{asked.condition.strip()}"
    elif reserved + RUNTIME_BYTES > limit:
        fits, says = None, f"may not fit{asked.condition}"
        own += ", and the prediction may be a fifth too low"
    elif asked.condition:
        fits, says = None, f"fits{asked.condition}"
    else:
        fits, says = True, "fits"
    return LimitAnswer(stage=None, fits=fits, sentence=f"Limit {in_words(limit)}: {says}; {own}")


def _maps(asked: _Question) -> str:
    stages = [asked.view.by_id[name].label for name in asked.filled]
    return stages[0] if len(stages) == 1 else "its maps"


def _is_endless(view: PipelineView, one: UnknownSize) -> bool:
    stage = view.by_id.get(one.stage)
    below = view.input_of(stage) if stage is not None else None
    return one.owner == "cache" and below is not None and below.elements == INFINITE


def _unknown_size_answers(asked: _Question, one: UnknownSize) -> Iterator[LimitAnswer]:
    view, stage = asked.view, asked.view.by_id.get(one.stage)
    if stage is not None and stage.id in asked.tuned.growth:
        yield from _prefetch_answers(asked, stage)
    if stage is None or one.owner not in RETAINING_OWNERS:
        return
    below = view.input_of(stage)
    if _is_endless(view, one):
        yield _about(stage, False, f"{stage.label} fits into no memory: {one.reason}")
    elif one.owner == "cache" and below is not None and (size := element_size(view, below)) and not size.partial:
        each = size.bytes + cache_overhead_bytes(own_components(view, below))
        most = max(0, int(asked.left() / each))
        words = f"{stage.label}: {most:,} elements of {in_words(each)} fit{asked.condition}"
        yield _about(stage, None, f"{words} ({_others_text(asked.others())}); {one.reason}", most)
    else:
        yield _about(stage, None, f"{stage.label}: unknown ({one.reason}); `pipeprof run` measures it")


def _about(stage: StageView, fits: bool | None, sentence: str, most: int | None = None) -> LimitAnswer:
    return LimitAnswer(stage=stage.id, fits=fits, sentence=sentence, most=most)


def _others_text(nbytes: float) -> str:
    return f"{in_words(nbytes)} used by the rest"


def _answer(asked: _Question, held: BufferPrediction) -> Iterator[LimitAnswer]:
    stage = asked.view.by_id.get(held.stage)
    if stage is not None and held.owner == "parallel":
        yield from _map_answers(asked, stage)
    if stage is None or held.owner not in ELEMENT_OWNERS:
        return
    if stage.id in asked.tuned.growth:
        yield from _prefetch_answers(asked, stage)
        return
    if held.owner == "prefetch" and (held.how == "alias" or held.bytes < _WORTH_ASKING * asked.limit):
        return
    if held.how == "alias":
        yield _about(stage, True, f"{stage.label} takes no memory of its own, whatever its size")
    elif held.owner == "cache":
        yield _cache(asked, stage, held)
    else:
        yield _buffer(asked, stage, held)


def _prefetch_answers(asked: _Question, stage: StageView) -> Iterator[LimitAnswer]:
    """Yield the answer on a prefetch that may exceed the limit, and how to bound it."""
    if asked.counted or asked.room <= 0:
        return
    growth = min(asked.tuned.growth[stage.id], asked.tuned.bytes)
    far = f" by {in_words(growth)}" if math.isfinite(growth) else ""
    far += f" ({DOUBLED_UP_TO:,} elements) and more" if far and stage.id in asked.tuned.open_ended else ""
    if stage.injected:
        name, remedy = "prefetch (added by TensorFlow)", f"`prefetch: {{buffer_size: {_BOUNDED}}}` as last stage"
    else:
        name, remedy = stage.label, f"`buffer_size: {_BOUNDED}`"
    yield _about(stage, None, f"{name}: AUTOTUNE may let it grow{far}; {remedy} bounds it")


def _map_answers(asked: _Question, stage: StageView) -> Iterator[LimitAnswer]:
    """Yield the answer on a map that may fill more batches than fit, and how to bound them."""
    filled = asked.filled.get(stage.id)
    if filled is None or asked.fills_counted or asked.room <= 0:
        return
    remedy = f"`{_FUSION}: false`"
    if filled.batch is asked.view.root:
        remedy += f" and `prefetch: {{buffer_size: {_BOUNDED}}}` as last stage bound it"
    else:
        remedy += " bounds it"
    words = f"{stage.label}: it may fill {MOST_FUSED_BATCHES} batches ahead, {in_words(filled.bytes)} more; {remedy}"
    yield _about(stage, None, words)


def _cache(asked: _Question, stage: StageView, held: BufferPrediction) -> LimitAnswer:
    rest = asked.others(held.bytes)
    room, others = asked.limit - rest, _others_text(rest)
    size = f"{'at least ' if held.at_least else ''}{in_words(held.bytes)}"
    if room <= 0:
        return _about(stage, False, f"{stage.label} does not fit: no memory is left ({others})")
    if held.bytes > room:
        words = f"{stage.label} does not fit: {size} is {in_words(held.bytes - room)} too large ({others})"
        return _about(stage, False, words)
    if held.bytes > asked.left(held.bytes):
        words = f"{stage.label} may not fit{asked.condition}: {size}, less than 20 % headroom ({others})"
        return _about(stage, None, words)
    words = f"{stage.label} fits{asked.condition}: {size} ({others})"
    return _about(stage, None if asked.partial else asked.fits(True), words)


def _buffer(asked: _Question, stage: StageView, held: BufferPrediction) -> LimitAnswer:
    """Answer on the largest buffer that leaves a reserve; for a nested stage, that of each copy."""
    room, others = asked.left(held.bytes), _others_text(asked.others(held.bytes))
    buffer, copies = stage.arguments.get("buffer_size"), open_copies(asked.view, stage)
    count = (held.count or 0) / copies or buffer
    if not isinstance(count, int | float) or count <= 0 or not isinstance(buffer, int) or buffer <= 0:
        words = f"{stage.label} takes {in_words(held.bytes)} ({others})"
        return _about(stage, asked.fits(held.bytes <= room), words)
    most = max(0, int(room / (held.bytes / count)))
    each = f" in each of {copies} open copies" if copies > 1 else ""
    if most < 1:
        return _about(stage, False, f"{stage.label}: no buffer fits ({others})", 0)
    fits = None if asked.partial else asked.fits(True)
    if count < buffer and most >= count:
        words = f"{stage.label}: any buffer_size fits{asked.condition}, because there are {count:,.0f} elements{each}"
        return _about(stage, fits, f"{words} ({others})", most)
    bound = "buffer_size must be less than" if asked.partial else "largest buffer_size that fits:"
    words = f"{stage.label}: {bound} {most:,}{each}{asked.condition} ({others}, 20 % headroom)"
    return _about(stage, fits if buffer <= most else False, f"{words}; now {buffer:,}", most)
