"""Buffers that TensorFlow grows at run time, and by how much: tuned prefetches, and fused batches.

A tuned prefetch begins with one element and doubles its buffer whenever that was full and later empty, as in front of a
step that now and then takes longer: 512 elements of 1 MB were reached in 8 s (TensorFlow 2.21). From `DOUBLED_UP_TO`
elements on it grows by as many at a time. Nothing else bounds it but the elements there are and AUTOTUNE's budget of
memory: half of what the machine has free when the iterator is made, whatever a control group allows.

A map that fills batches begins one more whenever a call is free while the next batch is waited for, up to 16 of them.
Two calls at a time reached nine batches of 16 images of 1 MB within seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeprof.pipelines.meaning.constants import AUTOTUNE, INFINITE
from pipeprof.profiles.constants import DOUBLED_UP_TO, MOST_FUSED_BATCHES
from pipeprof.profiles.memory.predict.execution import foreseen, fused_batch, open_copies
from pipeprof.profiles.memory.predict.model import MemoryPrediction
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import size as in_words

_SHARE = 0.2
"""Least growth that is reported, relative to the prediction: the intended accuracy of predictions."""
_BYTES = 10_000_000
"""Growth below this is not reported."""


@dataclass(frozen=True)
class Tuned:
    """Tuned prefetches that hold tensors of their own.

    Attributes:
        growth: By how many bytes each stage may grow beyond what is predicted, by its address; infinite where the size
            of an element is not known.
        open_ended: Those of them that may grow further, though slower.
        budget: The pipeline's own ``autotune.ram_budget`` in bytes, which bounds all of them together.
    """

    growth: Mapping[str, float]
    open_ended: frozenset[str] = frozenset()
    budget: float | None = None

    @property
    def bytes(self) -> float:
        """Return the bytes by which all of them may grow."""
        total = sum(self.growth.values())
        return total if self.budget is None else min(total, self.budget)

    @property
    def words(self) -> str:
        """Name the prefetches in a sentence."""
        return "its prefetches" if len(self.growth) > 1 else "its prefetch"


def is_tuned(stage: StageView) -> bool:
    """Return whether TensorFlow chooses how much a prefetch holds."""
    size = stage.arguments.get("buffer_size", AUTOTUNE if stage.injected else None)
    return stage.op == "prefetch" and (size == AUTOTUNE or (isinstance(size, int) and size < 0))


def tuned_prefetches(view: PipelineView, memory: MemoryPrediction) -> Tuned:
    """Find the prefetches of a pipeline that may grow."""
    growth: dict[str, float] = {}
    more: set[str] = set()
    for prediction in memory.held:
        stage = view.by_id.get(prediction.stage)
        if stage is None or prediction.owner != "prefetch" or not prediction.bytes or not is_tuned(stage):
            continue
        below, count = view.input_of(stage), prediction.count or 1
        elements = below.elements if below is not None else None
        if elements is None or elements == INFINITE or elements > DOUBLED_UP_TO:
            elements = DOUBLED_UP_TO
            more.add(stage.id)
        growth[stage.id] = prediction.bytes / count * max(0, open_copies(view, stage) * elements - count)
    for unsized in memory.unknown:
        stage = view.by_id.get(unsized.stage)
        if stage is not None and unsized.owner == "prefetch" and is_tuned(stage):
            growth[stage.id] = math.inf
    budget = view.options.get("autotune.ram_budget")
    # Without AUTOTUNE a tuned prefetch still grows, and no budget bounds it.
    if not isinstance(budget, int) or budget <= 0 or view.options.get("autotune.enabled") is False:
        return Tuned(growth, frozenset(more))
    return Tuned(growth, frozenset(more) if sum(growth.values()) < budget else frozenset(), float(budget))


@dataclass(frozen=True)
class BatchFillingMap:
    """A map that fills batches.

    Attributes:
        batch_bytes: Bytes of one batch in every open copy of it.
        bytes: By how much it may grow beyond what is predicted.
    """

    batch: StageView
    batch_bytes: float
    bytes: float


def filled_ahead(view: PipelineView, memory: MemoryPrediction) -> dict[str, BatchFillingMap]:
    """Find the maps that may fill more batches than predicted, by their addresses."""
    found: dict[str, BatchFillingMap] = {}
    for prediction in memory.held:
        stage = view.by_id.get(prediction.stage)
        batch = fused_batch(view, stage) if stage is not None and prediction.owner == "parallel" else None
        if stage is None or batch is None or not prediction.count:
            continue
        endless = batch.elements is None or batch.elements == INFINITE
        most = MOST_FUSED_BATCHES if endless or batch.elements is None else min(batch.elements, MOST_FUSED_BATCHES)
        size, copies = prediction.bytes / prediction.count, open_copies(view, stage)
        found[stage.id] = BatchFillingMap(batch, copies * size, size * max(0, copies * most - prediction.count))
    return found


def not_predicted(view: PipelineView, memory: MemoryPrediction) -> list[str]:
    """Describe every stage that may hold much more than predicted."""
    view = foreseen(view) if view.unseen else view
    least = max(_BYTES, _SHARE * memory.peak_bytes)
    return [*_prefetches(view, memory, least), *_batches(view, memory, least)]


def _prefetches(view: PipelineView, memory: MemoryPrediction, least: float) -> Iterator[str]:
    growth = tuned_prefetches(view, memory).growth
    for prediction in memory.held:
        if prediction.owner == "prefetch" and prediction.count and growth.get(prediction.stage, 0) >= least:
            stage = view.by_id[prediction.stage]
            name = "the prefetch that TensorFlow adds" if stage.injected else stage.label
            yield (
                f"the buffer of {name}, which AUTOTUNE chooses: {prediction.count:,} elements are counted, "
                f"{in_words(prediction.bytes / prediction.count)} each"
            )


def _batches(view: PipelineView, memory: MemoryPrediction, least: float) -> Iterator[str]:
    filled = filled_ahead(view, memory)
    for prediction in memory.held:
        if (
            prediction.owner == "parallel"
            and prediction.count
            and prediction.stage in filled
            and filled[prediction.stage].bytes >= least
        ):
            yield (
                f"the batches that {view.by_id[prediction.stage].label} fills at a time, at most {MOST_FUSED_BATCHES}: "
                f"{prediction.count:,} "
                f"are counted, {in_words(prediction.bytes / prediction.count)} each"
            )
