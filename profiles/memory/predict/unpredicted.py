"""Buffers that a prediction cannot bound, because they depend on the timing of the pipeline's threads and the step."""

from __future__ import annotations

from collections.abc import Iterator

from pipeprof.profiles.constants import MOST_FUSED_BATCHES
from pipeprof.profiles.memory.predict.autotuned_buffers import filled_ahead, tuned_prefetches
from pipeprof.profiles.memory.predict.default_rewrites import foreseen
from pipeprof.profiles.memory.predict.model import MemoryPrediction
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import size as in_words

_SHARE = 0.2
"""Least growth that is reported, relative to the prediction: the intended accuracy of predictions."""
_BYTES = 10_000_000
"""Growth below this is not reported."""


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
