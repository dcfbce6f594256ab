"""Cost of a stage per element, the batch that it feeds, the share that it keeps, and the speedup of saved time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.edits import MoveStage
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import BATCH_ROW_US, BATCHED_SHARE, CACHED_ELEMENT_US, COPIED_BYTES_PER_US, SHORT_OP_US
from pipeprof.profiles.view.view import PipelineView, StageView

if TYPE_CHECKING:
    from pipeprof.profiles.document.stages import Stage

ONE_CALL = 1.5
"""Calls per batch, up to which a function is called per batch already."""
_MANY = 500
"""Elements that are counted, from which one or two more or less tell nothing."""
_IN_FLIGHT = 1
"""Elements between two stages when their counts are read, at the begin or the end of the measuring."""


@dataclass(frozen=True)
class BatchSavings:
    """The batch that a stage's elements go into; the stages between, as elements flow, only choose and order them."""

    stage: StageView
    size: int
    between: tuple[StageView, ...]

    def moves(self, stage: StageView) -> tuple[MoveStage, ...]:
        """Move the batch, and the stages between, before a stage."""
        return tuple(
            MoveStage(other_stage.id, other_stage.op, before=stage.id) for other_stage in (*self.between, self.stage)
        )


def batching(view: PipelineView, stage: StageView) -> BatchSavings | None:
    """The ``batch`` of fixed size after `stage`, if no stage between reads the elements."""
    between: list[StageView] = []
    at = stage
    while True:
        readers = view.readers(at)
        if len(readers) != 1 or len(readers[0].inputs) != 1:
            return None
        at = readers[0]
        if at.op == "batch":
            size = at.arguments.get("batch_size")
            return BatchSavings(at, size, tuple(between)) if isinstance(size, int) and size > 0 else None
        if not traits(at.op).by_position or traits(at.op).stores:
            return None
        between.append(at)


def interval_ms(view: PipelineView) -> float | None:
    """Mean time from one step to the next, in milliseconds."""
    steps = view.profile.steps if view.profile is not None else None
    return steps.interval_ms.mean if steps is not None and steps.interval_ms.mean > 0 else None


def per_batch(view: PipelineView, stage: StageView) -> float | None:
    """Elements that come out of `stage` for one that comes out of the whole pipeline; ``None`` if not measured."""
    elements = stage.measured.elements if stage.measured is not None else None
    root = view.root
    batches = root.measured.elements if root is not None and root.measured is not None else None
    if not batches:
        batches = view.profile.steps.count if view.profile is not None and view.profile.steps is not None else None
    return elements / batches if elements is not None and batches else None


def calls_per_batch(view: PipelineView, stage: StageView) -> float | None:
    """Calls of the stage's function per batch: one for each element that goes in."""
    if stage.op == "filter":
        below = view.input_of(stage)
        return per_batch(view, below) if below is not None else None
    return per_batch(view, stage)


def microseconds(view: PipelineView, stage: StageView) -> float | None:
    """Time inside the stage per call of its function, summed over threads."""
    calls = calls_per_batch(view, stage)
    return 1000 * stage.ms_per_batch / calls if stage.ms_per_batch is not None and calls else None


_MUCH_CALLED = 0.3
_SHORT_CALL_MS = 0.5


def is_mostly_called(stage: Stage) -> bool:
    """Whether a large part of a map's time is that its function is called for each element, not what that does.

    A call of Python takes 34 to 52 µs, several times that among threads; what takes longer waits for the GIL.
    """
    calls = stage.calls_per_batch or 0.0
    if not traits(stage.op).maps or calls < ONE_CALL or not stage.active_ms:
        return False
    share = share_of_calls(stage)
    return share >= _MUCH_CALLED and share * stage.active_ms < _SHORT_CALL_MS * calls


def share_of_calls(stage: Stage) -> float:
    """The part of a stage's time that calling its function takes: outside of the user's Python, waiting for the GIL."""
    python = sum(op.ms_per_batch for op in stage.ops or () if op.op in PYTHON)
    own = sum(cost.ms_per_batch for cost in stage.python or ())
    return (max(0.0, python - own) + (stage.calling_ms_per_batch or 0.0)) / (stage.active_ms or math.inf)


def left_on_batches(stage: Stage) -> float:
    """The part of a map's time that whole batches leave: what its ops do beyond being called for each element."""
    fixed_ms = (stage.calls_per_batch or 0.0) * SHORT_OP_US / 1000
    own = sum(max(0.0, op.ms_per_batch - fixed_ms) for op in stage.ops or () if op.op not in PYTHON)
    own += sum(cost.ms_per_batch for cost in stage.python or ())
    if not stage.ops or not stage.active_ms:
        waiting = (stage.blocked_ms_per_batch or 0.0) / (stage.active_ms or math.inf)
        return min(1.0, waiting + BATCHED_SHARE * max(0.0, 1 - waiting - share_of_calls(stage)))
    return min(1.0, own / stage.active_ms)


def copied_share(view: PipelineView, stage: StageView) -> float:
    """The part of a stage's time that elements take whatever makes them: out of a cache, and into a batch with it."""
    row, count = stage.measured, per_batch(view, stage)
    if row is None or not row.active_ms or not count:
        return 0.0
    fills = any(one.measured is not None and one.measured.fused_with == stage.id for one in view.readers(stage))
    copied_us = BATCH_ROW_US + (stage.element_bytes or 0.0) / COPIED_BYTES_PER_US if fills else 0.0
    return min(1.0, count * (CACHED_ELEMENT_US + copied_us) / 1000 / row.active_ms)


def once_per_batch(function: str) -> str:
    """What to do about a function of Python whose calls cost most."""
    return f"write {function} for whole batches, where NumPy can take many elements at once: .batch(…) before the map"


def alone(view: PipelineView, cost: float) -> float:
    """A measured cost as it would be if no thread had waited for a core: times inside stages count that waiting."""
    waiting = view.facts.runnable_wait_share if view.facts is not None else None
    return cost * (1 - waiting) if waiting is not None and 0 <= waiting < 1 else cost


def kept_share(view: PipelineView, stage: StageView) -> float | None:
    """Share of the elements into a stage that come out of it, by its arguments, lengths or counts; None if unknown."""
    shards = stage.arguments.get("num_shards")
    if traits(stage.op).cardinality == "share" and isinstance(shards, int) and shards > 0:
        return 1 / shards
    below = view.input_of(stage)
    if below is None:
        return None
    counts = [stage.elements or 0, below.elements or 0]
    if min(counts) > 0:
        return min(1.0, counts[0] / counts[1])
    given, left = per_batch(view, below), per_batch(view, stage)
    return min(1.0, left / given) if given and left is not None else None


def kept_but_in_flight(view: PipelineView, stage: StageView) -> float | None:
    """The same as `kept_share`, and all where the counts differ by what may be between the two when they are read."""
    below = view.input_of(stage)
    counts = [one.measured.elements if one is not None and one.measured is not None else None for one in (below, stage)]
    given, left = counts
    if given is not None and left is not None and given >= _MANY and given - left <= _IN_FLIGHT:
        return 1.0
    return kept_share(view, stage)
