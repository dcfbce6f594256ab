"""Open inner pipelines of an interleave, and the results that wait in them."""

from __future__ import annotations

import math

from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.constants import OPENED_AHEAD, RESULTS_AHEAD
from pipeprof.profiles.view.view import PipelineView, StageView


def open_copies(view: PipelineView, stage: StageView) -> int:
    """Return the number of copies of a stage: one for each open inner pipeline of its owners."""
    copies = 1
    seen: set[str] = set()
    owner = view.by_id.get(stage.owner) if stage.owner is not None else None
    while owner is not None and owner.id not in seen:
        seen.add(owner.id)
        if traits(owner.op).interleaves:
            copies *= _open_inner(view, owner)
        owner = view.by_id.get(owner.owner) if owner.owner is not None else None
    return copies


def _open_inner(view: PipelineView, interleave: StageView) -> int:
    cycle = interleave.arguments.get("cycle_length")
    count = cycle if isinstance(cycle, int) and cycle > 0 else max(1, math.ceil(view.cores))
    if interleave.arguments.get("num_parallel_calls") is not None:
        count *= 1 + OPENED_AHEAD
    given = view.input_of(interleave)
    known = given.elements if given is not None else None
    return count if known is None or known == INFINITE else max(1, min(count, math.ceil(known)))


def results_ready(view: PipelineView, interleave: StageView) -> int:
    """Return the number of elements that wait in the open inner pipelines of a parallel interleave.

    Measured: 216 in 24 open ones with blocks of 4, 141 in 48 with blocks of 1.
    """
    length = interleave.arguments.get("block_length")
    block = length if isinstance(length, int) and length > 0 else 1
    return _open_inner(view, interleave) * (RESULTS_AHEAD * block + 1)
