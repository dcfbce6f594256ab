"""How many elements a stage gives for those that go into it: the one place where rules read the counts."""

from __future__ import annotations

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import per_batch
from pipeprof.profiles.view.view import PipelineView, StageView


def kept_share(view: PipelineView, stage: StageView) -> float | None:
    """Share of the elements that go into a stage and come out of it; ``None`` if unknown.

    Exact where the arguments or the lengths of the data say it, else as counted in the measured window.
    """
    shards = stage.arguments.get("num_shards")
    if traits(stage.op).cardinality == "share" and isinstance(shards, int) and shards > 0:
        return 1 / shards
    below = view.input_of(stage)
    if below is None:
        return None
    counts = [stage.elements or stage.counted or 0, below.elements or below.counted or 0]
    if min(counts) > 0:
        return min(1.0, counts[0] / counts[1])
    given, left = per_batch(view, below), per_batch(view, stage)
    return min(1.0, left / given) if given and left is not None else None


def kept_words(share: float) -> str:
    """State how many of a few elements are dropped, in the smallest numbers that are about right.

    Example:
        >>> kept_words(0.25), kept_words(0.1), kept_words(1 / 19.7), kept_words(0.6)
        ('3 of 4', '9 of 10', '19 of 20', '2 of 5')
    """
    whole = next((one for one in range(2, 11) if abs(share * one - round(share * one)) < _ROUND * one), None)
    if whole is None or not 0 < round(share * whole) < whole:
        whole = max(2, round(1 / share)) if share > 0 else 0
        return f"{whole - 1} of {whole}" if whole else "all"
    return f"{whole - round(share * whole)} of {whole}"


_ROUND = 0.01
"""Of each element by which a count in small numbers may be wrong."""
